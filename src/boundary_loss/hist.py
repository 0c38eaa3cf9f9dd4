"""Plot the distribution of a metric over slices or volumes at each run's best epoch, with a panel for each class.

Each run is an outline. If there are more runs than colours, they are drawn below each other with their names.

python -m boundary_loss.hist results/isles/val_dice_hist.png --runs results/isles/gdl ...
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import numpy as np

from boundary_loss import command
from boundary_loss.boxplot import Limits, cases, names_beside, run_legend
from boundary_loss.figures import options
from boundary_loss.figures.drawing import (
    LIGHT,
    LINES,
    MANY,
    Figure,
    MaxNLocator,
    Patch,
    Theme,
    heading,
    legend_below,
    new_figure,
    save,
    style,
)
from boundary_loss.figures.run_rows import row_panels
from boundary_loss.statistics.comparison import Comparison, axis_label, runs_of, warnings_of

SUFFIX = "_hist"


def bin_edges(shown: Comparison, bins: int, epoch: int | None) -> np.ndarray:
    """Return the bin edges of all runs and classes: 0 to 1 for an overlap, else lowest to highest value."""
    if bins < 1:
        raise ValueError(f"--bins {bins}: a histogram needs at least 1 bin")
    values = [cases(measured, column, epoch) for measured in shown.runs for column in shown.columns]
    together = np.concatenate(values)
    if not together.size:
        raise ValueError(f"nothing was measured for {shown.name} at these epochs: there is no histogram to draw")
    low, high = float(together.min()), float(together.max())
    if not shown.metric.lower_is_better and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def draw(
    shown: Comparison,
    *,
    bins: int = 20,
    epoch: int | None = None,
    title: str | None = None,
    ylabel: str | None = None,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the outlines of every run at its best epoch (or ``epoch``)."""
    edges = bin_edges(shown, bins, epoch)
    counts = [[np.histogram(cases(m, column, epoch), edges)[0] for m in shown.runs] for column in shown.columns]
    when = "at each run's best epoch" if epoch is None else f"at epoch {epoch}"
    with style(theme):
        figure = new_figure(height=4.4 if len(shown.columns) == 1 else 1.4 + 1.6 * len(shown.columns))
        if len(shown.runs) > MANY:
            _below_each_other(figure, shown, counts, edges, epoch, theme, xlim)
        else:
            _over_each_other(figure, shown, counts, edges, theme, ylabel, xlim, ylim)
            run_legend(figure, shown, epoch, theme, filled=False)
        heading(figure, title or options.title_of(shown), f"distribution over {shown.counted}, {when}",
                warnings_of(runs_of(shown)), theme)  # fmt: skip
    return figure


Counts = list[list[np.ndarray]]
"""Count the cases of each class and run in each bin."""


def _over_each_other(figure: Figure, shown: Comparison, counts: Counts, edges: np.ndarray, theme: Theme,
                     ylabel: str | None, xlim: Limits, ylim: Limits) -> None:  # fmt: skip
    first = None
    for c, column in enumerate(shown.columns):
        axes = figure.add_subplot(len(shown.columns), 1, c + 1, sharex=first, sharey=first)
        first = first or axes
        for i, own in enumerate(counts[c]):
            axes.stairs(own, edges, color=theme.colour(i), linewidth=1.6, linestyle=LINES[i % len(LINES)])
        axes.set_title(column, loc="left", color=theme.faint)
        axes.set_xlim(*(xlim or (edges[0], edges[-1])))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.tick_params(labelbottom=c == len(shown.columns) - 1)
        axes.set_ylabel(ylabel or "number")
    if ylim:
        axes.set_ylim(*ylim)
    axes.set_xlabel(axis_label(shown.name))


def _below_each_other(figure: Figure, shown: Comparison, counts: Counts, edges: np.ndarray, epoch: int | None,
                      theme: Theme, xlim: Limits) -> None:  # fmt: skip
    """Draw all runs to one scale, in which the highest bin reaches the run above."""
    most = max(int(own.max()) for of_class in counts for own in of_class)
    for axes, of_class in zip(row_panels(figure, shown, names_beside(shown, epoch), theme), counts, strict=True):
        for i, own in enumerate(of_class):
            floor, colour = i + 0.45, theme.colour(i)
            axes.stairs(floor - 0.9 * own / most, edges, baseline=floor, fill=True, color=colour + "55")
            axes.stairs(floor - 0.9 * own / most, edges, baseline=floor, color=colour, linewidth=1.2)
        axes.set_xlim(*(xlim or (edges[0], edges[-1])))
    noun = shown.metric.noun if most != 1 else shown.metric.noun.removesuffix("s")
    legend_below(figure, [Patch(color=theme.faint + "88", label=f"number in a bin; the highest: {most} {noun}")])


def main() -> None:
    parser = options.parser("Draw how a metric is distributed over slices or volumes.", SUFFIX)
    parser.add_argument("--epoch", type=int, help="the same epoch of every run; default: each run's best")
    parser.add_argument("--bins", type=int, default=20)
    args = parser.parse_args()
    figure = draw(options.comparison(args, SUFFIX), bins=args.bins, epoch=args.epoch, title=args.title,
                  ylabel=args.ylabel, xlim=args.xlim, ylim=args.ylim)  # fmt: skip
    save(figure, args.png)


if __name__ == "__main__":
    command.run(main)
