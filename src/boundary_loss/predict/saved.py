"""The predictions that a training saved, as volumes: results/isles/gdl/pred."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from boundary_loss import command
from boundary_loss.files import new_folder, write_json
from boundary_loss.folders.naming import Stem, by_volume
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.predict.restore import Prediction, write_prediction
from boundary_loss.preparation.shown import Preparation
from boundary_loss.volumes import Geometry

ABOUT = "predictions.json"


def write_saved(target: Path, run: RunFolder, data: PreparedFolder, epoch: int | None, words: list[str]) -> None:
    """Write ``target/VOLUME.nii.gz``, or in its source's format, of each validation volume; ``epoch`` None is the best.

    Raises:
        FileNotFoundError: a slice's prediction, or the record of where the voxels lay, is not there.
        ValueError: the data is not what the run was trained on.
        Stop: no volume was predicted whole.
    """
    run.refuse_other_data(data.path, data.classes, data.about.checksum)
    geometries = {volume: Geometry.from_json(data.grid(volume)) for volume in by_volume(run.slices)}
    whole = whole_volumes(run, geometries)
    refuse_missing(run, epoch, [stem for stems in whole.values() for stem in stems])
    if data.preparation is None:
        raise ValueError(f"{data.record_path} does not say how the slices were prepared; slice the data anew")
    preparation = Preparation.from_json(data.preparation, data.record_path, len(data.classes))
    label_values = preparation.label_values
    with new_folder(target) as grown:
        for volume, stems in tqdm(whole.items(), desc="volumes", disable=None, leave=False):
            prediction = Prediction(read_classes(run, epoch, stems))
            write_prediction(grown, volume, prediction, geometries[volume], label_values, data.classes)
        about = {
            "run": run.name,
            "epoch": run.best_epoch if epoch is None else epoch,
            "classes": data.classes,
            "label_values": list(label_values),
            "data_checksum": data.about.checksum,
            "phantom": data.about.phantom,
            "sources": {volume: data.grid(volume)["file"] for volume in whole},
        }
        write_json(grown / ABOUT, about)
        command.record(grown, words)
    print(f"{target}: the predictions of {', '.join(whole)} at epoch {about['epoch']}")


def whole_volumes(run: RunFolder, geometries: dict[str, Geometry]) -> dict[str, list[str]]:
    """``{volume: its slices}`` of the validation volumes that were predicted from the first slice to the last."""
    whole, parts = {}, []
    for volume, stems in by_volume(run.slices).items():
        count = geometries[volume].shape[2]
        if [Stem.parse(stem).position for stem in stems] == list(range(count)):
            whole[volume] = stems
        else:
            parts.append(f"{volume} ({len(stems)} of {count} slices)")
    if parts:
        print(f"left out, as they were not predicted whole: {', '.join(parts)}")
    if not whole:
        raise command.Stop(f"{run.path} holds no whole volume; a debug run predicts a few slices only")
    return whole


def refuse_missing(run: RunFolder, epoch: int | None, stems: list[str]) -> None:
    run.predictions(epoch, stems)  # read and let go: a volume at a time is written, and none if one is missing


def read_classes(run: RunFolder, epoch: int | None, stems: list[str]) -> np.ndarray:
    """(X', Y', Z) uint8, the saved predictions of a volume's slices."""
    layers = run.predictions(epoch, stems)
    highest, count = max(int(layer.max()) for layer in layers), len(run.names["classes"])
    if highest >= count:
        raise ValueError(f"the predictions of {run.path} hold class {highest}; it has classes 0..{count - 1}")
    for stem, layer in zip(stems, layers, strict=True):
        if layer.shape != layers[0].shape:
            shapes = f"{layer.shape}, that of {stems[0]} {layers[0].shape}"
            raise ValueError(f"the prediction of {stem} in {run.path} has the shape {shapes}")
    return np.stack(layers, axis=-1)
