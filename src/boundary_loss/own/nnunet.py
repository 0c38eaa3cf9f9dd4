"""The layout of nnU-Net v2 (Isensee et al., Nature Methods 2021; documentation/dataset_format.md of its repository).

DatasetXXX_Name/{dataset.json, imagesTr, labelsTr, imagesTs}, a file a channel, ``CASE_0000.nii.gz``, and labels
``CASE.nii.gz``; labels are declared as ``{"background": 0, "lesion": 1}``, regions as lists of values, in the order in
which ``regions_class_order`` writes them, and an ignored label as the last one.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from boundary_loss.own.dataset import (
    JSON,
    MOST_CLASSES,
    NNUNET,
    Dataset,
    Faults,
    Listed,
    about_of,
    check_case_names,
    check_count,
    numbered_names,
    safe_names,
    shortened,
)
from boundary_loss.preparation.study import GT, shown
from boundary_loss.shapes import IGNORED
from boundary_loss.volumes import READ

IGNORE = "ignore"
NEEDS = ("channel_names", "labels", "numTraining", "file_ending")


def is_nnunet(content: Mapping[str, Any]) -> bool:
    """Whether this is the dataset.json of nnU-Net v2: it calls channels ``channel_names``."""
    return "channel_names" in content


def read_nnunet(root: Path, content: Mapping[str, Any], faults: Faults) -> Dataset:
    """Return what a data set of nnU-Net v2 declares; what is wrong with it is added to ``faults``."""
    faults += [f"{JSON} does not say '{key}'" for key in NEEDS if key not in content]
    if "modality" in content:
        faults.append(f"{JSON}: 'modality' beside 'channel_names'; the former is of the Decathlon, remove one of them")
    ending = _ending(content.get("file_ending", ""), faults)
    channels = numbered_names(content.get("channel_names", {}), "channel_names", faults)
    classes, values, remarks = _labels(content, faults)
    stacked = is_stacked(root, ending, len(channels))
    training, test = _cases(root, content, ending, 1 if stacked else len(channels), faults)
    check_count(content, "numTraining", len(training), "cases with image and label", faults)
    check_case_names([case.name for case in (*training, *test)], faults)
    return Dataset(
        layout=NNUNET,
        classes=safe_names(classes),
        values=values,
        channels=safe_names(channels, taken=(GT,)),
        normalisations=tuple(channels),
        ending=ending,
        training=tuple(training),
        test=tuple(test),
        stacked=stacked,
        remarks=tuple(remarks),
        about=about_of(content),
    )


def _ending(declared: Any, faults: Faults) -> str:
    """Return the ending of files' names, if they can be read."""
    if not isinstance(declared, str) or declared not in READ:
        faults.append(
            f"{JSON}: 'file_ending' is {declared!r:.30}; read are {', '.join(READ)}. Convert the files, for "
            "example with SimpleITK, or declare the ending that they have"
        )
        return ""
    return declared


def _labels(content: Mapping[str, Any], faults: Faults) -> tuple[list[str], dict[int, int], list[str]]:
    """Return the classes' names, the class of each label value, and what has to be said of them."""
    declared = content.get("labels", {})
    if not isinstance(declared, dict) or any(_values(value) is None for value in declared.values()):
        faults.append(
            f'{JSON}: \'labels\' is {declared!r:.60}; expected {{"background": 0, "name": 1, "region": [1, 2]}}. '
            'Names come first: the Decathlon\'s {"0": "background"} goes with its \'modality\''
        )
        return [], {}, []
    if declared.get("background") != 0:
        faults.append(f"{JSON}: 'labels' must have \"background\": 0")
    found = {name: _values(value) or () for name, value in declared.items()}
    _check_values(declared, found, faults)
    objects = sorted({value for name, own in found.items() if name != IGNORE for value in own} - {0})
    if not objects:
        faults.append(f"{JSON}: 'labels' names no class beside the background")
    if len(objects) > MOST_CLASSES:
        faults.append(f"{JSON}: {len(objects)} label values; at most {MOST_CLASSES} classes are trained")
    regions = [name for name, value in declared.items() if isinstance(value, list)]
    order = content.get("regions_class_order")
    if regions:
        names, remarks = _of_regions(objects, found, order, faults), [_said(regions, objects)]
    else:
        single = {own[0]: name for name, own in found.items() if name != IGNORE}
        names, remarks = [single.get(value, f"label {value}") for value in objects], []
    values = {0: 0} | {value: k for k, value in enumerate(objects, 1)}
    if found.get(IGNORE):
        values[found[IGNORE][0]] = IGNORED
        remarks.append(f"label {found[IGNORE][0]} is ignored: it counts in no loss and no metric")
    return ["background", *names], values, remarks


def _values(value: Any) -> tuple[int, ...] | None:
    """Return the label values of an entry of ``labels``; None if they are not whole numbers from 0."""
    own = value if isinstance(value, list) else [value]
    fits = own and all(isinstance(each, int) and not isinstance(each, bool) and 0 <= each < 1 << 16 for each in own)
    return tuple(own) if fits else None


def _check_values(declared: Mapping[str, Any], found: Mapping[str, Sequence[int]], faults: Faults) -> None:
    """Note values that are not consecutive, or doubly declared, and an ignored label that is not the last."""
    if isinstance(declared.get(IGNORE), list):
        faults.append(f"{JSON}: the label '{IGNORE}' is a list; it is one value, the last")
    every = sorted({value for own in found.values() for value in own})
    if every and every != list(range(every[-1] + 1)):
        gaps = sorted(set(range(every[-1] + 1)) - set(every))
        faults.append(f"{JSON}: 'labels' must be consecutive; no class has the value {shortened([*map(str, gaps)])}")
    if IGNORE in found and every and found[IGNORE][-1] != every[-1]:
        faults.append(f"{JSON}: the label '{IGNORE}' is {found[IGNORE][-1]}; it must be the last, {every[-1]}")
    single = [own[0] for name, own in found.items() if not isinstance(declared[name], list)]
    if twice := sorted({value for value in single if single.count(value) > 1}):
        faults.append(f"{JSON}: 'labels' gives the value {twice[0]} to two classes")


def _of_regions(objects: Sequence[int], found: Mapping[str, Sequence[int]], order: Any, faults: Faults) -> list[str]:
    """Return a name for each label value: that of the region which the order writes with it, last if there are several.

    The order is that of declaration, in which later regions overwrite earlier ones.
    """
    names = [name for name in found if name not in ("background", IGNORE)]
    if not isinstance(order, list) or len(order) != len(names) or not all(type(value) is int for value in order):
        faults.append(
            f"{JSON}: 'regions_class_order' is {order!r:.40}; with regions in 'labels' it lists the value that each of "
            f"{', '.join(names)} is written with, in this order"
        )
        return [f"label {value}" for value in objects]
    if unknown := [value for value in order if value not in objects]:
        faults.append(f"{JSON}: 'regions_class_order' has {unknown[0]}, which is no value of 'labels'")
    written = dict(zip(order, names, strict=True))
    return [f"{written[value]} {value}" if value in written else f"label {value}" for value in objects]


def _said(regions: Sequence[str], objects: Sequence[int]) -> str:
    return (
        f"regions {', '.join(regions)} overlap: the label values {', '.join(map(str, objects))} that they are made of "
        "are the classes that are trained and reported, and predictions hold these values, as nnU-Net's do"
    )


def is_stacked(root: Path, ending: str, num_channels: int) -> bool:
    """Whether pictures in colour hold the channels, ``CASE_0000.png`` alone, as in nnU-Net's natural images."""
    return ending == ".png" and num_channels > 1 and not any(shown(root / "imagesTr", f"*_0001{ending}"))


def _cases(
    root: Path, content: Mapping[str, Any], ending: str, num_channels: int, faults: Faults
) -> tuple[list[Listed], list[Listed]]:
    """Return the cases with labels and those without; unpaired and missing files are faults."""
    if not ending or not num_channels:
        return [], []
    if "dataset" in content:
        training = _listed(root, content["dataset"], num_channels, faults)
    else:
        training = _found(root, ending, num_channels, faults)
    return training, _apart(root / "imagesTs", ending, num_channels, faults)


def _found(root: Path, ending: str, num_channels: int, faults: Faults) -> list[Listed]:
    """Return the cases of imagesTr and labelsTr."""
    labels = {path.name.removesuffix(ending): path for path in shown(root / "labelsTr", f"*{ending}")}
    images = {case.name: case for case in _apart(root / "imagesTr", ending, num_channels, faults)}
    if alone := sorted(set(images) - set(labels)):
        faults.append(f"{root / 'labelsTr'}: no label of {shortened(alone)}, which imagesTr holds")
    if alone := sorted(set(labels) - set(images)):
        faults.append(
            f"{root / 'imagesTr'}: no image {alone[0]}_0000{ending} of {shortened(alone)}, which labelsTr holds"
        )
    if not labels and not images:
        faults.append(f"{root}: no case; expected imagesTr/CASE_0000{ending} and labelsTr/CASE{ending}")
    return [Listed(name, images[name].images, labels[name]) for name in sorted(images) if name in labels]


def _apart(folder: Path, ending: str, num_channels: int, faults: Faults) -> list[Listed]:
    """Return the cases of a folder whose channels are files of their own."""
    names: dict[str, set[int]] = {}
    odd = []
    for path in sorted(shown(folder, f"*{ending}")):
        name, _, number = path.name.removesuffix(ending).rpartition("_")
        if not name or len(number) != 4 or not number.isdecimal():
            odd.append(path.name)
        else:
            names.setdefault(name, set()).add(int(number))
    if odd:
        faults.append(f"{folder}: no channel in the name of {shortened(odd)}; expected CASE_0000{ending}")
    for name, numbers in names.items():
        if lacking := numbered(set(range(num_channels)) - numbers):
            faults.append(f"{folder}: {name} has no channel {lacking}")
        if more := numbered(numbers - set(range(num_channels))):
            faults.append(f"{folder}: {name} has channel {more}, of {num_channels} declared")
    paths = {name: tuple(folder / f"{name}_{number:04d}{ending}" for number in range(num_channels)) for name in names}
    return [Listed(name, paths[name]) for name in sorted(names)]


def numbered(channels: Iterable[int]) -> str:
    """Return the numbers of channels as names of files have them."""
    return ", ".join(f"{number:04d}" for number in sorted(channels))


def _listed(root: Path, declared: Any, num_channels: int, faults: Faults) -> list[Listed]:
    """Return the cases of the entry ``dataset``, whose paths start at the folder."""
    if not isinstance(declared, dict):
        faults.append(f"{JSON}: 'dataset' is {declared!r:.40}; expected {{case: {{'images': [...], 'label': ...}}}}")
        return []
    cases = []
    for name, entry in declared.items():
        images = entry.get("images") if isinstance(entry, dict) else None
        label = entry.get("label") if isinstance(entry, dict) else None
        found = [*images, label] if isinstance(images, list) else []
        texts = [text for text in found if isinstance(text, str)]
        if len(texts) != num_channels + 1 or len(found) != len(texts):
            faults.append(f"{JSON}: 'dataset' of {name!r:.60} needs {num_channels} 'images' and a 'label'")
            continue
        if variables := [text for text in texts if "$" in text]:
            faults.append(f"{JSON}: 'dataset' names {variables[0]!r:.60}; environment variables are not expanded")
            continue
        paths = [root / text for text in texts]
        faults += [f"{path}: missing, of {name}" for path in paths if not path.is_file()]
        cases.append(Listed(name, tuple(paths[:-1]), paths[-1]))
    return sorted(cases, key=lambda case: case.name)
