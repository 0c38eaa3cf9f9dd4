"""Draw outlines of classes over an image along the edges of the pixels, so that single pixels are visible.

Slices are drawn in radiological convention, with the patient's right on the left, if the orientation is known;
otherwise with X as rows (down) and Y as columns (right), as in their PNGs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boundary_loss.figures.contrast import IN_WORDS, windows
from boundary_loss.figures.drawing import (
    LIGHT,
    Axes,
    Figure,
    LineCollection,
    Patch,
    Theme,
    heading,
    legend_below,
    style,
    wrapped,
)
from boundary_loss.folders.naming import Stem
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.statistics.comparison import names_of, warnings_of

CLASS_COLOURS = (
    "#FF7A1A", "#3EC1FF", "#7CFC5B", "#FF5CC8", "#F0E442", "#B18CFF", "#00D9B1", "#FF4B4B", "#4F7DFF", "#C8A06A",
    "#FFB3D1", "#A3D977", "#9ADDFF", "#D94FFF",
)  # fmt: skip
"""Colours of classes 1, 2, ...: bright on grey images, and none is white, the colour of the ground truth."""
TRUTH_COLOUR = "#FFFFFF"
"""Colour of the ground truth in a panel that also shows a prediction."""
EDGE_COLOUR = "#101010"
"""Colour on both sides of that thin line."""


def class_colour(k: int) -> str:
    return CLASS_COLOURS[(k - 1) % len(CLASS_COLOURS)]


def edges(mask: np.ndarray) -> np.ndarray:
    """Return the outline of a mask as straight segments along pixel edges.

    Args:
        mask: (X, Y) bool. The array's own border counts as an edge of the mask.

    Returns:
        (S, 2, 2) float: segments of two points (column, row); pixel (x, y) covers columns y - 0.5 to y + 0.5.
    """
    inside = np.pad(np.asarray(mask, bool), 1).astype(np.int8)
    level = _runs(np.diff(inside, axis=0)[:, 1:-1])  # between the pixels of two rows
    upright = _runs(np.diff(inside, axis=1)[1:-1].T)  # between those of two columns
    return np.concatenate([level, upright[:, :, ::-1]]) - 0.5


def _runs(steps: np.ndarray) -> np.ndarray:
    """Join neighbouring non-zero steps of a row into segments: (S, 2, 2) (position along, row), in pixel corners."""
    padded = np.pad((steps != 0).astype(np.int8), ((0, 0), (1, 1)))
    changes = np.diff(padded, axis=1)
    rows, starts = np.nonzero(changes == 1)
    _, ends = np.nonzero(changes == -1)
    return np.stack([np.stack([starts, rows], axis=1), np.stack([ends, rows], axis=1)], axis=1).astype(float)


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a slice is drawn."""

    modality: str
    crop: int = 0
    """Pixels cut off on each side."""
    filled: bool = False
    """Also tint the inside of the classes."""

    def cut(self, array: np.ndarray) -> np.ndarray:
        if min(array.shape) <= 2 * self.crop:
            raise ValueError(
                f"--crop {self.crop} leaves nothing of a slice of {array.shape[0]} x {array.shape[1]} pixels"
            )
        return array[self.crop : array.shape[0] - self.crop, self.crop : array.shape[1] - self.crop]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A slice with every run's prediction; all arrays are turned and cropped in the same way."""

    title: str
    picture: np.ndarray
    """uint8 grey, in the window of :mod:`boundary_loss.figures.contrast`."""
    truth: np.ndarray
    predictions: tuple[np.ndarray, ...]
    aspect: float
    """Height of a pixel over its width, in mm."""


def check_runs(data: PreparedFolder, runs: Sequence[RunFolder]) -> None:
    """Refuse runs of other data, whose predictions do not belong to these images."""
    for run in runs:
        run.refuse_other_data(data.path, data.classes, data.about.checksum)


def read_prediction(run: RunFolder, epoch: int | None, stem: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return (X, Y) uint8 classes; errors name the epochs that exist, or say that the run was of other data."""
    return read_predictions(run, epoch, [stem], shape)[0]


def read_predictions(
    run: RunFolder, epoch: int | None, stems: Sequence[str], shape: tuple[int, ...]
) -> list[np.ndarray]:
    """Return the classes of several slices of one shape; a packed epoch is opened once."""
    found = run.predictions(epoch, stems)
    for stem, classes in zip(stems, found, strict=True):
        if classes.shape != shape:
            raise ValueError(f"{run.path} predicted {stem} as {classes.shape}, the slice is {shape}: it saw other data")
    return found


def read_row(
    data: PreparedFolder, runs: Sequence[RunFolder], stem: str, epoch: int | None, look: Look, title: str = ""
) -> Row:
    """Return a validation slice with every run's prediction at ``epoch`` (None = each run's best)."""
    truth = data.labels("val", stem)
    predictions = [read_prediction(run, epoch, stem, truth.shape) for run in runs]
    volume = Stem.parse(stem).volume
    orientation = data.orientation(volume)
    image = data.image("val", stem)[data.modalities.index(look.modality)]
    dx, dy = data.spacing("val", stem)

    def seen(array: np.ndarray) -> np.ndarray:
        return look.cut(upright(array, orientation))

    return Row(
        title=title or stem,
        picture=seen(windows(data, volume)[look.modality].grey(image)),
        truth=seen(truth),
        predictions=tuple(seen(prediction) for prediction in predictions),
        aspect=dy / dx if is_turned(orientation) else dx / dy,
    )


def upright(array: np.ndarray, orientation: str) -> np.ndarray:
    """Turn (X, Y) to radiological convention: front or head at the top, the patient's right (or front) on the left.

    Args:
        orientation: directions of X and Y, as ``LP``; with other letters the array is returned unchanged.
    """
    if len(orientation) < 2 or not set(orientation[:2]) <= set("LRAPSI"):
        return array
    down, right = orientation[0], orientation[1]
    if is_turned(orientation):
        array, down, right = array.T, right, down
    if down in "AS":
        array = array[::-1]
    if right in "RA":
        array = array[:, ::-1]
    return array


def is_turned(orientation: str) -> bool:
    """True if X is horizontal in the upright picture."""
    return orientation[:1] in tuple("LR") or (orientation[:1] in tuple("AP") and orientation[1:2] in tuple("SI"))


ACROSS = 8
"""Panels side by side, at most: ground truth and seven runs. Further runs are drawn below."""


def draw_grid(
    figure: Figure, rows: Sequence[Row], runs: Sequence[RunFolder], classes: Sequence[str], look: Look, title: str,
    theme: Theme = LIGHT,
) -> None:  # fmt: skip
    """Draw a row for each slice: ground truth, then every run with the ground truth as a thin white line."""
    legend = ", ".join(classes[1:])
    names = ["ground truth", *names_of(runs)]
    across, down = grid_shape(len(runs))
    with style(theme):
        if len(classes) > 2:
            legend_below(figure, [Patch(color=class_colour(k), label=name) for k, name in enumerate(classes) if k > 0])
        subtitle = f"outlines: {legend}  ·  thin white: ground truth  ·  {look.modality}  ·  {IN_WORDS}"
        heading(figure, title, subtitle, warnings_of(runs), theme)
        for i, row in enumerate(rows):
            for j, name in enumerate(names):
                axes = figure.add_subplot(len(rows) * down, across, i * down * across + j + 1)
                classes_shown = row.truth if j == 0 else row.predictions[j - 1]
                draw_panel(axes, row, classes_shown, len(classes), filled=look.filled, truth=j > 0)
                if i == 0 or down > 1:
                    axes.set_title("\n".join(_title(name)), fontsize=9)
                if j == 0:
                    axes.set_ylabel("\n".join(wrapped(row.title, _height(row), size=8)), fontsize=8)


def grid_shape(num_runs: int) -> tuple[int, int]:
    """Return the number of panels side by side, and of rows of them, for one slice."""
    down = math.ceil((1 + num_runs) / ACROSS)
    return math.ceil((1 + num_runs) / down), down


def draw_panel(axes: Axes, row: Row, classes: np.ndarray, num_classes: int, *, filled: bool, truth: bool) -> None:
    axes.imshow(row.picture, cmap="gray", vmin=0, vmax=255, aspect=row.aspect, interpolation="nearest")
    for k in range(1, num_classes):
        mask = classes == k
        if filled:
            tint = np.zeros((*mask.shape, 4))
            tint[mask] = [*(int(class_colour(k)[i : i + 2], 16) / 255 for i in (1, 3, 5)), 0.35]
            axes.imshow(tint, aspect=row.aspect, interpolation="nearest")
        _outline(axes, mask, class_colour(k), 1.3, layer=3)
        if truth:  # white with a dark edge, visible on bright lesions too; predictions are drawn between the two
            _outline(axes, row.truth == k, EDGE_COLOUR, 1.4, layer=2)
            _outline(axes, row.truth == k, TRUTH_COLOUR, 0.6, layer=4)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _outline(axes: Axes, mask: np.ndarray, colour: str, width: float, layer: int) -> None:
    lines = LineCollection(list(edges(mask)), colors=colour, linewidths=width, capstyle="projecting", zorder=layer)
    axes.add_collection(lines)


PANEL = 1.85
"""Width of a panel in inches."""


def _height(row: Row) -> float:
    return PANEL * row.picture.shape[0] * row.aspect / row.picture.shape[1]


def grid_size(rows: Sequence[Row], runs: Sequence[RunFolder]) -> tuple[float, float]:
    """Return width and height in inches for :func:`draw_grid`, with panels 2 inches wide below their names."""
    across, down = grid_shape(len(runs))
    names = 0.15 * max(len(_title(name)) for name in names_of(runs))
    lines_named = len(rows) * down if down > 1 else 1
    return 0.5 + 2.0 * across, 1.35 + names * lines_named + sum(down * (_height(row) + 0.06) for row in rows)


def _title(name: str) -> list[str]:
    """Return a panel's title as lines."""
    return wrapped(name, PANEL, size=9)
