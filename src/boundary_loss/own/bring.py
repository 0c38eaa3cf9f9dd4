"""The files of a study from a data set: links to those of a folder, the members of a ``.tar``, channels one by one.

data/NAME/
    imagesTr/CASE.nii.gz         CASE_0000.nii.gz, CASE_0001.nii.gz, ... of several channels
    labelsTr/CASE.nii.gz
    imagesTs/...                 cases to be predicted
    own.json                     classes, label values, channels, cases
    plan.mk                      what make needs to know
    lineage.json, arguments.txt
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boundary_loss.files import read_json, write_bytes, write_json, write_text
from boundary_loss.own.dataset import JSON, Dataset, Faults, Listed
from boundary_loss.own.decathlon import is_decathlon, read_decathlon
from boundary_loss.own.intensities import rules_of
from boundary_loss.own.nnunet import is_nnunet, read_nnunet
from boundary_loss.own.plan import Plan, Sizes, as_make, plan_of
from boundary_loss.preparation.split import read_split
from boundary_loss.volumes import ending_of, in_words, read_channels, read_shape, write_volume, written_as

OWN, PLAN = "own.json", "plan.mk"
SPLITS = "splits_final.json"
TRAINING, LABELS, TEST = "imagesTr", "labelsTr", "imagesTs"
HELD_OUT = 5
"""A fifth of the cases is held out, as in nnU-Net's first fold."""


@dataclass(frozen=True)
class Read:
    """A data set whose headers were read, and the plan that follows from them."""

    dataset: Dataset
    sizes: Sizes
    plan: Plan
    rules: list[str]
    """Of normalisation, one for each channel."""

    def in_words(self, name: str) -> str:
        """Return two lines: what the data set is, and which rows are trained, and why."""
        found, sizes = self.dataset, self.sizes
        names = ", ".join(found.classes[1:])
        channels = ", ".join(f"{name} ({rule})" for name, rule in zip(found.channels, self.rules, strict=True))
        about = (
            f"{name}: {found.layout}, {len(found.training)} cases with labels, {len(found.test)} without; "
            f"channels {channels}; classes {names}"
        )
        remarks = "".join(f"\n  {remark}" for remark in found.remarks)
        size = f"median size {in_words(sizes.shape)}"
        other = 5 - self.plan.dim
        return f"{about}{remarks}\n{self.plan.dim}D is trained: {self.plan.why}, {size} (DIM={other} trains the other)"


def check_splits(root: Path, dataset: Dataset, faults: Faults) -> None:
    """Note what is wrong with ``splits_final.json``, if it lies beside dataset.json."""
    path = root / SPLITS
    names = [case.name for case in dataset.training]
    if path.is_file() and names:
        try:
            read_split(path, names)
        except ValueError as error:
            faults.append(str(error))


def read_dataset(root: Path, dim: int | None) -> Read:
    """Read dataset.json and the headers of all files that it lists.

    Raises:
        FileNotFoundError: there is no dataset.json.
        ValueError: all faults at once.
    """
    path = root / JSON
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: DATASET is a folder that holds {JSON}, or the .tar of one")
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no object; expected the {JSON} of nnU-Net v2 or of the Decathlon")
    faults = Faults()
    dataset = _reader(content)(root, content, faults)
    sizes = read_sizes(dataset, faults)
    check_splits(root, dataset, faults)
    faults.refuse(root)
    return Read(dataset, sizes, plan_of(sizes, dim, len(dataset.channels)), rules_of(dataset))


def _reader(content: dict[str, Any]) -> Callable[[Path, dict[str, Any], Faults], Dataset]:
    if is_nnunet(content):
        return read_nnunet
    if is_decathlon(content):
        return read_decathlon
    raise ValueError(f"{JSON} has neither 'modality' (Decathlon) nor 'channel_names' (nnU-Net v2)")


def read_sizes(dataset: Dataset, faults: Faults) -> Sizes:
    """Read the headers of all images; a file that cannot be read, or holds too many channels or too few, is a fault."""
    shapes, spacings = [], []
    for case in (*dataset.training, *dataset.test):
        for path in case.images:
            if not path.is_file():
                continue  # noted as missing
            try:
                shape, spacing = read_shape(path)
            except ValueError as error:
                faults.append(str(error))
                continue
            if fault := _channel_fault(shape, len(dataset.channels) if dataset.stacked else 1):
                faults.append(f"{path}: {fault}")
            elif case.label is not None and path == case.images[0]:
                shapes.append((shape[0], shape[1], shape[2]))
                spacings.append(spacing)
    return Sizes(shapes, spacings)


def _channel_fault(shape: Sequence[int], expected: int) -> str | None:
    """Return why a file of this shape does not hold the channels that are declared."""
    if len(shape) < 3 or len(shape) > 4:
        return f"shape {in_words(shape)}; expected a volume, of channels as a fourth axis"
    found = shape[3] if len(shape) == 4 else 1
    if found == expected:
        return None
    return f"{found} channels along its fourth axis, but {JSON} declares {expected}"


def held_out_of(count: int) -> int:
    return max(1, round(count / HELD_OUT))


def write_study(
    read: Read, root: Path, folder: Path, each: Callable[[str, Callable[..., Any], Sequence[tuple]], Any]
) -> None:
    """Write all files of a study into a new folder.

    Args:
        root: of the data set.
        each: maps a function over the cases, see :func:`boundary_loss.preparation.workers.workers`.
    """
    found = read.dataset
    for name in (TRAINING, LABELS, TEST):
        (folder / name).mkdir(exist_ok=True)
    jobs = [(case, folder / (TRAINING if case.label else TEST), found) for case in (*found.training, *found.test)]
    each("reading", place_case, jobs)
    write_json(folder / OWN, as_json(found) | {"normalise": " ".join(read.rules)})
    if root != folder and (root / SPLITS).is_file():
        write_bytes(folder / SPLITS, (root / SPLITS).read_bytes())
    held_out = held_out_of(len(found.training))
    write_text(folder / PLAN, as_make(read.plan, classes=found.classes, channels=found.channels, held_out=held_out))


def place_case(case: Listed, images: Path, dataset: Dataset) -> None:
    """Put the files of a case where the study looks for them."""
    if case.label is not None:
        place(case.label, images.with_name(LABELS) / f"{case.name}{ending_of(case.label.name)}")
    if dataset.stacked:
        for number, channel in enumerate(read_channels(case.images[0])):
            path = images / channel_name(case.name, number, channel.geometry.ending)
            write_volume(path, channel.array, channel.geometry)
        if case.images[0].is_relative_to(images.parent):  # unpacked from a .tar
            case.images[0].unlink()
        return
    for number, image in enumerate(case.images):
        name = channel_name(case.name, number, ending_of(image.name), single=dataset.single)
        place(image, images / name)


def channel_name(case: str, number: int, ending: str, *, single: bool = False) -> str:
    """Return the name of a channel's file: ``CASE_0000.nii.gz``, or ``CASE.nii.gz`` of a single one."""
    return f"{case}{ending}" if single else f"{case}_{number:04d}{ending}"


def place(source: Path, target: Path) -> None:
    """Link a user's file; nothing of it is copied, and it is never written."""
    if source.is_relative_to(target.parent.parent):  # an unpacked member of a .tar
        if source != target:
            source.rename(target)
    else:
        target.symlink_to(source.absolute())


def as_json(dataset: Dataset) -> dict[str, Any]:
    """Return what the preparation needs to know."""
    return {
        "classes": list(dataset.classes),
        "values": {str(value): k for value, k in dataset.values.items()},
        "channels": list(dataset.channels),
        "ending": written_as(dataset.ending) if dataset.stacked else dataset.ending,
        "single": dataset.single,
        "cases": [case.name for case in dataset.training],
    }
