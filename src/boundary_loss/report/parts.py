"""Small pieces of HTML that several sections share. Every name is escaped."""

import base64
import re
from collections.abc import Sequence
from html import escape

from boundary_loss.drawing import LIGHT


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}".replace(",", "\u202f")


def key(i: int) -> str:
    """The dot in a run's colour."""
    return f'<span class="key" style="background:var(--run{i % len(LIGHT.colours)})"></span>'


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
