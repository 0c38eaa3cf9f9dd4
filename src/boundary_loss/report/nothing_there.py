"""Cases without foreground, and those that a run missed: a section of the page."""

from collections.abc import Sequence
from html import escape
from typing import Any

from boundary_loss.report.parts import count, key
from boundary_loss.report.table import Scores

INTRODUCTION = (
    "Slices and volumes without an object, and what each run predicted there all the same, at its best epoch. A mean "
    "hides them: in an empty case a single false voxel turns a Dice of 1 into 0."
)


def html(scores: Scores, seen: dict[str, Any] | str) -> str:
    if isinstance(seen, str):
        return '<p class="faint">Not counted: that needs the ground truth.</p>'
    return f'<p class="faint">{INTRODUCTION}</p>' + "\n".join(_of_class(scores, found) for found in seen["absent"])


def _of_class(scores: Scores, found: dict[str, Any]) -> str:
    parts = [f"<h3>{escape(found['name'])}</h3>"]
    if found["empty"]:
        rows = [
            f'<tr><th scope="row">{key(i)}{escape(label)}</th><td>{false}</td><td>{100 * false / found["empty"]:.0f} %</td>'
            f"<td>{_thousands(voxels)}</td></tr>"
            for i, (label, false, voxels) in enumerate(zip(scores.labels, found["false"], found["voxels"], strict=True))
        ]
        title = f"{found['empty']} of {count(found['slices'], 'validation slice')} have none"
        parts.append(_table(title, ["run", "of them with false voxels", "share", "false voxels"], rows))
    else:
        parts.append(f"<p>Every one of the {count(found['slices'], 'validation slice')} has some.</p>")
    if found["listed"]:
        parts.append(_listed(scores, found["listed"]))
    if found["absent"]:
        title = f"{len(found['absent'])} of {count(found['volumes'], 'volume')} have none at all"
        parts.append(_table(title, ["volume", *scores.labels], [_counts(*row) for row in found["absent"]]))
    else:
        parts.append(f"<p>No volume of the {found['volumes']} is without {escape(found['name'])}.</p>")
    if found["missed"]:
        rows = [
            f'<tr><th scope="row">{escape(volume)}</th><td>{_thousands(voxels)}</td><td>{escape(", ".join(runs))}</td></tr>'
            for volume, voxels, runs in found["missed"]
        ]
        parts.append(_table("Missed altogether", ["volume", "true voxels", "not a voxel predicted by"], rows))
    return "\n".join(parts)


def _listed(scores: Scores, listed: Sequence[tuple[str, list[int]]]) -> str:
    rows = [_counts(*row) for row in listed]
    table = _table("", ["slice", *scores.labels], rows)
    return f"<details><summary>{count(len(listed), 'such slice')} with false voxels, the most first</summary>{table}</details>"


def _counts(name: str, numbers: Sequence[int]) -> str:
    cells = "".join(f"<td{' class=zero' if n == 0 else ''}>{_thousands(n)}</td>" for n in numbers)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _table(title: str, names: Sequence[str], rows: Sequence[str]) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f'<div class="wide"><table>{caption}<thead><tr>{top}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")
