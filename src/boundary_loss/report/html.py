"""Pieces of HTML that several sections share. Every name is escaped."""

import base64
import re
from collections.abc import Sequence
from html import escape

from boundary_loss.figures.drawing import LIGHT, LINES, MANY, dash, marker


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}".replace(",", "\u202f")


MARKS = {
    "o": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "s": "M-3.6-3.6h7.2v7.2h-7.2z", "D": "M0-4.9L4.9 0L0 4.9L-4.9 0z",
    "^": "M0-4.7L4.7 3.7h-9.4z", "v": "M0 4.7L4.7-3.7h-9.4z",
    "P": "M-1.6-4.8h3.2v3.2h3.2v3.2h-3.2v3.2h-3.2v-3.2h-3.2v-3.2h3.2z",
    "X": "M-2.7-5L0-2.3L2.7-5L5-2.7L2.3 0L5 2.7L2.7 5L0 2.3L-2.7 5L-5 2.7L-2.3 0L-5-2.7z",
}  # fmt: skip
"""Matplotlib's markers as SVG paths around 0, so that curves on a page look like those in the plots."""


def mark(i: int) -> str:
    """The path of a run's mark."""
    return MARKS[marker(i)]


def dashes(i: int) -> str:
    """Return a run's line style as ``stroke-dasharray``; empty for a solid line."""
    line = dash(i)
    return "" if line == LINES[0] else " ".join(f"{2 * length:g}" for length in line[1])


def key(i: int) -> str:
    """The mark in a run's colour, on its line where there are more runs than colours."""
    width = 12 if i < MANY else 30
    line = f'<path d="M{-width / 2:g} 0h{width}" stroke-dasharray="{dashes(i)}"/>' if i >= MANY else ""
    colour = f"var(--run{i % len(LIGHT.colours)})"
    return (
        f'<svg class="key" aria-hidden="true" width="{width}" height="12" viewBox="{-width / 2:g} -6 {width} 12" '
        f'style="--own:{colour}">{line}<path class="mark" d="{mark(i)}"/></svg>'
    )


def named(i: int, label: str) -> str:
    """Return a run's mark and name for a table; the name may be broken after its words."""
    broken = re.sub(r"(?<=[_/,-])(?=.)", "<wbr>", escape(label))
    return f'{key(i)}<span class="name">{broken}</span>'


def download(text: str, name: str, kind: str, label: str) -> str:
    """A link that saves ``text`` as a file, from within the page."""
    content = base64.b64encode(text.encode()).decode("ascii")
    return f'<a class="button" download="{escape(name)}" href="data:{kind};base64,{content}">{escape(label)}</a>'


def paragraphs(texts: Sequence[str], kind: str = "notice") -> str:
    return f'<div class="{kind}">' + "".join(f"<p>{escape(text)}</p>" for text in texts) + "</div>" if texts else ""


def bullets(texts: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>" if texts else ""


def tidy(word: str) -> str:
    """A word of a command without the folders of one machine: ``/home/me/data/ISLES`` -> ``…/ISLES``."""
    return re.sub(r"(^|[=:])(?:[A-Za-z]:)?[/\\](?:[^/\\]+[/\\])*([^/\\]+)[/\\]?$", r"\1…/\2", word)
