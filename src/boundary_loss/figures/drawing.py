"""The style of every picture: colours for colour-blind readers, headings, banners, legends, saving.

Figures are made without pyplot and from matplotlib's own defaults, so that no display is needed and no matplotlibrc
changes a picture. No other module of the package imports matplotlib.
"""

import importlib
import io
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from boundary_loss.console import printable
from boundary_loss.files import write_bytes


@contextmanager
def _loading() -> Iterator[None]:
    """Import matplotlib within it without warnings or errors from a faulty matplotlibrc or backend."""
    log = logging.getLogger("matplotlib")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        try:
            importlib.import_module("matplotlib")
        except Exception:
            for half_loaded in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
                del sys.modules[half_loaded]
            with _environment(MATPLOTLIBRC=os.devnull, MPLBACKEND="agg"):
                importlib.import_module("matplotlib")
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _environment(**words: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(words)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


with _loading():
    import matplotlib
    from matplotlib import colormaps
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

__all__ = [
    "Artist",
    "Axes",
    "Figure",
    "Line2D",
    "LineCollection",
    "MaxNLocator",
    "Normalize",
    "Patch",
    "ScalarMappable",
    "colormaps",
]

DPI = 200
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
LINES: tuple[object, ...] = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2, 1, 2, 1, 2)))


@dataclass(frozen=True, kw_only=True)
class Theme:
    paper: str
    ink: str
    faint: str
    """Colour of secondary marks: subtitles, grid."""
    grid: str
    colours: tuple[str, ...]
    """A run's colour: Okabe and Ito's set (2008), in the order that reads best on the paper."""

    def colour(self, i: int) -> str:
        return self.colours[i % len(self.colours)]


def marker(i: int) -> str:
    """A run's mark; colour and mark together are those of one run among 49."""
    return MARKERS[(i + i // len(MARKERS)) % len(MARKERS)]


def dash(i: int) -> Any:
    """A run's line; colour and line together are those of one run among 35."""
    return LINES[i // MANY % len(LINES)]


LIGHT = Theme(
    paper="#ffffff",
    ink="#1a1c1f",
    faint="#5d636b",
    grid="#e3e5e8",
    colours=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6b6b6b"),
)
DARK = Theme(
    paper="#16181c",
    ink="#eceef1",
    faint="#a3a9b2",
    grid="#30343a",
    colours=("#56B4E9", "#E8743B", "#1DB98A", "#DE9CC1", "#E69F00", "#F0E442", "#a8a8a8"),
)
ALARM = "#B3261E"
MANY = len(LIGHT.colours)
"""Number of colours; with more runs, line style, mark or a name identifies a run."""


@contextmanager
def style(theme: Theme) -> Iterator[None]:
    """Give new figures and axes within it the theme's style, independent of the user's settings."""
    look: dict[Any, Any] = {
        "figure.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.7,
        "text.color": theme.ink,
        "xtick.color": theme.faint,
        "ytick.color": theme.faint,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "font.size": 9,
        "axes.titlesize": 9,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "lines.linewidth": 1.7,
    }
    with _defaults(), matplotlib.rc_context(look):
        yield


@contextmanager
def _defaults() -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["text.parse_math"] = False  # a name may contain dollar signs
        yield


def new_figure(width: float = 7.2, height: float = 4.4) -> Figure:
    """Return an empty figure of that size in inches, for the Agg renderer."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def heading(figure: Figure, title: str, subtitle: str, banners: Sequence[str], theme: Theme) -> None:
    """Draw title, subtitle and banners, and fit the axes below; call it when the figure's size is final."""
    height, width = figure.get_figheight(), figure.get_figwidth()
    top = 0.0  # inches from the upper edge
    for text in banners:
        lines = wrapped(text, width - 0.4, size=8.5, bold=True)
        figure.text(
            0.5, 1 - (top + 0.14) / height, "\n".join(lines), ha="center", va="center" if len(lines) == 1 else "top",
            fontsize=8.5, fontweight="bold", color="white",
            bbox={"boxstyle": "square,pad=0.35", "facecolor": ALARM, "edgecolor": "none"},
        )  # fmt: skip
        top += 0.16 + 0.14 * len(lines)
    left = 0.1 / width
    lines = wrapped(title, width - 0.2, size=11, bold=True)
    figure.text(left, 1 - (top + 0.08) / height, "\n".join(lines), va="top", fontsize=11, fontweight="bold")
    top += 0.18 * (len(lines) - 1)
    lines = wrapped(subtitle, width - 0.2, size=8.5)
    figure.text(left, 1 - (top + 0.30) / height, "\n".join(lines), va="top", fontsize=8.5, color=theme.faint)
    top += 0.36 + 0.14 * len(lines)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, 0, 1, 1 - top / height), w_pad=0.1, h_pad=0.06)  # type: ignore[call-arg]


def wrapped(text: str, inches: float, *, size: float = 8.5, bold: bool = False) -> list[str]:
    """Break the text into lines of at most that width, see :func:`broken`."""
    return broken(text, lambda line: _inches(line, size, bold) <= inches)


def broken(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Break the text into lines that fit, after spaces, ``_``, ``/``, ``,`` or ``-`` if possible."""
    lines = [""]
    for piece in re.findall(r"[^\s_/,-]+[\s_/,-]*|[\s_/,-]+", printable(text)):
        if lines[-1] and not fits((lines[-1] + piece).rstrip()):
            lines.append("")
        lines[-1] += piece
        while len(lines[-1]) > 1 and not fits(lines[-1].rstrip()):
            whole = lines[-1]
            most = next((n for n in range(len(whole) - 1, 1, -1) if fits(whole[:n])), 1)
            lines[-1:] = [whole[:most], whole[most:]]
    return [line.rstrip() for line in lines]


@cache
def _inches(text: str, size: float, bold: bool) -> float:
    """Return the width of a line of text."""
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return RendererAgg(1, 1, DPI).get_text_width_height_descent(text, font, False)[0] / DPI


LEGEND_ROOM = 0.8
"""Inches that a legend may use of a figure's height before the figure grows."""


def legend_below(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put a legend below the axes, in as few rows of equal length as possible; the figure grows if it is high."""
    names = [str(handle.get_label()) for handle in handles]
    for handle, name in zip(handles, names, strict=True):
        lines = wrapped(" " + name if name.startswith("_") else name, figure.get_figwidth() - 0.9)  # it hides _names
        handle.set_label("\n".join(lines))
    longest = max(map(len, names))
    legend = _legend(figure, handles, max(1, 100 // (longest + 8)))
    figure.set_figheight(figure.get_figheight() + max(0.0, _size(figure, legend)[1] - LEGEND_ROOM))


def _legend(figure: Figure, handles: Sequence[Artist], fit: int) -> Legend:
    """Draw the legend with ``fit`` names in a row, or fewer if they are wider than the figure."""
    across = math.ceil(len(handles) / math.ceil(len(handles) / fit))
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=across, handlelength=3.2)
    if across == 1 or _size(figure, legend)[0] <= figure.get_figwidth():
        return legend
    legend.remove()
    return _legend(figure, handles, across - 1)


def _size(figure: Figure, legend: Legend) -> tuple[float, float]:
    """Return width and height in inches."""
    extent = legend.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    return extent.width / figure.dpi, extent.height / figure.dpi


def to_png(figure: Figure, dpi: int = DPI) -> bytes:
    """Return the figure as PNG, without date or software version: the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with _defaults():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: Path, dpi: int = DPI) -> None:
    """Write a PNG; no partial file is left if that fails."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} should end in .png: pictures are written as PNG")
    content = to_png(figure, dpi)
    write_bytes(path, content)
