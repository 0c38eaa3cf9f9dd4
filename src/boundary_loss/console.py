"""Standard output and error that take any text: whatever the terminal's encoding, whatever a name holds."""

import codecs
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

READABLE = "boundary_loss.readable"
"""Error handler of codecs: what an encoding lacks is spelt with what it has."""
_SPELT = {
    "±": "+/-", "−": "-", "–": "-", "—": "-", "·": "*", "×": "x", "≤": "<=", "≥": ">=", "≈": "~", "→": "->", "…": "...",
    "†": "+", "²": "^2", "³": "^3", "½": "1/2", "√": "sqrt", "∩": "&", "∪": "|", "∂": "d", "∞": "inf", "Σ": "sum",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "eps", "φ": "phi", "σ": "sigma", "µ": "u", "μ": "u",
    "↑": "^", "↓": "v", "‘": "'", "’": "'", "“": '"', "”": '"', "°": " deg", "\u00a0": " ", "\u202f": " ",
}  # fmt: skip
_RAW_BYTES = re.compile("[\udc80-\udcff]+")
"""Bytes of an argument or a file's name that Python could not decode in this locale, as PEP 383 keeps them."""
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Control characters but tab and newline, marks that turn the direction of text, halves of surrogate pairs."""


def spelt(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded: known signs by words, the rest by its number as Python writes it, ``\\xfc``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(_SPELT.get(sign) or _escaped(sign) for sign in found), error.end


codecs.register_error(READABLE, spelt)


def _escaped(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode("ascii") if ord(sign) > 0x7F else f"\\x{ord(sign):02x}"


def decoded(text: str) -> str:
    """The text with its undecoded bytes read as UTF-8, which files and arguments are in; else as escapes."""
    return _RAW_BYTES.sub(
        lambda found: found[0].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), text
    )


def printable(text: str) -> str:
    """The text with control characters as escapes, ``\\x1b``: a folder's name cannot drive the terminal."""
    return _UNPRINTABLE.sub(lambda found: _escaped(found[0]), decoded(text))


class Console:
    """A text stream that never fails on a character and never passes a control character on.

    A carriage return that begins what is written stays: progress bars go back to the start of their line by it.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        """What lies below it, for the command's own colours."""

    def write(self, text: str) -> int:
        back = "\r" if text.startswith("\r") else ""
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self.stream.write(back + printable(text[len(back) :]).encode(encoding, READABLE).decode(encoding))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def taking_any_text() -> Iterator[None]:
    """Within it, ``sys.stdout`` and ``sys.stderr`` take any text."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and Console(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
