"""Predictions as NIfTI volumes, in the grid, orientation and spacing of the images they belong to.

python -m boundary_loss.predict results/isles/gdl/pred --run results/isles/gdl --data data/ISLES
python -m boundary_loss.predict out --weights results/isles/gdl/best.pkl --source data/isles/TESTING
python -m boundary_loss.predict out --weights dice/best.pkl --locator locator/best.pkl --source data/atria/test
python -m boundary_loss.predict out --weights best.pkl --images A_ct.nii A_cbf.nii A_cbv.nii A_mtt.nii A_tmax.nii
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from boundary_loss import command
from boundary_loss.data import View
from boundary_loss.files import sole_maker
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.inference.decision import ARGMAX
from boundary_loss.predict.cases import CASE, cases_in, given_cases
from boundary_loss.predict.inference import Predictor
from boundary_loss.predict.locating import Locator
from boundary_loss.predict.new import Trained, predict_new
from boundary_loss.predict.saved import write_saved
from boundary_loss.preparation.options import add_header_options, read_spacing
from boundary_loss.settings import DECISIONS
from boundary_loss.training.devices import pick_device
from boundary_loss.training.weights import Weights

BESIDE = ("--device", "--batch_size", "--fresh")  # options that do not shape the result


def arguments() -> argparse.Namespace:
    parser = command.parser("Write predictions as NIfTI volumes in the space of their images.")
    parser.prog = "python -m boundary_loss.predict"
    parser.add_argument("folder", type=Path, help="folder to make: CASE.nii.gz of every case")
    saved = parser.add_argument_group("what a training predicted for its validation volumes")
    saved.add_argument("--run", type=Path, help="run folder, as results/isles/gdl")
    saved.add_argument("--data", type=Path, help="sliced data that the run was validated on, as data/ISLES")
    saved.add_argument("--epoch", default="best", help="number of an epoch, or best")
    new = parser.add_argument_group("or a trained network on new cases")
    new.add_argument("--weights", type=Path, help="a run's best.pkl")
    listed = f"folder of cases in the study's layout, or a .csv list with the columns {CASE} and the modalities"
    new.add_argument("--source", type=Path, help=listed)
    new.add_argument("--images", type=Path, nargs="+", action="append", metavar="FILE",
                     help="the files of one case, in the order of the modalities; may be repeated")  # fmt: skip
    new.add_argument("--locator", type=Path, help="best.pkl of the locator, where the network is shown boxes")
    new.add_argument("--infer", help="another inference than the training's: windows, dense, prior, coarse(stride=4)")
    new.add_argument("--resolution", type=read_spacing, metavar="X,Y,Z",
                     help="mm of a voxel of the predictions, that a network of points is asked at")  # fmt: skip
    new.add_argument("--least", type=float, default=10, help="as the locator was asked for the boxes of the training")
    new.add_argument("--softmax", action="store_true", help="also write the probabilities of every class, float32")
    new.add_argument("--decision", choices=DECISIONS, help="the classes: the most probable (argmax), or those of the "
                     "best expected Dice of the whole case; if not given, as in the training")  # fmt: skip
    new.add_argument("--largest", action="store_true", help="keep the largest piece of each class alone")
    add_header_options(new)
    new.add_argument("--trust_network", action="store_true", help="import a network that is not of this package")
    new.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    new.add_argument("--batch_size", type=int, default=8, help="slices or patches at once")
    parser.add_argument("--fresh", action="store_true", help="set an existing folder aside and make it anew")
    args = parser.parse_args()
    if (args.run is None) == (args.weights is None):
        parser.error("give --run and --data, or --weights and either --source or --images")
    inputs = args.source, args.images, args.spacing, args.locator
    of_new = *inputs, args.softmax, args.largest, args.infer, args.decision, args.resolution
    if args.run is not None and (args.data is None or any(of_new)):
        parser.error("--run needs --data and takes only --epoch: a training saves classes, of its own volumes")
    if args.weights is not None and (args.source is None) == (args.images is None):
        parser.error("--weights needs either --source or --images")
    if not args.least > 0:
        parser.error(f"--least {args.least:g} must be above 0")
    if args.batch_size < 1:
        parser.error("--batch_size must be at least 1")
    return args


def main() -> None:
    args = arguments()
    words = command.settings(sys.argv[1:], BESIDE)
    if args.run is not None:
        predict_saved(args, words)
    else:
        with sole_maker(args.folder):
            predict_cases(args, words)


def predict_saved(args: argparse.Namespace, words: list[str]) -> None:
    if command.refuse_other_settings(args.folder, words, fresh=args.fresh, in_results=True):
        print(f"{args.folder} is already there")
        return
    if args.epoch != "best" and not args.epoch.isdigit():
        raise ValueError(f"EPOCH={args.epoch} is not understood; use best, or the number of an epoch")
    epoch = None if args.epoch == "best" else int(args.epoch)
    write_saved(args.folder, RunFolder.find(args.run), PreparedFolder.open(args.data), epoch, words)


def predict_cases(args: argparse.Namespace, words: list[str]) -> None:
    device = pick_device(args.device)
    weights = Weights.read(args.weights)
    predictor, trained = predictor_of(weights, args, device, args.infer), Trained.of(weights)
    locator = locator_of(weights, args, device)
    if locator is not None:
        trained = replace(trained, locator=locator, digest=f"{trained.digest} {Weights.read(args.locator).digest}")
    if args.images is not None:
        cases = given_cases(args.images, trained.modalities)
    else:
        cases = cases_in(args.source, trained.preparation, trained.modalities)
    believed = trained.recipe(trust_affine=args.trust_affine, spacing_mm=args.spacing)
    if args.resolution and not predictor.is_of_space:
        raise ValueError(
            f"--resolution: the network of {args.weights} answers at the voxels that it is shown, not at points"
        )
    predict_new(
        args.folder, cases, trained, predictor, words, believed, fresh=args.fresh, resolution_mm=args.resolution
    )


def predictor_of(
    weights: Weights, args: argparse.Namespace, device: torch.device, infer: str | None = None
) -> Predictor:  # fmt: skip
    return Predictor(
        net=weights.build(trust_network=args.trust_network).to(device),
        num_classes=weights.num_classes,
        temperature=weights.temperature or 1.0,
        device=device,
        batch_size=args.batch_size,
        softmax=args.softmax,
        largest=args.largest,
        decision=args.decision or weights.decision or ARGMAX,
        view=view_of(weights, infer),
    )


def view_of(weights: Weights, infer: str | None) -> View | None:
    """What a network is shown of a volume, and the inference that was asked for, or that of its training."""
    if weights.view is None or infer is None:
        return weights.view
    return View.parse(weights.view.words["fit"], weights.view.words["sample"], infer)


def locator_of(weights: Weights, args: argparse.Namespace, device: torch.device) -> Locator | None:
    """What finds the boxes of new cases, where the network was trained on boxes.

    Raises:
        ValueError: there is none where it is needed, or one where it is not; or it is of slices, or of other data.
    """
    if weights.box is None:
        if args.locator is not None:
            raise ValueError(f"{weights.path} is of a network that is shown whole volumes; leave --locator out")
        return None
    if args.locator is None:
        size = " x ".join(map(str, weights.box))
        raise ValueError(
            f"{weights.path} is of a network that is shown boxes of {size} voxels; --locator PATH/best.pkl finds them"
        )
    found = Weights.read(args.locator)
    trained = Trained.of(found)
    if found.view is None or found.modalities != weights.modalities:
        raise ValueError(f"{args.locator} is no locator of whole volumes with {', '.join(weights.modalities)}")
    return Locator(
        predictor=predictor_of(found, args, device),
        modalities=trained.modalities,
        preparation=trained.preparation,
        size=weights.box,
        least=args.least,
    )


if __name__ == "__main__":
    command.run(main)
