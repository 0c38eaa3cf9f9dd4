"""The slicing command: check every case, split by patient, cut in parallel, publish one folder."""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from boundary_loss import command
from boundary_loss.files import new_folder, read_json, write_json
from boundary_loss.folders.sliced import (
    GRIDS,
    IMAGES,
    LABELS,
    LABELS_PNG,
    MAPS_3D,
    SETS,
    SLICING,
    SPACING,
    SPACING_3D,
    SPLIT,
    SlicedFolder,
)
from boundary_loss.folders.split import Split
from boundary_loss.names import checked_name
from boundary_loss.preparation.checks import check_case, refuse_faulty
from boundary_loss.preparation.options import add_header_options
from boundary_loss.preparation.shown import Preparation
from boundary_loss.preparation.slices import Cut, cut_case
from boundary_loss.preparation.split import draw_split, read_split
from boundary_loss.preparation.study import Case, Recipe, Study
from boundary_loss.preparation.workers import workers
from boundary_loss.unpack import read_source


def run(study: Study) -> None:
    """The command of ``preprocess/slice_STUDY.py``."""
    command.run(lambda: main(study, sys.argv[1:]))


def main(study: Study, argv: list[str]) -> None:
    args = arguments(study, argv)
    words = command.settings(argv, beside=("--workers", "--fresh"))
    if command.refuse_other_settings(args.dest, words, fresh=args.fresh):
        refuse_other_sources(args.dest, args.source, args.split)
        print(f"{args.dest} is already sliced")
        return
    recipe = recipe_of(study, args)
    cases = find_cases(study, args.source)
    patients = sorted({case.patient for case in cases})
    if args.split:
        split = read_split(args.split, patients)
    else:
        split = draw_split(patients, retain=args.retain, fold=args.fold, seed=args.seed)

    with workers(min(args.workers, len(cases))) as spread:
        reports = spread("checking cases", check_case, [(case, recipe) for case in cases])
        refuse_faulty(study, cases, reports, recipe)
        with new_folder(args.dest) as grown:
            side = dict.fromkeys(split.train, "train") | dict.fromkeys(split.val, "val")
            make_folders(grown, recipe)
            jobs = [(case, recipe, side[case.patient], grown) for case in cases]
            cuts = spread(f"slicing {args.dest}", cut_case, jobs)
            sides = [side[case.patient] for case in cases]
            write_records(grown, study, recipe, split, list(zip(sides, cuts)), args.source)
            command.record(grown, words)
    report(args.dest, split)


def arguments(study: Study, argv: list[str]) -> argparse.Namespace:
    parser = command.parser(f"Cut the unpacked volumes of {study.name} into slices: {study.expects}.")
    parser.add_argument("dest", type=Path, help="folder to make, as data/ISLES")
    parser.add_argument("--source", type=Path, required=True, help="unpacked folder")
    parser.add_argument("--retain", type=int, help="number of patients to hold out for validation")
    parser.add_argument("--fold", type=int, default=0, help="which lot of patients to hold out; folds do not overlap")
    parser.add_argument("--seed", type=int, default=0, help="of the split and of augmentation")
    parser.add_argument("--split", type=Path, help="reuse a split.json instead of drawing (--retain is not needed)")
    shape = "the slices' own" if study.shape is None else "{} {}".format(*study.shape)
    parser.add_argument("--shape", type=int, nargs=2, metavar=("X", "Y"), help=f"resize slices; otherwise {shape}")
    parser.add_argument("--n_augment", type=int, default=0, help="altered copies of every training slice")
    parser.add_argument("--discard_negatives", action="store_true", help="leave out training slices without object")
    parser.add_argument("--ignore", action="store_true", help="ignored labels count in no loss and no metric")
    add_header_options(parser)
    parser.add_argument("--workers", type=int, default=command.num_cores(), help="processes")
    parser.add_argument("--fresh", action="store_true", help="move an existing folder aside and make it anew")
    args = parser.parse_args(argv)
    if args.retain is None and args.split is None:
        parser.error("give --retain NUMBER (patients to hold out) or --split FILE")
    if args.n_augment < 0 or args.workers < 1 or (args.shape and min(args.shape) < 1):
        parser.error("--n_augment must be 0 or more, --workers and both numbers of --shape at least 1")
    return args


def recipe_of(study: Study, args: argparse.Namespace) -> Recipe:
    return Recipe(
        modalities=study.modalities,
        num_classes=len(study.classes),
        values=Recipe.values_of(study, ignore=args.ignore),
        shape=tuple(args.shape) if args.shape else study.shape,
        pictures=study.pictures,
        n_augment=args.n_augment,
        discard_negatives=args.discard_negatives,
        seed=args.seed,
        trust_affine=args.trust_affine,
        spacing_mm=args.spacing,
    )


def find_cases(study: Study, source: Path) -> list[Case]:
    if not source.is_dir():
        raise FileNotFoundError(f"no folder at {source}; unpack the archives first")
    cases = study.find(source)
    if not cases:
        raise FileNotFoundError(f"no case in {source}; expected {study.expects}")
    for case in cases:
        checked_name(case.volume, "case", source)
        checked_name(case.patient, "patient", source)
    return cases


def refuse_other_sources(dest: Path, source: Path, split: Path | None) -> None:
    """Stop where the same words would now make something else: another archive unpacked, another split written."""
    if source.is_dir() and read_source(source) != SlicedFolder(dest).about.source:
        raise command.Stop(
            f"{source} was unpacked anew from other archives since {dest} was made; FRESH=1 slices it again"
        )
    if split and split.is_file():
        old = Split.read(dest / SPLIT, remedy=f"remove {dest} and slice it again")
        new = Split.read(split, remedy="give another one, or draw one without --split")
        if (sorted(old.train), sorted(old.val)) != (sorted(new.train), sorted(new.val)):
            raise command.Stop(f"{split} has changed since {dest} was made; FRESH=1 slices it again")


def make_folders(folder: Path, recipe: Recipe) -> None:
    arrays = () if recipe.pictures else (IMAGES, LABELS, MAPS_3D)
    for which in SETS:
        for name in (LABELS_PNG, *recipe.modalities, *arrays):
            (folder / which / name).mkdir(parents=True)


def write_records(
    folder: Path, study: Study, recipe: Recipe, split: Split, cuts: Sequence[tuple[str, Cut]], unpacked: Path
) -> None:
    """The JSON files: what the slices are, where they come from, how large their voxels are and where they lay."""
    source = read_source(unpacked)
    for which in SETS:
        spacing = {stem: list(cut.spacing_mm[:2]) for side, cut in cuts if side == which for stem in cut.stems}
        write_json(folder / which / SPACING, dict(sorted(spacing.items())))
    write_json(folder / SPACING_3D, {cut.volume: list(cut.spacing_mm) for _, cut in cuts})
    grids = {
        cut.volume: {"file": cut.source.relative_to(unpacked).as_posix()} | cut.geometry.as_json() for _, cut in cuts
    }
    write_json(folder / GRIDS, grids)
    write_json(folder / SPLIT, split.as_json())
    digests = {name: digest for _, cut in cuts for name, digest in cut.digests.items()}
    about = {
        "study": study.name,
        "classes": list(study.classes),
        "modalities": list(study.modalities),
        "shape": list(recipe.shape) if recipe.shape else "native",
        "orientation": {cut.volume: cut.orientation for _, cut in cuts},
        "patient": {cut.volume: cut.patient for _, cut in cuts},
        "preparation": preparation(study, recipe, [cut for _, cut in cuts]).as_json(),
        "kinds": sorted({name.split("/")[1] for name in digests} | set(study.modalities)),
        "checksum": checksum(digests),
        "ratio": {which: ratio([cut for side, cut in cuts if side == which]) for which in SETS},
        "phantom": source is not None and source.phantom,
        "source": None if source is None else source.to_json(),
        "options": {
            "seed": recipe.seed,
            "n_augment": recipe.n_augment,
            "discard_negatives": recipe.discard_negatives,
            "values": {str(value): k for value, k in recipe.values.items()},
            "trust_affine": recipe.trust_affine,
            "spacing_mm": list(recipe.spacing_mm) if recipe.spacing_mm else None,
        },
    }
    write_json(folder / SLICING, about)


def preparation(study: Study, recipe: Recipe, cuts: Sequence[Cut]) -> Preparation:
    """What a network that learns from these slices has to remember of them."""
    origins = [
        min((value for value, own in recipe.values.items() if own == k), default=k) for k in range(recipe.num_classes)
    ]
    return Preparation(
        shape=recipe.shape,
        pictures=recipe.pictures,
        label_values=tuple(origins),
        layout=study.layout,
        orientations=tuple(sorted({cut.orientation for cut in cuts})),
    )


def checksum(digests: dict[str, str]) -> str:
    """One sha256 over the sorted names and digests of all arrays that training reads."""
    lines = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def ratio(cuts: Sequence[Cut]) -> dict[str, float]:
    """Voxels with and without an object (ignored ones are neither) and slices; altered copies are not counted."""
    positive, negative = sum(cut.positive for cut in cuts), sum(cut.negative for cut in cuts)
    return {
        "volumes": len(cuts),
        "slices": sum(cut.num_slices for cut in cuts),
        "slices_with_object": sum(cut.num_with_object for cut in cuts),
        "positive": positive,
        "negative": negative,
        "ratio": positive / max(negative, 1),
    }


def report(dest: Path, split: Split) -> None:
    about = read_json(dest / SLICING)
    fold = "" if split.fold is None else f", fold {split.fold} of {split.folds}"
    print(f"{dest}: {len(split.train)} patients to train on, {len(split.val)} held out{fold}")
    for which in SETS:
        counts = about["ratio"][which]
        print(
            f"  {which}: {counts['slices']} slices of {counts['volumes']} volumes, "
            f"{counts['slices_with_object']} with an object; "
            f"positive/negative voxels {counts['positive']}/{counts['negative']} = {counts['ratio']:.5f}"
        )
