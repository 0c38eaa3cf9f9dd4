"""The command that prepares data: check every case, split by patient, prepare in parallel, publish one folder."""

import argparse
import sys
from pathlib import Path

from boundary_loss import command
from boundary_loss.files import new_folder, read_json
from boundary_loss.folders import records
from boundary_loss.folders.prepared import SETS, SPLIT
from boundary_loss.folders.source import SOURCE, Source
from boundary_loss.folders.split import Split
from boundary_loss.names import checked_name
from boundary_loss.preparation.checks import check_case, refuse_faulty
from boundary_loss.preparation.options import add_header_options
from boundary_loss.preparation.recording import Kind
from boundary_loss.preparation.slices import SLICES
from boundary_loss.preparation.split import draw_split, fold_of, in_words, read_split, splits_in
from boundary_loss.preparation.study import Case, Recipe, Study
from boundary_loss.preparation.whole import VOLUMES, Kept, link_arrays, standing
from boundary_loss.preparation.workers import workers
from boundary_loss.unpack import read_source

KINDS = {"slices": SLICES, "volumes": VOLUMES}


def run(study: Study) -> None:
    """The command of ``preprocess/slice_STUDY.py`` and ``preprocess/prepare_STUDY.py``."""
    command.run(lambda: main(study, sys.argv[1:]))


def main(study: Study, argv: list[str]) -> None:
    kind = KINDS[study.kind]
    args = arguments(study, argv)
    words = command.settings(argv, beside=("--workers", "--fresh", "--link"))
    if command.refuse_other_settings(args.dest, words, fresh=args.fresh):
        refuse_other_sources(kind, args.dest, args.source, args.split, args.fold)
        print(f"{args.dest} is already {kind.done}")
        return
    if study.kind == "volumes":
        study = study.of_modalities(args.modalities)
    recipe = recipe_of(study, args)
    cases = find_cases(study, args.source)
    patients = sorted({case.patient for case in cases})
    if args.split:
        split = read_split(args.split, patients, args.fold)
        print(in_words(args.split, split))
    else:
        split = draw_split(patients, retain=args.retain, fold=args.fold, seed=args.seed)

    side = dict.fromkeys(split.train, "train") | dict.fromkeys(split.val, "val")
    sides = [side[case.patient] for case in cases]

    def record(grown: Path, prepared: list) -> None:
        sided = list(zip(sides, prepared))
        for doubt in kind.doubts(sided):
            print(f"warning: {doubt}")
        kind.write_records(grown, study, recipe, split, sided, args.source)
        command.record(grown, words)

    if linked := standing_arrays(kind, args, words, cases):
        with new_folder(args.dest) as grown:
            link_arrays(args.link, grown)
            record(grown, linked)
        print(f"{args.dest}: its arrays are those of {args.link}, linked")
    else:
        with workers(min(args.workers, len(cases))) as spread:
            reports = spread("checking cases", check_case, [(case, recipe) for case in cases])
            refuse_faulty(study, cases, reports, recipe)
            with new_folder(args.dest) as grown:
                kind.make_folders(grown, recipe)
                jobs = [(case, recipe, which, grown) for case, which in zip(cases, sides)]
                record(grown, spread(f"{kind.doing} {args.dest}", kind.prepare, jobs))
    report(kind, args.dest, split)


def arguments(study: Study, argv: list[str]) -> argparse.Namespace:
    into = "Cut the unpacked volumes of {} into slices" if study.kind == "slices" else "Prepare the volumes of {}"
    parser = command.parser(f"{into.format(study.name)}: {study.expects}.")
    parser.add_argument("dest", type=Path, help="folder to make, as data/ISLES")
    parser.add_argument("--source", type=Path, required=True, help="unpacked folder")
    parser.add_argument("--retain", type=int, help="number of patients to hold out for validation")
    parser.add_argument("--fold", type=int, default=0, help="which lot of patients to hold out; folds do not overlap")
    parser.add_argument("--seed", type=int, default=0, help="of the split and of augmentation")
    files = "split.json, nnU-Net's splits_final.json, or a text file with a held-out patient a line"
    parser.add_argument("--split", type=Path, metavar="FILE", help=f"instead of drawing (without --retain): {files}")
    KINDS[study.kind].add_options(parser, study)
    parser.add_argument("--ignore", action="store_true", help="ignored labels count in no loss and no metric")
    add_header_options(parser)
    parser.add_argument("--workers", type=int, default=command.num_cores(), help="processes")
    parser.add_argument("--fresh", action="store_true", help="move an existing folder aside and make it anew")
    args = parser.parse_args(argv)
    if args.retain is None and args.split is None:
        parser.error("give --retain NUMBER (patients to hold out) or --split FILE")
    if args.workers < 1:
        parser.error("--workers must be at least 1")
    return args


def standing_arrays(kind: Kind, args: argparse.Namespace, words: list[str], cases: list[Case]) -> list[Kept]:
    """What ``--link`` names and holds of these cases, if it differs in nothing but the split; otherwise nothing."""
    if kind is not VOLUMES or args.link is None or args.link == args.dest:
        return []
    return standing(args.link, words, cases, args.source)


def recipe_of(study: Study, args: argparse.Namespace) -> Recipe:
    return Recipe(
        modalities=study.modalities,
        num_classes=len(study.classes),
        values=Recipe.values_of(study, ignore=args.ignore),
        pictures=study.pictures,
        seed=args.seed,
        trust_affine=args.trust_affine,
        spacing_mm=args.spacing,
        **KINDS[study.kind].settings(study, args),
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


def refuse_other_sources(kind: Kind, dest: Path, source: Path, split: Path | None, fold: int) -> None:
    """Stop where the same words would now make something else: another archive unpacked, another split written."""
    remedy = f"remove {dest} and make it again"
    about = records.read_record(dest / kind.record, {"source": SOURCE}, remedy=remedy)
    if source.is_dir() and read_source(source) != Source.recorded(about.get("source")):
        raise command.Stop(
            f"{source} was unpacked anew from other archives since {dest} was made; FRESH=1 {kind.again}"
        )
    if split and split.is_file():
        old = Split.read(dest / SPLIT, remedy=remedy)
        new = fold_of(split, splits_in(split, old.train + old.val), fold)
        if (sorted(old.train), sorted(old.val)) != (sorted(new.train), sorted(new.val)):
            raise command.Stop(f"{split} has changed since {dest} was made; FRESH=1 {kind.again}")


def report(kind: Kind, dest: Path, split: Split) -> None:
    about = read_json(dest / kind.record)
    fold = "" if split.fold is None else f", fold {split.fold} of {split.folds}"
    print(f"{dest}: {len(split.train)} patients to train on, {len(split.val)} held out{fold}")
    for which in SETS:
        counts = about["ratio"][which]
        print(
            f"  {which}: {counts['slices']} slices of {counts['volumes']} volumes, "
            f"{counts['slices_with_object']} with an object; "
            f"positive/negative voxels {counts['positive']}/{counts['negative']} = {counts['ratio']:.5f}"
        )
