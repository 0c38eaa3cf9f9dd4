"""Contours of the ground truth and of every run over the image, for random or named validation slices.

    python -m boundary_loss.view --data data/ISLES --runs results/isles/gdl results/isles/gdl_surface_steal

In a window where there is a display; otherwise, or with --save, as PNG files.
"""

import argparse
import difflib
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from boundary_loss import command
from boundary_loss.comparison import find_runs, study_of
from boundary_loss.drawing import new_figure, save
from boundary_loss.naming import Stem
from boundary_loss.overlays import Look, check_runs, draw_grid, grid_size, read_row
from boundary_loss.runfolder import RunFolder
from boundary_loss.slicedfolder import SlicedFolder

ROWS_A_PAGE = 6


def predicted_stems(runs: Sequence[RunFolder]) -> list[str]:
    """The validation slices that every run predicted, sorted; a debug run has a few only."""
    return sorted(set.intersection(*(set(run.names["val"]) for run in runs)))


def pick_slices(data: SlicedFolder, stems: Sequence[str], num: int, seed: int, kind: str) -> list[str]:
    """``num`` slices drawn at random, in order: of those with any foreground (``lesions``), or of ``any``."""
    if num < 1:
        raise ValueError(f"--num {num}: at least one slice is needed to see something")
    shuffled = random.Random(seed).sample(list(stems), len(stems))
    if kind == "any":
        return sorted(shuffled[:num])
    found: list[str] = []
    for stem in shuffled:
        labels = data.labels("val", stem)
        if ((labels > 0) & (labels < len(data.classes))).any():
            found.append(stem)
        if len(found) == num:
            break
    if not found:
        raise ValueError(f"no validation slice of {data.path} has any foreground; --pick any shows others")
    return sorted(found)


def check_slices(stems: Sequence[str], known: Sequence[str]) -> None:
    """Stop at the first slice that no run predicted, and name those that it may have meant."""
    for stem in stems:
        if stem not in known:
            close = difflib.get_close_matches(stem, known, n=5, cutoff=0.3) or list(known[:5])
            raise ValueError(f"'{stem}' is not a validation slice of these runs; close: {', '.join(close)}")


def pick_modality(data: SlicedFolder, wanted: str | None) -> str:
    if wanted is None:
        return data.modalities[-1]
    if wanted not in data.modalities:
        raise ValueError(f"unknown modality '{wanted}'; {data.path} has {', '.join(data.modalities)}")
    return wanted


def has_display() -> bool:
    """Whether a window can be opened at all."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def pages(stems: Sequence[str]) -> list[list[str]]:
    return [list(stems[i : i + ROWS_A_PAGE]) for i in range(0, len(stems), ROWS_A_PAGE)]


def fill(figure: Figure, data: SlicedFolder, runs: Sequence[RunFolder], stems: Sequence[str], epoch: int | None,
         look: Look) -> None:  # fmt: skip
    """Draw a page into ``figure`` and give it the size it needs."""
    rows = [read_row(data, runs, stem, epoch, look, _title(stem)) for stem in stems]
    figure.set_size_inches(*grid_size(rows, len(runs)))
    when = "each run's best epoch" if epoch is None else f"epoch {epoch}"
    draw_grid(figure, rows, runs, data.classes, look, f"{study_of(runs)}: {when}")


def _title(stem: str) -> str:
    volume, _, index = Stem.parse(stem)
    return f"{volume}, slice {index}"


def show(data: SlicedFolder, runs: Sequence[RunFolder], stems: Sequence[str], epoch: int | None, look: Look) -> bool:
    """Open a window a page and wait until they are closed; False where matplotlib finds no toolkit for windows."""
    import matplotlib
    from matplotlib import pyplot

    if matplotlib.get_backend().lower() == "agg":
        return False
    for page in pages(stems):
        fill(pyplot.figure(layout="constrained"), data, runs, page, epoch, look)
    pyplot.show()
    return True


def write(
    folder: Path, data: SlicedFolder, runs: Sequence[RunFolder], stems: Sequence[str], epoch: int | None, look: Look
) -> list[Path]:
    """A PNG a page, named after its first slice."""
    written = []
    for page in pages(stems):
        figure = new_figure()
        fill(figure, data, runs, page, epoch, look)
        more = f"+{len(page) - 1}" if len(page) > 1 else ""
        written.append(folder / f"{page[0]}{more}_{look.modality}_{'best' if epoch is None else f'epoch{epoch}'}.png")
        save(figure, written[-1], dpi=150)
    return written


def parse_epoch(text: str) -> int | None:
    if text == "best":
        return None
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is neither an epoch's number nor 'best'")
    return int(text)


def arguments() -> argparse.Namespace:
    parser = command.parser("Show contours of ground truth and runs over the image.")
    parser.add_argument("--data", type=Path, required=True, help="sliced data, as data/ISLES")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders, as results/isles/gdl")
    which = parser.add_argument_group("which slices")
    which.add_argument("--slices", nargs="+", help="names, as case_10_00_0003; default: drawn at random")
    which.add_argument("--num", type=int, default=3, help="how many to draw at random")
    which.add_argument("--seed", type=int, default=0, help="of the draw")
    which.add_argument("--pick", choices=("lesions", "any"), default="lesions", help="draw from those with foreground")
    how = parser.add_argument_group("how")
    how.add_argument("--modality", help="image below the contours; default: the last one")
    how.add_argument("--epoch", type=parse_epoch, default="best", help="an epoch's number, or best")
    how.add_argument("--crop", type=int, default=0, help="pixels to cut off on each side")
    how.add_argument("--filled", action="store_true", help="also tint the inside of each class")
    how.add_argument("--save", type=Path, help="write PNG files here; default without display: RESULTS/view")
    how.add_argument("--window", action="store_true", help="open a window if there is a display, even with --save")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    data, runs = SlicedFolder.open(args.data), find_runs(args.runs)
    check_runs(data, runs)
    look = Look(modality=pick_modality(data, args.modality), crop=args.crop, filled=args.filled)
    known = predicted_stems(runs)
    if args.slices:
        check_slices(args.slices, known)
    stems = args.slices or pick_slices(data, known, args.num, args.seed, args.pick)
    wants_window = has_display() and (args.window or args.save is None)
    if wants_window and show(data, runs, stems, args.epoch, look):
        return
    for path in write(args.save or runs[0].home / "view", data, runs, stems, args.epoch, look):
        print(path)


if __name__ == "__main__":
    command.run(main)
