"""The look of every picture: colours that the colour-blind tell apart, headings, banners, saving.

Figures are made without pyplot: nothing here opens a window or needs a display.
"""

import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from boundary_loss.files import write_bytes

DPI = 200
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
LINES: tuple[object, ...] = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2, 1, 2, 1, 2)))


@dataclass(frozen=True, kw_only=True)
class Theme:
    paper: str
    ink: str
    faint: str
    """For what is said beside the point: subtitles, grid."""
    grid: str
    colours: tuple[str, ...]
    """A run's colour: Okabe and Ito's set (2008), in the order that reads best on the paper."""

    def colour(self, i: int) -> str:
        return self.colours[i % len(self.colours)]


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


@contextmanager
def style(theme: Theme) -> Iterator[None]:
    """Within it, new figures and axes take the theme's look."""
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
    with matplotlib.rc_context(look):
        yield


def new_figure(width: float = 7.2, height: float = 4.4) -> Figure:
    """An empty figure of that many inches, drawn by Agg."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def heading(figure: Figure, title: str, subtitle: str, banners: Sequence[str], theme: Theme) -> None:
    """Title, a line below it and any banner on top; the axes get the room below."""
    height = figure.get_figheight()
    top = 0.0  # inches from the upper edge
    for text in banners:
        figure.text(
            0.5, 1 - (top + 0.14) / height, text, ha="center", va="center", fontsize=8.5, fontweight="bold",
            color="white", bbox={"boxstyle": "square,pad=0.35", "facecolor": ALARM, "edgecolor": "none"},
        )  # fmt: skip
        top += 0.30
    left = 0.1 / figure.get_figwidth()
    figure.text(left, 1 - (top + 0.08) / height, title, va="top", fontsize=11, fontweight="bold")
    lines = textwrap.wrap(subtitle, int(15 * figure.get_figwidth()))  # some 15 letters an inch at this size
    figure.text(left, 1 - (top + 0.30) / height, "\n".join(lines), va="top", fontsize=8.5, color=theme.faint)
    top += 0.36 + 0.14 * len(lines)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, 0, 1, 1 - top / height), w_pad=0.1, h_pad=0.06)  # type: ignore[call-arg]


def legend_below(figure: Figure, handles: Sequence[Artist]) -> None:
    """Under the axes, in as few rows as the names leave room for, of equal length."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    fit = max(1, 100 // (longest + 8))
    across = math.ceil(len(handles) / math.ceil(len(handles) / fit))
    figure.legend(handles=handles, loc="outside lower center", ncols=across, handlelength=3.2)


def to_png(figure: Figure, dpi: int = DPI) -> bytes:
    """The same figure gives the same bytes: no date, no version of the software."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: Path, dpi: int = DPI) -> None:
    """Write a PNG, whole or not at all."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} should end in .png: pictures are written as PNG")
    content = to_png(figure, dpi)
    write_bytes(path, content)
