"""How a metric is distributed over slices or volumes at each run's best epoch: an outline a run, a panel a class.

python -m boundary_loss.hist results/isles/val_dice_hist.png --runs results/isles/gdl ...
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from boundary_loss import command, figurecommand
from boundary_loss.boxplot import cases, run_legend
from boundary_loss.comparison import Comparison, axis_label, runs_of, warnings_of
from boundary_loss.drawing import LIGHT, LINES, Theme, heading, new_figure, save, style

SUFFIX = "_hist"


def bin_edges(shown: Comparison, bins: int, epoch: int | None) -> np.ndarray:
    """Edges that all runs and classes share: 0 to 1 for an overlap, else from the lowest value to the highest."""
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
    """Outlines of every run at its best epoch (or ``epoch``)."""
    edges = bin_edges(shown, bins, epoch)
    when = "at each run's best epoch" if epoch is None else f"at epoch {epoch}"
    with style(theme):
        figure = new_figure(height=4.4 if len(shown.columns) == 1 else 1.4 + 1.6 * len(shown.columns))
        heading(figure, title or figurecommand.title_of(shown), f"distribution over {shown.counted}, {when}",
                warnings_of(runs_of(shown)), theme)  # fmt: skip
        first = None
        for c, column in enumerate(shown.columns):
            axes = figure.add_subplot(len(shown.columns), 1, c + 1, sharex=first, sharey=first)
            first = first or axes
            for i, measured in enumerate(shown.runs):
                counts, _ = np.histogram(cases(measured, column, epoch), edges)
                axes.stairs(counts, edges, color=theme.colour(i), linewidth=1.6,
                            linestyle=LINES[i % len(LINES)])  # fmt: skip
            axes.set_title(column, loc="left", color=theme.faint)
            axes.set_xlim(*(xlim or (edges[0], edges[-1])))
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
            axes.tick_params(labelbottom=c == len(shown.columns) - 1)
            axes.set_ylabel(ylabel or "number")
        if ylim:
            axes.set_ylim(*ylim)
        axes.set_xlabel(axis_label(shown.name))
        run_legend(figure, shown, epoch, theme, filled=False)
    return figure


def main() -> None:
    parser = figurecommand.parser("Draw how a metric is distributed over slices or volumes.", SUFFIX)
    parser.add_argument("--epoch", type=int, help="the same epoch of every run; default: each run's best")
    parser.add_argument("--bins", type=int, default=20)
    args = parser.parse_args()
    figure = draw(figurecommand.comparison(args, SUFFIX), bins=args.bins, epoch=args.epoch, title=args.title,
                  ylabel=args.ylabel, xlim=args.xlim, ylim=args.ylim)  # fmt: skip
    save(figure, args.png)


if __name__ == "__main__":
    command.run(main)
