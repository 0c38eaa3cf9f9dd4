"""Write the page's section on cases without foreground and on those that a run missed."""

from collections.abc import Sequence
from html import escape

from boundary_loss.report.absent import ClassCounts
from boundary_loss.report.html import count, named
from boundary_loss.report.seen import Seen, Unavailable
from boundary_loss.report.table import Scores

INTRODUCTION = (
    "Slices and volumes without an object, and what each run predicted there all the same, at its best epoch. A mean "
    "hides them: in an empty case a single false voxel turns a Dice of 1 into 0."
)


def html(scores: Scores, seen: Seen | Unavailable) -> str:
    if isinstance(seen, Unavailable):
        return '<p class="faint">Not counted: that needs the ground truth.</p>'
    classes = "\n".join(f'<div class="card">{_of_class(scores, found)}</div>' for found in seen.absent)
    return f'<p class="faint">{INTRODUCTION}{_counted(scores)}</p><div class="cards two">{classes}</div>'


def _counted(scores: Scores) -> str:
    """Return a sentence on which runs are counted of rows with several."""
    seeds = list(dict.fromkeys(own[0].seed for own in scores.rows.values() if any(run.seed for run in own)))
    folds = [{run.fold for run in own} for own in scores.rows.values()]
    common = sorted(set.intersection(*folds) - {""})
    of_seeds = f" Of a row's seeds one is counted: {escape(', '.join(seeds))}." if seeds else ""
    of_folds = f" Folds that not every row has are left out; counted: {', '.join(common) or 'none'}."
    return of_seeds + (of_folds if any(of_row != folds[0] for of_row in folds) else "")


def _of_class(scores: Scores, found: ClassCounts) -> str:
    parts = [f"<h3>{escape(found.name)}</h3>", _empty_slices(scores, found)]
    if found.listed:
        table = _table("", ["slice", *scores.labels], [_counts(*row) for row in found.listed])
        title = f"{count(len(found.listed), 'such slice')} with false voxels, the most first"
        parts.append(f"<details><summary>{title}</summary>{table}</details>")
    if found.absent:
        title = f"{len(found.absent)} of {count(found.volumes, 'volume')} have none at all: voxels predicted there"
        parts.append(_table(title, ["volume", *scores.labels], [_counts(*row) for row in found.absent]))
    else:
        parts.append(f"<p>No volume is without {escape(found.name)}.</p>")
    if found.missed:
        rows = [
            _row(escape(volume), _thousands(voxels), escape(", ".join(runs))) for volume, voxels, runs in found.missed
        ]
        table = _table("", ["volume", "true voxels", "not a voxel predicted by"], rows)
        title = f"{count(len(rows), 'volume')} missed altogether by some run"
        parts.append(f"<details><summary>{title}</summary>{table}</details>")
    return "\n".join(parts)


def _empty_slices(scores: Scores, found: ClassCounts) -> str:
    if not found.empty:
        return f"<p>Every one of the {count(found.slices, 'validation slice')} has some.</p>"
    rows = [
        _row(named(i, label), str(false), f"{100 * false / found.empty:.0f} %", _thousands(voxels))
        for i, (label, false, voxels) in enumerate(zip(scores.labels, found.false, found.voxels, strict=True))
    ]
    title = f"{found.empty} of {count(found.slices, 'validation slice')} have none"
    return _table(title, ["run", "of them with false voxels", "share", "false voxels"], rows)


def _row(name: str, *cells: str) -> str:
    """Return a row of a table; the cells are HTML."""
    return f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _counts(name: str, numbers: Sequence[int]) -> str:
    cells = "".join(f"<td{' class=zero' if n == 0 else ''}>{_thousands(n)}</td>" for n in numbers)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _table(title: str, names: Sequence[str], rows: Sequence[str]) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    table = f"<table>{caption}<thead><tr>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")
