"""Peak host memory of a training on a study of full size: 94 cases, five modalities, 256 x 256.

    PYTHONPATH=src python benchmarks/memory.py [--cases 94] [--network Dimwit] [--write benchmarks/RESULTS.md]

The slices are drawn once and repeated under other names: memory does not see the difference. The training is the real
command, a process of its own; its peak is what the system counted for it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from phantomstudies import write_study
from turns import machine, write_section

from boundary_loss.files import read_json, write_json

ROWS = {
    "gdl + boundary 2D": ["gdl:1", "boundary:0.01@1"],
    "gdl + boundary 3D": ["gdl:1", "boundary(map=3d):0.01@1"],
    "gdl + hausdorff": ["gdl:1", "hausdorff:0.1@1"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=94)
    parser.add_argument("--depth", type=int, default=6, help="slices a case; the challenge's have 2 to 22")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--network", default="Dimwit")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    lines = [
        f"{machine('cuda' if args.device == 'cuda' else 'cpu')}. {args.cases} cases of {args.depth} slices, five "
        f"modalities, {args.size} x {args.size}, a fifth of them held out; {args.network}, {args.epochs} epoch(s). "
        "`python benchmarks/memory.py`",
        "",
        "| losses | images alone | peak of the training process | seconds |",
        "|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as name:
        data = full_size(Path(name) / "data", args.cases, args.depth, args.size)
        images = args.cases * args.depth * 5 * args.size**2 * 4
        for row, terms in ROWS.items():
            peak, seconds = train(Path(name) / "run", data, terms, args)
            lines.append(f"| {row} | {images / 2**30:.2f} GiB | {peak / 2**30:.2f} GiB | {seconds:.0f} |")
            print(lines[-1], flush=True)
    if args.write:
        write_section(args.write, "Host memory of a study of full size", "\n".join(lines))


def full_size(folder: Path, cases: int, depth: int, size: int) -> Path:
    """A sliced folder of so many cases: one drawn case's slices, linked under every name."""
    drawn = write_study(folder.with_name("drawn"), "isles", size, {"train": depth, "val": 1}).path
    stems = sorted(path.stem for path in (drawn / "train" / "gt").iterdir())
    held_out, volume = cases // 5, 0
    for which, count in (("train", cases - held_out), ("val", held_out)):
        spacing = {}
        for _ in range(count):
            for z, stem in enumerate(stems):
                copy = f"case_{volume}_00_{z:04d}"
                spacing[copy] = [1.0, 1.0]
                for kind, suffix in (("in_npy", "npy"), ("gt_npy", "npy"), ("3d_distmap", "npy"), ("gt", "png")):
                    (folder / which / kind).mkdir(parents=True, exist_ok=True)
                    os.link(drawn / "train" / kind / f"{stem}.{suffix}", folder / which / kind / f"{copy}.{suffix}")
            volume += 1
        write_json(folder / which / "spacing.json", spacing)
    write_json(folder / "spacing_3d.json", {f"case_{i}": [1.0, 1.0, 5.0] for i in range(cases)})
    write_json(folder / "slicing.json", read_json(drawn / "slicing.json"))
    return folder


def train(run: Path, data: Path, terms: list[str], args: argparse.Namespace) -> tuple[int, float]:
    """Peak bytes of the process, and seconds."""
    shutil.rmtree(run, ignore_errors=True)
    start = time.perf_counter()
    command = [
        "-m",
        "boundary_loss.train",
        str(run),
        "--data",
        str(data),
        "--losses",
        *terms,
        "--network",
        args.network,
    ]
    counter = (
        "import resource, subprocess, sys; "
        "subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=sys.stderr); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )  # a process that has one child, so that the peak is of this training alone
    done = subprocess.run(
        [sys.executable, "-c", counter, *command, "--epochs", str(args.epochs), "--device", args.device],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return 1024 * int(done.stdout), time.perf_counter() - start


if __name__ == "__main__":
    main()
