"""Plot the spread over cases at each run's best epoch: a box for each row and class, a point for each case.

    python -m boundary_loss.boxplot results/isles/val_3d_hd95_boxplot.png --runs results/isles/gdl ...

Box: quartiles and median; whiskers: the furthest case within 1.5 box lengths; diamond: mean. If a row was trained with
several seeds, a point is a case averaged over the seeds, each at its own best epoch. With more runs than colours, or
too many boxes for one line, the boxes are horizontal, each with the run's name beside it.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

from collections.abc import Sequence
from inspect import signature

import numpy as np

from boundary_loss import command
from boundary_loss.figures import options
from boundary_loss.figures.drawing import (
    LIGHT,
    LINES,
    MANY,
    Artist,
    Axes,
    Figure,
    Line2D,
    Patch,
    Theme,
    heading,
    legend_below,
    new_figure,
    save,
    style,
    wrapped,
)
from boundary_loss.figures.run_rows import row_panels
from boundary_loss.statistics.comparison import Comparison, axis_label, runs_of, warnings_of
from boundary_loss.statistics.values import Measured, epoch_words

SUFFIX = "_boxplot"
MOST_BOXES = 32
"""Boxes side by side in a figure, at most."""
_LYING = {"orientation": "horizontal"} if "orientation" in signature(Axes.boxplot).parameters else {"vert": False}
"""Keyword for horizontal boxes, which Matplotlib 3.10 renamed."""


def epochs_shown(measured: Measured, epoch: int | None) -> str:
    """Return the epoch asked for, or each run's best, as text; refuse one that a run does not have."""
    measured.at("best" if epoch is None else epoch)
    return epoch_words(measured.epochs("best" if epoch is None else epoch))


def cases(measured: Measured, column: str, epoch: int | None) -> np.ndarray:
    """Return the values of a class at that epoch, one for each measured case; empty if the run lacks the class."""
    if column not in measured.columns:
        return np.empty(0)
    values = measured.at("best" if epoch is None else epoch)[:, measured.columns.index(column)]
    return values[np.isfinite(values)]


def about(measured: Measured, columns: Sequence[str], epoch: int | None) -> str:
    """Return ``epoch 12, n = 20``; a range if the classes differ in their number of cases."""
    counts = sorted({len(cases(measured, column, epoch)) for column in columns} - {0}) or [0]
    number = "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    return f"{epochs_shown(measured, epoch)}, n = {number}"


def run_legend(figure: Figure, shown: Comparison, epoch: int | None, theme: Theme, *, filled: bool) -> None:
    """Return legend handles with colour, name, epoch and number of cases of each run, as boxes or lines."""
    handles: list[Artist] = []
    for i, measured in enumerate(shown.runs):
        label = f"{measured.label} ({about(measured, shown.columns, epoch)})"
        colour = theme.colour(i)
        handles.append(
            Patch(facecolor=colour + "66", edgecolor=colour, linewidth=1.5, label=label)
            if filled
            else Line2D([], [], color=colour, linestyle=LINES[i % len(LINES)], linewidth=1.6, label=label)  # type: ignore[arg-type]
        )
    legend_below(figure, handles)


def names_beside(shown: Comparison, epoch: int | None) -> list[tuple[str, str]]:
    """Return for each run its name, and a text with its epoch and number of cases."""
    return [(measured.label, about(measured, shown.columns, epoch)) for measured in shown.runs]


def draw(
    shown: Comparison,
    *,
    epoch: int | None = None,
    title: str | None = None,
    ylabel: str | None = None,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw boxes of every run at its best epoch (or ``epoch``), grouped by class.

    Args:
        xlim, ylabel, ylim: of vertical boxes; for horizontal ones ``ylabel`` and ``ylim`` still apply to the values.
    """
    if not any(cases(measured, column, epoch).size for measured in shown.runs for column in shown.columns):
        raise ValueError(f"nothing was measured for {shown.name} at these epochs: there is no box to draw")
    when = "at each run's best epoch" if epoch is None else f"at epoch {epoch}"
    averaged = f", averaged over {shown.num_seeds} seeds" if shown.num_seeds > 1 else ""
    lying = len(shown.runs) > MANY or len(shown.runs) * len(shown.columns) > MOST_BOXES
    with style(theme):
        figure = new_figure()
        if lying:
            _lying(figure, shown, epoch, theme, ylabel, ylim)
        else:
            _standing(figure, shown, epoch, theme, ylabel, xlim, ylim)
        heading(figure, title or options.title_of(shown),
                f"{shown.counted}, {when}  ·  point: a case{averaged}  ·  diamond: mean",
                warnings_of(runs_of(shown)), theme)  # fmt: skip
    return figure


Limits = tuple[float, float] | None


def _standing(figure: Figure, shown: Comparison, epoch: int | None, theme: Theme, ylabel: str | None, xlim: Limits,
              ylim: Limits) -> None:  # fmt: skip
    """Draw a group of boxes for each class."""
    axes = figure.add_subplot()
    rng = np.random.default_rng(0)  # of the jitter, so that the picture is the same each time
    width = 0.8 / len(shown.runs)
    for g, column in enumerate(shown.columns):
        for i, measured in enumerate(shown.runs):
            values = cases(measured, column, epoch)
            if values.size:
                _box(axes, values, g - 0.4 + (i + 0.5) * width, width, theme.colour(i), theme, rng)
    room = max(0.5, 6.2 / len(shown.columns))
    axes.set_xticks(range(len(shown.columns)), ["\n".join(wrapped(column, room, size=9)) for column in shown.columns])
    axes.set_xlim(*(xlim or (-0.5, len(shown.columns) - 0.5)))
    axes.grid(visible=False, axis="x")
    if ylim:
        axes.set_ylim(*ylim)
    axes.set_ylabel(ylabel or axis_label(shown.name))
    run_legend(figure, shown, epoch, theme, filled=True)


def _lying(figure: Figure, shown: Comparison, epoch: int | None, theme: Theme, label: str | None,
           limits: Limits) -> None:  # fmt: skip
    """Draw a panel for each class, with a line for each run."""
    rng = np.random.default_rng(0)
    for axes, column in zip(
        row_panels(figure, shown, names_beside(shown, epoch), theme, label), shown.columns, strict=True
    ):
        for i, measured in enumerate(shown.runs):
            values = cases(measured, column, epoch)
            if values.size:
                _box(axes, values, i, 0.8, theme.colour(i), theme, rng, lying=True)
        if limits:
            axes.set_xlim(*limits)
    legend_below(figure, _parts_of_a_box(theme))


def _parts_of_a_box(theme: Theme) -> list[Artist]:
    return [
        Patch(facecolor=theme.faint + "33", edgecolor=theme.faint, linewidth=1.4, label="quartiles"),
        Line2D([], [], color=theme.ink, linewidth=1.8, label="median"),
        Line2D([], [], color=theme.faint, linewidth=1.4, label="furthest case within 1.5 box lengths"),
        Line2D([], [], color=theme.paper, marker="D", markersize=5, markeredgecolor=theme.ink, label="mean"),
    ]


def _box(
    axes: Axes, values: np.ndarray, x: float, width: float, colour: str, theme: Theme, rng: np.random.Generator,
    *, lying: bool = False,
) -> None:  # fmt: skip
    """Draw a box at position ``x``, and its cases as points."""
    line = {"color": colour, "linewidth": 1.4}
    axes.boxplot(
        values, positions=[x], widths=0.7 * width, manage_ticks=False, showfliers=False, showmeans=True,
        patch_artist=True, boxprops={"facecolor": colour + "33", "edgecolor": colour, "linewidth": 1.4},
        whiskerprops=line, capprops=line, medianprops={"color": theme.ink, "linewidth": 1.8},
        meanprops={"marker": "D", "markersize": 5, "markerfacecolor": theme.paper, "markeredgecolor": theme.ink},
        **(_LYING if lying else {}),
    )  # fmt: skip
    places = x + rng.uniform(-0.22, 0.22, values.size) * width
    across, up = (values, places) if lying else (places, values)
    axes.scatter(across, up, s=9, color=colour, alpha=0.75, linewidths=0, zorder=3)


def main() -> None:
    parser = options.parser("Draw the spread of a metric over cases, a box a run.", SUFFIX)
    parser.add_argument("--epoch", type=int, help="the same epoch of every run; default: each run's best")
    args = parser.parse_args()
    figure = draw(options.comparison(args, SUFFIX), epoch=args.epoch, title=args.title, ylabel=args.ylabel,
                  xlim=args.xlim, ylim=args.ylim)  # fmt: skip
    save(figure, args.png)


if __name__ == "__main__":
    command.run(main)
