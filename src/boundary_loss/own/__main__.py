"""Bring a data set of nnU-Net v2 or of the Decathlon: check it, and link, unpack or split its files.

python -m boundary_loss.own data/Task04_Hippocampus --dataset Task04_Hippocampus.tar
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path

from boundary_loss import command
from boundary_loss.files import clear_folder, new_folder, unfinished, write_json
from boundary_loss.folders.source import Archive, Source
from boundary_loss.own.bring import Read, read_dataset, write_study
from boundary_loss.own.dataset import JSON
from boundary_loss.own.tarball import ENDINGS, unpack_tar
from boundary_loss.preparation.workers import workers
from boundary_loss.unpack import RECORD

BESIDE = ("--dataset", "--dim", "--workers", "--fresh")


def arguments() -> argparse.Namespace:
    parser = command.parser(
        "Check a data set of nnU-Net v2 or the Decathlon and bring it into a folder of this pipeline."
    )
    parser.prog = "python -m boundary_loss.own"
    parser.add_argument("dest", type=Path, help="folder to make, as data/Task04_Hippocampus")
    parser.add_argument("--dataset", type=Path, required=True, help=f"folder with {JSON}, or its .tar")
    parser.add_argument("--dim", type=int, choices=(2, 3), help="2D or 3D, instead of what sizes and spacings say")
    parser.add_argument("--bytes", type=int, help=f"of {JSON} or the .tar; another data set is noticed by it")
    parser.add_argument("--workers", type=int, default=command.num_cores(), help="processes")
    parser.add_argument("--fresh", action="store_true", help="move an existing folder aside and make it anew")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    words = command.settings(sys.argv[1:], beside=BESIDE)
    if command.refuse_other_settings(args.dest, words, fresh=args.fresh):
        print(f"{args.dest} is already there")
        return
    if not args.dataset.exists():
        raise FileNotFoundError(f"no data set at {args.dataset}; DATASET is a folder with {JSON}, or its .tar")
    if args.dataset.is_dir():
        read = read_dataset(args.dataset, args.dim)
        with new_folder(args.dest) as grown:
            finish(read, args.dataset, args, grown, words)
    else:
        with cleared(args.dest), new_folder(args.dest) as grown:
            unpack(args.dataset, grown)
            finish(read_dataset(grown, args.dim), grown, args, grown, words)


@contextmanager
def cleared(target: Path) -> Iterator[None]:
    """Remove what was unpacked where it is refused: then nothing was written."""
    try:
        yield
    except (ValueError, FileNotFoundError):
        clear_folder(unfinished(target))
        raise


def unpack(path: Path, folder: Path) -> None:
    if not path.name.endswith(ENDINGS):
        raise ValueError(f"{path} is no folder and no {', '.join(ENDINGS)}; unpack it and give the folder with {JSON}")
    unpack_tar(path, folder)


def finish(read: Read, root: Path, args: argparse.Namespace, grown: Path, words: list[str]) -> None:
    """Fill the folder and say what was found."""
    with workers(args.workers if read.dataset.stacked else 1) as spread:
        write_study(read, root, grown, spread)
    write_json(grown / RECORD, source_of(read, args.dataset).to_json())
    command.record(grown, words)
    print(read.in_words(args.dest.name))


def source_of(read: Read, path: Path) -> Source:
    """Return where the data comes from, for reports: the archive, or dataset.json, with its checksum."""
    file = path / JSON if path.is_dir() else path
    with file.open("rb") as opened:
        checksum = file_digest(opened, "sha256").hexdigest()
    about = {name: (text,) if text else () for name, text in read.dataset.about.items()}
    return Source(
        lineage=None,
        phantom=False,
        archives=(Archive(file.name, "sha256", checksum, trusted=False),),
        source=(),
        licence=about["licence"],
        citation=about["reference"],
        note=about["description"],
    )


if __name__ == "__main__":
    command.run(main)
