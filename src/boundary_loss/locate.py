"""Find where to look in each volume of a study: one box a case, from what a trained network sees on reduced volumes.

    python -m boundary_loss.locate data/ATRIA_CROP --run results/atria/locator --data data/ATRIA --found_by='...'

Writes into a new folder boxes.csv and stats.json (:mod:`boundary_loss.data.boxes`), which trainings take as --boxes.
Its arguments.txt has the settings of the run, not its path: another locator is noticed, and RD may be any folder.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from boundary_loss import command
from boundary_loss.data.boxes import SETS, Boxes, CaseBox, Intensities
from boundary_loss.data.cases import ShownCases
from boundary_loss.data.frame import Box, Shape
from boundary_loss.data.locator import Located, assign_boxes, kept_share, locate, placed
from boundary_loss.files import new_folder
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import BEST_WEIGHTS, RunFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.predict.inference import Predictor
from boundary_loss.preparation.normalisation import Moments
from boundary_loss.preparation.options import at_least
from boundary_loss.training.devices import pick_device
from boundary_loss.training.weights import Weights

BESIDE = ("--run", "--device", "--trust_network", "--fresh")
"""Options that do not shape the boxes; the run does by its settings, which are --found_by."""


def arguments() -> argparse.Namespace:
    parser = command.parser("Find one box a case, in which the other rows of a study look.")
    parser.add_argument("folder", type=Path, help="folder to make: boxes.csv and stats.json, as data/ATRIA_CROP")
    parser.add_argument("--run", type=Path, required=True, help="run of the locator, as results/atria/locator")
    parser.add_argument("--data", type=Path, required=True, help="whole volumes that it was trained on, as data/ATRIA")
    parser.add_argument("--found_by", help="the settings of the run, for the record")
    parser.add_argument(
        "--least", type=float, default=10, help="sum of a plane's probabilities from which on it holds the object"
    )
    parser.add_argument("--buffer", type=at_least(0), default=30, help="voxels around the largest object, in all")
    parser.add_argument("--multiple", type=at_least(1), default=16, help="sides are multiples of so many voxels")
    parser.add_argument("--trust_network", action="store_true", help="import a network that is not of this package")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--fresh", action="store_true", help="set an existing folder aside and make it anew")
    args = parser.parse_args()
    if not 0 < args.least < np.inf:
        parser.error(f"--least {args.least:g} must be above 0")
    return args


def read_locator(path: Path, device: torch.device, *, trust_network: bool) -> Predictor:
    """Read a file of weights.

    Raises:
        ValueError: it cannot be used, or its network was trained on slices.
    """
    weights = Weights.read(path)
    if weights.view is None or not weights.view.of_volumes:
        raise ValueError(f"{path} is of a network of slices, which sees no volume in which to find a box")
    return Predictor(
        net=weights.build(trust_network=trust_network).to(device), num_classes=weights.num_classes,
        temperature=weights.temperature or 1.0, device=device, batch_size=1, softmax=False, view=weights.view,
    )  # fmt: skip


def locate_all(locator: Predictor, data: WholeFolder, least: float) -> dict[str, Located]:
    """What the locator finds in each case of both sets."""
    assert locator.view is not None
    found = {}
    for which in SETS:
        cases = ShownCases(data, which, locator.view)
        for name in tqdm(cases.names, desc=f"{which}: locating", unit="case", leave=False, disable=None):
            source = tuple(data.truth(name).shape)
            parts = cases.parts(name, Box((0,) * len(source), source))
            image = cases.scaled(name, parts[:-1]).to(locator.device)
            found[name] = Located(which, source, locate(locator.logits, image, cases.frame(name), least))
    return found


def boxes_of(
    found: Mapping[str, Located], data: WholeFolder, *, buffer: int, multiple: int, debug: bool
) -> tuple[Shape, dict[str, CaseBox]]:
    """The size of all boxes, and the box of each case.

    Args:
        debug: of a locator that was trained for a trial. If it finds nothing at all, the boxes are whole volumes.

    Raises:
        ValueError: nothing was found in any training case.
    """
    nothing = not any(case.extent for case in found.values() if case.which == "train")
    if not (debug and nothing):
        return assign_boxes(found, data.truth, buffer=buffer, multiple=multiple)
    size = tuple(map(max, *(case.source for case in found.values()), (1,) * 3))
    boxes = {name: placed(None, size, case.source) for name, case in found.items()}
    return size, {
        name: CaseBox(case.which, boxes[name], False, kept_share(data.truth(name), boxes[name]))
        for name, case in found.items()
    }


def intensities_of(data: WholeFolder, cases: Mapping[str, CaseBox]) -> dict[str, Intensities]:
    """Mean and deviation of each modality in the boxes of the training cases; 1 where all values are equal."""
    boxes = {name: case.box for name, case in cases.items() if case.which == "train"}
    pooled = {
        modality: Moments.pooled([Moments.of(data.volume(name, modality)[box.slices]) for name, box in boxes.items()])
        for modality in data.modalities
    }
    return {modality: Intensities(moments.mean, moments.deviation or 1.0) for modality, moments in pooled.items()}


def summary(folder: Path, boxes: Boxes) -> str:
    """A line for each case whose box is in doubt, and one for all."""
    kept = [case.kept for case in boxes.cases.values() if case.which == "val"]
    found = sum(case.found for case in boxes.cases.values())
    size = " x ".join(map(str, boxes.size))
    return "\n".join(
        [
            *(f"warning: {remark}" for remark in boxes.remarks),
            f"{folder}: boxes of {size} voxels, found in {found} of {len(boxes.cases)} cases; on validation they keep "
            f"{100 * float(np.mean(kept)):.4g} % of the object, {100 * min(kept):.4g} % at least",
        ]
    )


def main() -> None:
    args = arguments()
    words = command.settings(sys.argv[1:], BESIDE)
    if command.refuse_other_settings(args.folder, words, fresh=args.fresh):
        print(f"{args.folder} is already there")
        return
    data = PreparedFolder.open(args.data)
    if not isinstance(data, WholeFolder):
        raise ValueError(f"{args.data} holds slices; boxes are found in whole volumes")
    run = RunFolder.find(args.run)
    run.refuse_other_data(data.path, data.classes, data.about.checksum)
    locator = read_locator(run.path / BEST_WEIGHTS, pick_device(args.device), trust_network=args.trust_network)
    found = locate_all(locator, data, args.least)
    size, cases = boxes_of(
        found, data, buffer=args.buffer, multiple=args.multiple, debug=run.record.debug
    )  # fmt: skip
    boxes = Boxes(size=size, cases=cases, intensities=intensities_of(data, cases))
    with new_folder(args.folder) as grown:
        boxes.write(grown)
        command.record(grown, words)
    print(summary(args.folder, boxes))


if __name__ == "__main__":
    command.run(main)
