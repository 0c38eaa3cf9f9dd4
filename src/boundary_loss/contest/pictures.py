"""Draw a contest: differences to the base set by set, and the rows' mean ranks over the sets."""

from collections.abc import Sequence

from boundary_loss.contest.result import Result
from boundary_loss.contest.sets import METRICS
from boundary_loss.contest.tables import heading as metric_heading
from boundary_loss.figures.drawing import (
    LIGHT,
    Artist,
    Axes,
    Figure,
    Line2D,
    MaxNLocator,
    Theme,
    heading,
    legend_below,
    marker,
    new_figure,
    style,
    wrapped,
)
from boundary_loss.metric_definitions import metric
from boundary_loss.statistics.claims import TESTED
from boundary_loss.statistics.difference import Difference

_NAMES = 1.7
"""Inches for the rows' names."""
_PANEL = 2.3
_LINE = 0.24


def forest(result: Result, theme: Theme = LIGHT) -> Figure:
    """Return a panel for each set and tested metric: each row's gain over the base with its 95 % interval."""
    rows = [row for row in result.rows if row != result.base]
    with style(theme):
        figure = new_figure()
        figure.set_size_inches(
            max(7.2, _NAMES + _PANEL * len(result.sets)), 1.7 + len(TESTED) * (0.75 + _LINE * max(len(rows), 3))
        )  # fmt: skip
        for m, name in enumerate(TESTED):
            for s, each in enumerate(result.sets):
                axes = figure.add_subplot(len(TESTED), len(result.sets), m * len(result.sets) + s + 1)
                found = [result.claims.get(each.name, name, row) for row in rows]
                for y, (row, difference) in enumerate(zip(rows, found, strict=True)):
                    if difference is not None and difference.n:
                        _gain(axes, difference, row, y, theme.colour(y + 1), marker(y + 1), theme)
                axes.axvline(0, color=theme.faint, linewidth=1)
                _lines_of(axes, rows, theme, named=s == 0)
                axes.set_title(each.name if m == 0 else "", loc="left", color=theme.faint)
                unit = f" ({metric(name).unit})" if metric(name).unit else ""
                axes.set_xlabel(f"better by, {metric_heading(name).split(' (')[0].split(' ')[0]}{unit}")
        legend_below(figure, _marks(theme))
        about = f"Mean over patients and seeds {result.epoch}, 95 % interval; right of 0 is better than the base"
        heading(figure, f"Gain over {result.base}, by set", about, result.warnings, theme)
    return figure


def _gain(axes: Axes, d: Difference, row: str, y: int, colour: str, sign: str, theme: Theme) -> None:
    turn = 1 if d.first == row else -1
    low, high = sorted((turn * d.low, turn * d.high))
    line = "-" if d.of_losses else (0, (1, 1.2))
    axes.plot([low, high], [y, y], color=colour, linestyle=line, linewidth=1.8)
    axes.plot([turn * d.gain], [y], marker=sign, markersize=6, color=colour, markeredgecolor=colour, linestyle="",
              markerfacecolor=colour if d.shown else theme.paper)  # fmt: skip


def _lines_of(axes: Axes, rows: Sequence[str], theme: Theme, *, named: bool) -> None:
    labels = ["\n".join(wrapped(row, _NAMES, size=7.5)) for row in rows] if named else [""] * len(rows)
    axes.set_yticks(range(len(rows)), labels, fontsize=7.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _marks(theme: Theme) -> list[Artist]:
    return [
        _point("a difference is shown", theme.ink, theme),
        _point("nothing can be concluded", theme.paper, theme),
        Line2D([], [], color=theme.ink, label="interval over seeds and patients"),
        Line2D([], [], color=theme.ink, linestyle=(0, (1, 1.2)), label="over patients alone (fewer than 3 seeds)"),
    ]


def _point(label: str, face: str, theme: Theme) -> Artist:
    return Line2D([], [], linestyle="", marker="o", markersize=6, color=theme.ink, markerfacecolor=face, label=label)


def ranks(result: Result, theme: Theme = LIGHT) -> Figure | None:
    """Return a panel for each metric: each row's mean rank over the sets with its 95 % interval; None without ranks."""
    names = [name for name in METRICS if name in result.standings]
    if not names:
        return None
    rows = [each.row for each in result.standings[names[0]]]
    with style(theme):
        figure = new_figure()
        figure.set_size_inches(max(7.2, _NAMES + _PANEL * len(names)), 1.7 + _LINE * max(len(rows), 4))
        for m, name in enumerate(names):
            axes = figure.add_subplot(1, len(names), m + 1)
            own = {each.row: each for each in result.standings[name]}
            for y, row in enumerate(rows):
                each, colour = own[row], theme.colour(result.rows.index(row))
                axes.plot([each.low, each.high], [y, y], color=colour, linewidth=1.8)
                axes.plot([each.rank], [y], marker=marker(result.rows.index(row)), markersize=6, color=colour)
            _lines_of(axes, rows, theme, named=m == 0)
            axes.set_xlim(0.7, len(rows) + 0.3)
            axes.set_xlabel(f"mean rank, {metric_heading(name)[:-2]}")
        few = f"{len(result.sets)} set{'s' * (len(result.sets) > 1)}"
        about = f"1 is the best of {len(rows)} rows; 95 % interval over patients and seeds, {result.epoch}"
        heading(figure, f"Mean rank over {few}", about, result.warnings, theme)
    return figure
