"""Write the files of a new study, which run as they are on a tiny example: make new-study NAME=brain

python -m boundary_loss.own.new_study brain --kind volumes
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import io
import re
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np

from boundary_loss import command
from boundary_loss.files import write_bytes
from boundary_loss.volumes import encode_volume

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
PATIENTS, SHAPE, AFFINE = 6, (28, 24, 16), np.diag([-1.0, -1.0, 2.0, 1.0])
"""Of the example: voxels of 1 x 1 x 2 mm."""

_OF_KIND: dict[str, dict[str, str]] = {
    "volumes": {
        "SCRIPT": "prepare",
        "TITLE": "Whole volumes",
        "REAL": "NET := VNet(kernel=3,width=16,norm=instance)",
        "NET": "VNet(kernel=3,width=4,levels=1-2-2,norm=instance)",
        "BS": "2",
        "SHOWN": "# What a network sees: all of a volume; of large ones SAMPLE := patch(128,128,96,object=0.33)\n"
        "SAMPLE      := whole\nFIT         := pad(4)\n",
        "FIELDS": '    kind="volumes",\n    normalise="zscore",  # or window(-200,250), in Hounsfield units\n',
    },
    "slices": {
        "SCRIPT": "slice",
        "TITLE": "Slices",
        "REAL": "NET := UNet",
        "NET": "UNet(width=4)",
        "BS": "8",
        "SHOWN": "",
        "FIELDS": "    # shape=(256, 256),  # slices are resized to it; without it all must have one size\n",
    },
}


def content_of(name: str, kind: str) -> dict[Path, bytes]:
    """Return the files of a new study: its ledger, script, lineage and example."""
    words = _OF_KIND[kind] | {"NAME": name, "KIND": kind}
    words["SCRIPT"] = f"{words['SCRIPT']}_{name}"
    example = example_zip()
    archive = f"{name}-example.zip"
    return {
        Path(f"{name}.make"): filled("study.make", words).encode(),
        Path("preprocess", f"{words['SCRIPT']}.py"): filled("study.py.txt", words).encode(),
        Path("lineage", f"{name}.lineage"): lineage(name, archive, example).encode(),
        Path("data", archive): example,
    }


def filled(template: str, words: Mapping[str, str]) -> str:
    """Return a template with the word of each ``@MARK@``."""
    text = files("boundary_loss.own.skeleton").joinpath(template).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda mark: words[mark[1]], text)


def lineage(name: str, archive: str, content: bytes) -> str:
    """Return the lineage file of the example, with what a real one says as remarks."""
    return (
        f"# {name}: which data this is\n"
        "# Source: where to get the archives; make prints it where they are missing\n"
        "# Licence: of the data\n"
        "# Citation: the paper to cite\n"
        "# Phantom: the example is synthetic; remove this line for real data\n"
        f"{sha256(content).hexdigest()}  {archive}\n"
    )


def example_zip() -> bytes:
    """Return a zip of synthetic patients: a bright ball each, ``patients/ID/{image,label}.nii.gz``; always the same."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(PATIENTS):
            for kind, array in zip(("image", "label"), example_case(number), strict=True):
                info = zipfile.ZipInfo(f"patients/p{number:02d}/{kind}.nii.gz")
                archive.writestr(info, encode_volume(array, AFFINE, info.filename))
    return packed.getvalue()


def example_case(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return image int16 and labels uint8 of a patient, (X, Y, Z)."""
    rng = np.random.default_rng(number)
    centre = np.array(SHAPE) / 2 + rng.uniform(-3, 3, 3)
    away = np.moveaxis(np.indices(SHAPE), 0, -1) - centre
    labels = (np.linalg.norm(away * (1, 1, 2), axis=-1) < rng.uniform(5, 7)).astype(np.uint8)
    image = rng.normal(100, 15, SHAPE) + 50 * labels
    return image.round().astype(np.int16), labels


def write(name: str, kind: str) -> list[Path]:
    """Write the files of a new study; returns their paths.

    Raises:
        ValueError: the name cannot be that of a study.
        Stop: one of the files is there.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"NAME={name} must be a short word of a-z, 0-9 and _ that begins with a letter, as NAME=brain")
    content = content_of(name, kind)
    if there := [str(path) for path in (*content, *study_scripts(name)) if path.exists()]:
        raise command.Stop(f"a study has this name: {', '.join(dict.fromkeys(there))}; take another NAME")
    for path, text in content.items():
        write_bytes(path, text)
    return list(content)


def study_scripts(name: str) -> list[Path]:
    """Return the scripts that a study of either kind has."""
    return [Path("preprocess", f"{kind['SCRIPT']}_{name}.py") for kind in _OF_KIND.values()]


def main() -> None:
    parser = command.parser("Write the files of a new study, which run as they are on a tiny example.")
    parser.prog = "python -m boundary_loss.own.new_study"
    parser.add_argument("name", help="of the study, as brain")
    parser.add_argument(
        "--kind", choices=tuple(_OF_KIND), default="volumes", help="trained on volumes, or on slices alone"
    )
    args = parser.parse_args()
    written = write(args.name, args.kind)
    print(*(f"written: {path}" for path in written), sep="\n")
    print(f"it runs as it is: make -f {args.name}.make; the remarks in {args.name}.make say what to change")


if __name__ == "__main__":
    command.run(main)
