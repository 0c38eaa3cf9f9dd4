"""The layout of the Medical Segmentation Decathlon (Antonelli et al., Nature Communications 2022).

TaskNN_Name/{dataset.json, imagesTr, labelsTr, imagesTs}, a file a case with the channels as its fourth axis; labels are
declared as ``{"0": "background", "1": "Anterior"}``. The files of nnU-Net v1 have the same dataset.json, and a file a
channel, ``CASE_0000.nii.gz``.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from boundary_loss.own.dataset import (
    DECATHLON,
    JSON,
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
from boundary_loss.preparation.study import GT, volume_names
from boundary_loss.volumes import ending_of, stem_of


def is_decathlon(content: Mapping[str, Any]) -> bool:
    """Whether this is the dataset.json of the Decathlon: it calls channels ``modality``."""
    return "modality" in content and "channel_names" not in content


def read_decathlon(root: Path, content: Mapping[str, Any], faults: Faults) -> Dataset:
    """Return what a Decathlon data set declares; what is wrong with it is added to ``faults``."""
    names, values = _labels(content.get("labels"), faults)
    channels = numbered_names(content.get("modality"), "modality", faults)
    training = _training(root, content.get("training"), len(channels), faults)
    test = _test(root, content.get("test"), len(channels), faults)
    check_count(content, "numTraining", len(training), "cases in 'training'", faults)
    check_case_names([case.name for case in (*training, *test)], faults)
    _check_folders(root, training, faults)
    return Dataset(
        layout=DECATHLON,
        classes=safe_names(names),
        values=values,
        channels=safe_names(channels, taken=(GT,)),
        normalisations=tuple("CT" if name.upper() == "CT" else "zscore" for name in channels),
        ending=ending_of(training[0].images[0].name) if training else "",
        training=tuple(training),
        test=tuple(test),
        stacked=len(channels) > 1 and all(len(case.images) == 1 for case in (*training, *test)),
        about=about_of(content),
    )


def _labels(declared: Any, faults: Faults) -> tuple[list[str], dict[int, int]]:
    """Return the names of the classes and the class of each label value."""
    if not isinstance(declared, dict) or not all(str(key).isdecimal() for key in declared):
        faults.append(f'{JSON}: \'labels\' is {declared!r:.60}; expected {{"0": "background", "1": "name", ...}}')
        return [], {}
    ordered = sorted((int(value), str(name)) for value, name in declared.items())
    if not ordered or ordered[0][0] != 0:
        faults.append(f"{JSON}: 'labels' has no \"0\", the background")
    if len(ordered) < 2:
        faults.append(f"{JSON}: 'labels' names no class beside the background")
    return [name for _, name in ordered], {value: k for k, (value, _) in enumerate(ordered)}


def _training(root: Path, listed: Any, num_channels: int, faults: Faults) -> list[Listed]:
    """Return the cases of ``training``; every entry that cannot be used is a fault."""
    if not isinstance(listed, list) or not listed:
        faults.append(f'{JSON}: \'training\' lists no case; expected [{{"image": ..., "label": ...}}, ...]')
        return []
    cases = []
    for number, entry in enumerate(listed, 1):
        paths = [entry.get(key) if isinstance(entry, dict) else None for key in ("image", "label")]
        if not all(isinstance(path, str) for path in paths):
            faults.append(f"{JSON}: entry {number} of 'training' is {entry!r:.60}; expected an image and a label")
            continue
        image, label = (_inside(root, str(path), faults) for path in paths)
        if image and label and not _hidden(image):
            if not label.is_file():
                faults.append(f"{label}: missing, the label of {image.name}")
            cases.append(Listed(stem_of(image.name), _images(image, num_channels, faults), label))
    _refuse_twice([case.name for case in cases], "training", faults)
    return cases


def _test(root: Path, listed: Any, num_channels: int, faults: Faults) -> list[Listed]:
    """Return the cases of ``test``, which some data sets list as their training, with a label that is not there."""
    entries = listed if isinstance(listed, list) else []
    texts = [entry.get("image") if isinstance(entry, dict) else entry for entry in entries]
    if faulty := [text for text in texts if not isinstance(text, str)]:
        faults.append(f"{JSON}: 'test' holds {faulty[0]!r:.60}; expected paths of images")
    images = [_inside(root, text, faults) for text in texts if isinstance(text, str)]
    cases = [
        Listed(stem_of(image.name), _images(image, num_channels, faults))
        for image in images if image and not _hidden(image)
    ]  # fmt: skip
    _refuse_twice([case.name for case in cases], "test", faults)
    return cases


def _inside(root: Path, text: str, faults: Faults) -> Path | None:
    """Return a path of dataset.json below the folder; one that leaves it is a fault."""
    parts = PurePosixPath(text).parts
    if not parts or text.startswith("/") or ".." in parts or not text.isprintable():
        faults.append(f"{JSON}: the path {text!r:.60} leaves the folder of the data set")
        return None
    return root.joinpath(*parts)


def _hidden(path: Path) -> bool:
    """Whether it is what a Mac leaves beside a file."""
    return path.name.startswith(".")


def _images(image: Path, num_channels: int, faults: Faults) -> tuple[Path, ...]:
    """Return the file of a case, or those of its channels if it came in the layout of nnU-Net v1."""
    if image.is_file():
        return (image,)
    ending = ending_of(image.name)
    apart = tuple(image.with_name(f"{stem_of(image.name)}_{number:04d}{ending}") for number in range(num_channels))
    missing = [path for path in apart if not path.is_file()]
    if len(missing) == len(apart):
        faults.append(f"{image}: missing")
    else:
        faults += [f"{path}: missing" for path in missing]
    return apart


def _refuse_twice(names: list[str], key: str, faults: Faults) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        faults.append(f"{JSON}: '{key}' lists {shortened(twice)} more than once")


def _check_folders(root: Path, training: list[Listed], faults: Faults) -> None:
    """Note labels in labelsTr that no entry of ``training`` names: cases that would be left out unseen."""
    known = {case.label.name for case in training if case.label}
    unknown = [name for name in volume_names(root / "labelsTr") if not any(stem_of(label) == name for label in known)]
    if training and unknown:
        faults.append(f"{JSON}: 'training' does not list {shortened(unknown)}, which labelsTr holds")
