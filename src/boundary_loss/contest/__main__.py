"""Write one report over several data sets: which losses are shown to differ from the base, and how they rank.

    python -m boundary_loss.contest results/contest --base ce_dice \\
        --set acdc --about 'heart in cine MRI' --rows ce_dice ce_dice_boundary --seeds 0 1 2 --set atria ...

The folder holds a study of each set, with runs SET/ROW/seedN as contest.make trains them. What is not finished is said.
Writes contest.html, .md, .csv, .tex, .txt (the sentences) and two plots there; with --page also the marked section of a
Markdown page, and its pictures beside it.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from boundary_loss import command
from boundary_loss.command import Stop
from boundary_loss.contest import pictures
from boundary_loss.contest.page import page
from boundary_loss.contest.reading import may_be_written, undecided
from boundary_loss.contest.result import Result, collect
from boundary_loss.contest.section import rewritten
from boundary_loss.contest.sets import Asked, read_set
from boundary_loss.contest.tables import csv_of, latex, markdown, standing_rows
from boundary_loss.figures.drawing import Figure, to_png
from boundary_loss.files import write_bytes, write_text
from boundary_loss.names import checked_name
from boundary_loss.statistics.tables import aligned

SET = "--set"


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = command.parser("One report over the sets of a contest of losses.")
    parser.add_argument("folder", type=Path, help="of the results: results/contest")
    parser.add_argument("--base", default="ce_dice", help="the row that the others are compared with")
    parser.add_argument(
        "--when", choices=("last", "best"), default="last", help="epoch: the best is chosen on the reported cases"
    )
    parser.add_argument("--page", type=Path, help="a Markdown page whose marked section is rewritten")
    return parser.parse_args(words)


def asked_set(words: Sequence[str]) -> Asked:
    parser = command.parser("What follows --set.")
    parser.add_argument("name")
    parser.add_argument("--about", default="")
    parser.add_argument("--note", default="")
    parser.add_argument("--rows", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", required=True)
    args = parser.parse_args(words)
    for name in (args.name, *args.rows, *args.seeds):
        checked_name(name, "set, row or seed", "the command line")
    return Asked(name=args.name, about=args.about, note=args.note, rows=tuple(args.rows), seeds=tuple(args.seeds))


def write(result: Result, folder: Path, to_page: Path | None) -> list[Path]:
    """Write everything, each file whole, and return the places."""
    drawn: dict[str, Figure | None] = {
        "contest_gains.png": pictures.forest(result),
        "contest_ranks.png": pictures.ranks(result),
    }
    images = {name: to_png(figure) for name, figure in drawn.items() if figure is not None}
    captions = {
        "contest_gains.png": "Gain of every row over the base, by set",
        "contest_ranks.png": "Mean ranks over the sets",
    }
    texts = {
        "contest.html": page(result, {captions[name]: png for name, png in images.items()}, folder),
        "contest.md": markdown(result, tuple(images)),
        "contest.csv": csv_of(result),
        "contest.tex": latex(result),
        "contest.txt": "\n".join([*may_be_written(result), *undecided(result)]) + "\n",
    }
    for name, png in images.items():
        write_bytes(folder / name, png)
    for name, text in texts.items():
        write_text(folder / name, text)
    if to_page:
        new = rewritten(to_page.read_text(encoding="utf-8"), texts["contest.md"], to_page)
        for name, png in images.items():
            write_bytes(to_page.parent / name, png)
        write_text(to_page, new)
    return [folder / name for name in texts]


def say(result: Result) -> None:
    for text in result.warnings:
        print(f"*** {text} ***")
    print(f"\n{aligned(standing_rows(result))}\n")
    for text in may_be_written(result) or ["No comparison shows a difference."]:
        print(text)
    left = len(result.claims.all) - len(result.claims.shown)
    print(
        f"\nNothing can be concluded in {left} of {len(result.claims.all)} comparisons with {result.base}: contest.txt"
    )
    for text in result.notes:
        print(f"note: {text}")


def main() -> None:
    groups = [(is_mark, list(group)) for is_mark, group in groupby(sys.argv[1:], SET.__eq__)]
    args = arguments(groups[0][1] if groups and not groups[0][0] else [])
    asked = [asked_set(words) for is_mark, words in groups[1:] if not is_mark]
    if not asked:
        raise Stop("no set is named: --set acdc --rows ce_dice ce_dice_boundary --seeds 0 1 2, as contest.make does it")
    if args.page and not args.page.is_file():
        raise FileNotFoundError(f"no page at {args.page}, whose marked section would be rewritten")
    result = collect([read_set(args.folder / each.name, each) for each in asked], args.base, args.when)
    say(result)
    print("  ".join(map(str, write(result, args.folder, args.page))))


if __name__ == "__main__":
    command.run(main)
