"""Memory or time of a ledger's rows over the size of the volume."""

from collections.abc import Sequence
from typing import Any

from boundary_loss.costing.bench import Number
from boundary_loss.costing.published import Mark
from boundary_loss.figures.drawing import (
    LIGHT,
    MANY,
    Axes,
    Figure,
    Line2D,
    dash,
    heading,
    legend_below,
    new_figure,
    style,
)


def draw(title: str, unit: str, numbers: Sequence[Number], marks: Sequence[Mark], scale: float) -> Figure:
    """A panel for training and one for inference, over the side of a cube of as many voxels, on log axes."""
    names = list(dict.fromkeys(number.row for number in numbers))
    panels = [of for of in ("training", "inference") if any(n.of == of and n.value for n in numbers)]
    ways = list(dict.fromkeys(number.way for number in numbers if number.value))
    with style(LIGHT):
        figure = new_figure(height=4.6)
        for i, of in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), i + 1)
            shown = [number for number in numbers if number.of == of and number.value]
            for c, name in enumerate(names):
                for w, way in enumerate(ways):
                    _curve(axes, [n for n in shown if (n.row, n.way) == (name, way)], scale, LIGHT.colour(c), _line(w))
            for mark in marks:
                if mark.row in names and mark.of in (of, *{number.way for number in shown}):
                    colour = LIGHT.colour(names.index(mark.row))
                    axes.plot(mark.side, mark.value, marker="*", markersize=11, color=colour, markeredgecolor="black")
            axes.set(xscale="log", yscale="log", xlabel="side of a cube, voxels", ylabel=unit)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.set_xticks(ticks := sorted({round(n.side) for n in numbers}), [str(tick) for tick in ticks])
            axes.minorticks_off()
            axes.set_title(of, loc="left", color=LIGHT.faint)
        handles = [Line2D([], [], color=LIGHT.colour(c), label=name) for c, name in enumerate(names)]
        handles += [Line2D([], [], color=LIGHT.faint, linestyle=_line(w), label=way) for w, way in enumerate(ways)]
        if any(mark.row in names for mark in marks):
            handles.append(
                Line2D([], [], color=LIGHT.faint, marker="*", linestyle="", label="published (OSS-Net, 2021)")
            )
        legend_below(figure, handles)
        how = "; ".join(dict.fromkeys(number.how for number in numbers if number.value))
        heading(figure, title, how, [], LIGHT)
    return figure


def _curve(axes: Axes, numbers: Sequence[Number], scale: float, colour: str, line: Any) -> None:
    """A line over the sizes; what was measured has marks."""
    values = [number.value / scale for number in numbers if number.value]
    marker = "o" if any(number.how.startswith("measured") for number in numbers) else ""
    axes.plot([n.side for n in numbers], values, color=colour, linestyle=line, marker=marker, markersize=4)


def _line(i: int) -> Any:
    return dash(MANY * i)
