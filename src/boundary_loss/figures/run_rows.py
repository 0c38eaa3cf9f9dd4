"""Lay out box plots and histograms of more runs than there are colours: a line for each run, with its name."""

import math
from collections.abc import Sequence

from boundary_loss.figures.drawing import Axes, Figure, Theme, wrapped
from boundary_loss.statistics.comparison import Comparison, axis_label

ACROSS = 4
"""Panels side by side, at most."""
NAMES = 2.4
"""Width of a name in inches; longer ones are broken into lines."""


def row_panels(
    figure: Figure, shown: Comparison, names: Sequence[tuple[str, str]], theme: Theme, xlabel: str | None = None
) -> list[Axes]:
    """Add a panel for each class, in which run ``i`` is at height ``i``, and set the figure's size.

    Args:
        names: each run's name, and the text below it.
        xlabel: instead of the metric and its unit.
    """
    labels = ["\n".join([*wrapped(name, NAMES, size=7.5), more]) for name, more in names]
    inches = 0.08 + 0.125 * max(1 + label.count("\n") for label in labels)
    across = min(ACROSS, len(shown.columns))
    down = math.ceil(len(shown.columns) / across)
    figure.set_size_inches(max(7.2, NAMES + 0.2 + 2.5 * across), 1.6 + down * (0.4 + inches * len(labels)))
    found: list[Axes] = []
    for c, column in enumerate(shown.columns):
        axes = figure.add_subplot(down, across, c + 1, sharex=found[0] if found else None)
        axes.set_title(column, loc="left", color=theme.faint)
        axes.set_yticks(range(len(labels)), labels if c % across == 0 else [""] * len(labels), fontsize=7.5)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        if c + across >= len(shown.columns):
            axes.set_xlabel("\n".join(wrapped(xlabel or axis_label(shown.name), 2.4 if across > 1 else 4.5, size=9)))
        found.append(axes)
    return found
