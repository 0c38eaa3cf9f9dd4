"""Show contours of the ground truth and of every run over the image, for random or named validation slices.

    python -m boundary_loss.view --data data/ISLES --runs results/isles/gdl results/isles/gdl_surface_steal

It opens a page in the browser, the report's gallery with every case; with --save it writes PNG files.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from boundary_loss import command
from boundary_loss.figures.drawing import Figure, new_figure, save
from boundary_loss.figures.overlays import Look, check_runs, draw_grid, grid_size, read_row
from boundary_loss.figures.selection import check_slices, pick_modality, pick_slices, predicted_stems
from boundary_loss.files import write_text
from boundary_loss.folders.naming import Stem
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.report import gallery
from boundary_loss.report.page import gallery_page
from boundary_loss.statistics.comparison import find_runs, study_of

ROWS_A_PAGE = 6
PAGE = "gallery.html"
ALL = 10_000
ROOM = 80_000_000
"""Bytes of pictures in the page, which is not meant to be shared."""


def has_display() -> bool:
    """True if there is a display on which a browser can open."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def pages(stems: Sequence[str]) -> list[list[str]]:
    return [list(stems[i : i + ROWS_A_PAGE]) for i in range(0, len(stems), ROWS_A_PAGE)]


def fill(figure: Figure, data: PreparedFolder, runs: Sequence[RunFolder], stems: Sequence[str], epoch: int | None,
         look: Look) -> None:  # fmt: skip
    """Draw a page into ``figure`` and set its size."""
    rows = [read_row(data, runs, stem, epoch, look, _title(stem)) for stem in stems]
    figure.set_size_inches(*grid_size(rows, runs))
    when = "each run's best epoch" if epoch is None else f"epoch {epoch}"
    draw_grid(figure, rows, runs, data.classes, look, f"{study_of(runs)}: {when}")


def _title(stem: str) -> str:
    volume, _, index = Stem.parse(stem)
    return f"{volume}, slice {index}"


def show(data: PreparedFolder, runs: Sequence[RunFolder], args: argparse.Namespace, room: int) -> Path:
    """Write the gallery as a page, open it if there is a display, and return its path."""
    wanted = list(dict.fromkeys(Stem.parse(stem).volume for stem in args.slices or []))
    content = gallery.build(
        runs, [data], args.modality, wanted=wanted, num_epochs=ALL if wanted else gallery.NUM_EPOCHS, room=room
    )
    gallery.begin_at(content, args.slices[0] if args.slices else None, args.epoch)
    path = runs[0].home / "view" / PAGE
    write_text(path, gallery_page(runs, content))
    if has_display():
        webbrowser.open(path.resolve().as_uri())
    return path


def write(
    folder: Path, data: PreparedFolder, runs: Sequence[RunFolder], stems: Sequence[str], epoch: int | None, look: Look
) -> list[Path]:
    """Write a PNG for each page, named after its first slice."""
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
    parser.add_argument(
        "--slices", nargs="+", help="names, as case_10_00_0003; default: worst, median, best case first"
    )
    parser.add_argument("--modality", help="image below the contours; default: the last one")
    parser.add_argument("--epoch", type=parse_epoch, default="best", help="an epoch's number, or best")
    files = parser.add_argument_group("as PNG files, for papers and slides")
    files.add_argument("--save", type=Path, help="write pictures into this folder instead of the page")
    files.add_argument("--num", type=int, default=3, help="slices to draw at random where none are named")
    files.add_argument("--seed", type=int, default=0, help="of the draw")
    files.add_argument("--pick", choices=("lesions", "any"), default="lesions", help="draw from those with foreground")
    files.add_argument("--crop", type=int, default=0, help="pixels to cut off on each side")
    files.add_argument("--filled", action="store_true", help="also tint the inside of each class")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    data, runs = PreparedFolder.open(args.data), find_runs(args.runs)
    check_runs(data, runs)
    look = Look(modality=pick_modality(data, args.modality), crop=args.crop, filled=args.filled)
    known = predicted_stems(runs)
    if args.slices:
        check_slices(args.slices, known)
    if args.save is None:
        read_row(data, runs, (args.slices or known)[0], args.epoch, look)  # says which epochs there are
        print(show(data, runs, args, ROOM))
        return
    stems = args.slices or pick_slices(data, known, args.num, args.seed, args.pick)
    for path in write(args.save, data, runs, stems, args.epoch, look):
        print(path)


if __name__ == "__main__":
    command.run(main)
