"""The spread over cases at each run's best epoch: a box a row and class, every case as a point.

    python -m boundary_loss.boxplot results/isles/val_3d_hd95_boxplot.png --runs results/isles/gdl ...

Box: quartiles and median; whiskers: the furthest case within 1.5 box lengths; diamond: mean. Of a row that was trained
with several seeds, a point is a case averaged over the seeds, each at its own best epoch.
"""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from boundary_loss import command, figurecommand
from boundary_loss.comparison import Comparison, axis_label, runs_of, warnings_of
from boundary_loss.drawing import LIGHT, LINES, Theme, heading, legend_below, new_figure, save, style
from boundary_loss.measured import Measured, epoch_words

SUFFIX = "_boxplot"


def epochs_shown(measured: Measured, epoch: int | None) -> str:
    """The epoch asked for, or else each run's best, in words; an error where a run does not have it."""
    measured.at("best" if epoch is None else epoch)
    return epoch_words(measured.epochs("best" if epoch is None else epoch))


def cases(measured: Measured, column: str, epoch: int | None) -> np.ndarray:
    """The measured values of a class at that epoch, one a case; empty where the run lacks the column."""
    if column not in measured.columns:
        return np.empty(0)
    values = measured.at("best" if epoch is None else epoch)[:, measured.columns.index(column)]
    return values[np.isfinite(values)]


def run_legend(figure: Figure, shown: Comparison, epoch: int | None, theme: Theme, *, filled: bool) -> None:
    """Colour, name, epoch and number of cases of each run: filled boxes, or lines as a histogram has them."""
    handles: list[Artist] = []
    for i, measured in enumerate(shown.runs):
        counts = sorted({len(cases(measured, column, epoch)) for column in shown.columns} - {0}) or [0]
        number = "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        label = f"{measured.label} ({epochs_shown(measured, epoch)}, n = {number})"
        colour = theme.colour(i)
        handles.append(
            Patch(facecolor=colour + "66", edgecolor=colour, linewidth=1.5, label=label)
            if filled
            else Line2D([], [], color=colour, linestyle=LINES[i % len(LINES)], linewidth=1.6, label=label)  # type: ignore[arg-type]
        )
    legend_below(figure, handles)


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
    """Boxes of every run at its best epoch (or ``epoch``), grouped by class."""
    if not any(cases(measured, column, epoch).size for measured in shown.runs for column in shown.columns):
        raise ValueError(f"nothing was measured for {shown.name} at these epochs: there is no box to draw")
    when = "at each run's best epoch" if epoch is None else f"at epoch {epoch}"
    averaged = f", averaged over {shown.num_seeds} seeds" if shown.num_seeds > 1 else ""
    with style(theme):
        figure = new_figure()
        heading(figure, title or figurecommand.title_of(shown),
                f"{shown.counted}, {when}  ·  point: a case{averaged}  ·  diamond: mean",
                warnings_of(runs_of(shown)), theme)  # fmt: skip
        axes = figure.add_subplot()
        rng = np.random.default_rng(0)  # of the jitter: the same picture each time
        width = 0.8 / len(shown.runs)
        for g, column in enumerate(shown.columns):
            for i, measured in enumerate(shown.runs):
                values = cases(measured, column, epoch)
                if values.size:
                    _box(axes, values, g - 0.4 + (i + 0.5) * width, width, theme.colour(i), theme, rng)
        axes.set_xticks(range(len(shown.columns)), shown.columns)
        axes.set_xlim(*(xlim or (-0.5, len(shown.columns) - 0.5)))
        axes.grid(visible=False, axis="x")
        if ylim:
            axes.set_ylim(*ylim)
        axes.set_ylabel(ylabel or axis_label(shown.name))
        run_legend(figure, shown, epoch, theme, filled=True)
    return figure


def _box(
    axes: Axes, values: np.ndarray, x: float, width: float, colour: str, theme: Theme, rng: np.random.Generator
) -> None:
    line = {"color": colour, "linewidth": 1.4}
    axes.boxplot(
        values, positions=[x], widths=0.7 * width, manage_ticks=False, showfliers=False, showmeans=True,
        patch_artist=True, boxprops={"facecolor": colour + "33", "edgecolor": colour, "linewidth": 1.4},
        whiskerprops=line, capprops=line, medianprops={"color": theme.ink, "linewidth": 1.8},
        meanprops={"marker": "D", "markersize": 5, "markerfacecolor": theme.paper, "markeredgecolor": theme.ink},
    )  # fmt: skip
    jitter = rng.uniform(-0.22, 0.22, values.size) * width
    axes.scatter(x + jitter, values, s=9, color=colour, alpha=0.75, linewidths=0, zorder=3)


def main() -> None:
    parser = figurecommand.parser("Draw the spread of a metric over cases, a box a run.", SUFFIX)
    parser.add_argument("--epoch", type=int, help="the same epoch of every run; default: each run's best")
    args = parser.parse_args()
    figure = draw(figurecommand.comparison(args, SUFFIX), epoch=args.epoch, title=args.title, ylabel=args.ylabel,
                  xlim=args.xlim, ylim=args.ylim)  # fmt: skip
    save(figure, args.png)


if __name__ == "__main__":
    command.run(main)
