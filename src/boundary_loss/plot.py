"""Plot curves over epochs, with a colour for each run.

    python -m boundary_loss.plot results/isles/val_dice.png --runs results/isles/gdl results/isles/gdl_surface_steal

A curve is the mean over slices or volumes at every epoch. Each class has a line style; each loss has a panel, because
losses differ in scale. With more runs than colours, or more classes than line styles, each class has a panel. The mark
on a curve is the run's best epoch. Runs may differ in length; epochs that were not measured are left out. A row that
was trained with several seeds is one curve, their mean, with a band of their standard deviation.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

from dataclasses import dataclass
from typing import Literal, get_args

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
    MaxNLocator,
    Theme,
    dash,
    heading,
    legend_below,
    marker,
    new_figure,
    save,
    style,
    wrapped,
)  # fmt: skip
from boundary_loss.files import write_text
from boundary_loss.statistics import tables
from boundary_loss.statistics.comparison import Comparison, axis_label, moving_mean, runs_of, warnings_of
from boundary_loss.statistics.values import Measured, nanstd

Spread = Literal["auto", "none", "sd", "sem", "seeds"]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """How the curves are drawn."""

    smooth: int = 1
    """Width of the moving mean in epochs."""
    spread: Spread = "auto"
    """Band around a curve: none, the standard deviation over cases, the standard error of their mean, or the standard
    deviation of the seeds' curves; auto = over seeds if there are several, else none."""
    title: str | None = None
    ylabel: str | None = None
    xlim: tuple[float, float] | None = None
    ylim: tuple[float, float] | None = None


def draw(shown: Comparison, how: Curves | None = None, theme: Theme = LIGHT) -> Figure:
    """Draw the curves of every run of ``shown``; the same content is saved as the same bytes."""
    how = how or Curves()
    if not any(np.isfinite(measured.means).any() for measured in shown.runs):
        raise ValueError(
            f"nothing was measured for {shown.name}, {', '.join(shown.columns)}: there is no curve to draw"
        )
    by_loss = shown.metric.columns == "losses"
    apart = len(shown.columns) > 1 and (by_loss or len(shown.runs) > MANY or len(shown.columns) > len(LINES))
    panels = [(column,) for column in shown.columns] if apart else [shown.columns]
    with style(theme):
        taller = min(2.4, 0.1 * max(0, len(shown.runs) - MANY))
        figure = new_figure(height=4.4 + taller if len(panels) == 1 else 1.2 + (1.9 + taller) * len(panels))
        for i, columns in enumerate(panels):
            axes = figure.add_subplot(len(panels), 1, i + 1)
            _panel(axes, shown, columns, how, theme)
            label = columns[0] if by_loss and apart else axis_label(shown.name)
            axes.set_ylabel(how.ylabel or ("\n".join(wrapped(label, 1.5 + taller, size=9)) if apart else label))
            if apart and not by_loss:
                axes.set_title(columns[0], loc="left", color=theme.faint)
            if i == len(panels) - 1:
                axes.set_xlabel("epoch")
            else:
                axes.tick_params(labelbottom=False)
        figure.align_ylabels()
        legend_below(figure, _legend(shown, theme, classes=not apart and len(shown.columns) > 1))
        heading(figure, how.title or options.title_of(shown), _subtitle(shown, how),
                warnings_of(runs_of(shown)), theme)  # fmt: skip
    return figure


def _panel(axes: Axes, shown: Comparison, columns: tuple[str, ...], how: Curves, theme: Theme) -> None:
    for i, measured in enumerate(shown.runs):
        for column in columns:
            if column in measured.columns:
                line = dash(i) if len(columns) == 1 else LINES[columns.index(column) % len(LINES)]
                _curve(axes, measured, column, how, i, line, theme)
    last = max(measured.num_epochs for measured in shown.runs) - 1
    axes.set_xlim(*(how.xlim or (0, max(last, 1))))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if how.ylim:
        axes.set_ylim(*how.ylim)
    for mark in (line for line in axes.lines if not line.get_clip_on()):  # marks may cross the frame
        mark.set_visible(bool(axes.viewLim.contains(*np.asarray(mark.get_xydata(), dtype=float)[0])))


def _curve(axes: Axes, measured: Measured, column: str, how: Curves, i: int, line: object, theme: Theme) -> None:
    c, colour = measured.columns.index(column), theme.colour(i)
    means = moving_mean(measured.means[:, c], how.smooth)
    epochs = np.flatnonzero(np.isfinite(means))
    alone = {"marker": ".", "markersize": 6} if epochs.size == 1 else {}  # a single epoch is no line
    axes.plot(epochs, means[epochs], color=colour, linestyle=line, **alone)  # type: ignore[arg-type]
    half = _half_width(measured, c, how.spread)
    if half is not None:
        half = moving_mean(half, how.smooth)[epochs]
        axes.fill_between(epochs, means[epochs] - half, means[epochs] + half, color=colour, alpha=0.15, linewidth=0)
    if measured.best is not None and np.isfinite(means[measured.best]):
        axes.plot(measured.best, means[measured.best], marker=marker(i), color=colour,
                  markersize=7, markeredgecolor=theme.paper, clip_on=False, zorder=5)  # fmt: skip


def _half_width(measured: Measured, c: int, spread: Spread) -> np.ndarray | None:
    """Return the half-width (E,) of column ``c``, 0 for fewer than two values; None if there is no band."""
    if spread == "none" or (spread in ("auto", "seeds") and measured.num_seeds < 2):
        return None
    if spread in ("auto", "seeds"):
        return np.nan_to_num(nanstd(measured.seed_means[:, :, c], axis=0))
    values = measured.values[:, :, c]
    deviation = np.nan_to_num(nanstd(values, axis=1))
    if spread == "sd":
        return deviation
    return deviation / np.sqrt(np.maximum(np.isfinite(values).sum(axis=1), 1))


def _subtitle(shown: Comparison, how: Curves) -> str:
    several = shown.num_seeds > 1
    parts = [f"mean over {shown.counted}" + (f" and {shown.num_seeds} seeds" if several else "")]
    if shown.metric.columns == "classes" and len(shown.columns) == 1:
        parts.append(shown.columns[0])
    if how.smooth > 1:
        parts.append(f"moving mean of {how.smooth} epochs")
    band = {"sd": "band: ± standard deviation over cases", "sem": "band: ± standard error of the mean"}
    if how.spread in band:
        parts.append(band[how.spread])
    elif how.spread != "none" and several:
        parts.append("band: ± standard deviation over seeds")
    if any(measured.best is not None for measured in shown.runs):
        parts.append("mark: the run's best epoch")
    return "  ·  ".join(parts)


def _legend(shown: Comparison, theme: Theme, *, classes: bool) -> list[Artist]:
    """Return a legend handle for each run; with ``classes`` also one for each class, with its line style."""
    handles: list[Artist] = [
        Line2D([], [], color=theme.colour(i), linestyle="-" if classes else dash(i), marker=marker(i),
               markeredgecolor=theme.paper, markersize=7, label=measured.label)
        for i, measured in enumerate(shown.runs)
    ]  # fmt: skip
    if classes:
        handles += [
            Line2D([], [], color=theme.ink, linestyle=LINES[i % len(LINES)], label=column)  # type: ignore[arg-type]
            for i, column in enumerate(shown.columns)
        ]
    return handles


def table(shown: Comparison, smooth: int = 1) -> str:
    """Return the curves as CSV: a line for each epoch, a column for each run and class; empty if not measured."""
    columns = [
        (f"{measured.label}:{column}", moving_mean(measured.means[:, c], smooth))
        for measured in shown.runs
        for c, column in enumerate(measured.columns)
    ]
    epochs = range(max(len(values) for _, values in columns))
    cells = [[tables.cell(values[epoch]) if epoch < len(values) else "" for _, values in columns] for epoch in epochs]
    return tables.to_csv(["epoch", *(name for name, _ in columns)], [[e, *row] for e, row in zip(epochs, cells)])


def main() -> None:
    parser = options.parser("Draw a metric over epochs, a curve a run.")
    parser.add_argument("--smooth", type=int, default=1, metavar="EPOCHS", help="moving mean over so many epochs")
    parser.add_argument("--spread", choices=get_args(Spread), default="auto",
                        help="band: over cases (sd, sem) or seeds; auto = over seeds if there are several")  # fmt: skip
    parser.add_argument("--csv", action="store_true", help="also write the curves as .csv beside the picture")
    args = parser.parse_args()
    shown = options.comparison(args)
    how = Curves(smooth=args.smooth, spread=args.spread, title=args.title, ylabel=args.ylabel,
                 xlim=args.xlim, ylim=args.ylim)  # fmt: skip
    save(draw(shown, how), args.png)
    if args.csv:
        write_text(args.png.with_suffix(".csv"), table(shown, args.smooth))


if __name__ == "__main__":
    command.run(main)
