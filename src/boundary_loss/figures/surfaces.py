"""Prediction and truth of a case as surfaces, side by side from two sides, coloured by how far they lie apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from boundary_loss.figures.drawing import (
    LIGHT,
    Axes,
    Figure,
    Normalize,
    Patch,
    ScalarMappable,
    Theme,
    colormaps,
    heading,
    legend_below,
    new_figure,
    style,
)
from boundary_loss.figures.rendering import look, shaded
from boundary_loss.meshes.distance import signed_distances
from boundary_loss.meshes.surface import Surface, joined

VIEWS = {
    "from the front": np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]),
    "from the left": np.array([[0, -1.0, 0], [0, 0, 1], [-1, 0, 0]]),
}
"""Rows of each: the patient's directions (RAS) that lie to the right, upwards and towards the viewer."""
ENDS = {"from the front": ("R", "L"), "from the left": ("A", "P")}
"""What is at the left and the right end."""
_PIXELS = 560
"""Along the longest side of a view, before the edges are smoothed."""
_FINER = 2
_COLOURS = colormaps["coolwarm"]  # Moreland (ISVC 2009): made to be shaded
_GREY = (0.72, 0.72, 0.72)
_WIDTH = 3.4  # inches of a view
_MARGIN = 0.06
"""Around the objects, as a share of the longest side."""
_BAR_ROOM = 0.09
"""For the scale bar, as a share of the width of a view."""

Surfaces = Mapping[str, Surface]
"""By class, those that have one."""


@dataclass(frozen=True)
class Panel:
    """A column of the picture: surfaces and the colour of each of their vertices, (V, 3)."""

    title: str
    surface: Surface
    colours: np.ndarray


def draw(
    predicted: Surfaces,
    true: Surfaces | None,
    classes: Sequence[str],
    *,
    title: str,
    subtitle: str = "",
    banners: Sequence[str] = (),
    limit_mm: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Return the picture of a case: truth on the left, prediction on the right, all from the same sides at one scale.

    Args:
        predicted, true: surfaces of the classes that occur; without ``true`` the prediction alone is drawn.
        classes: all of them but the background: their order is that of the colours.
        limit_mm: distance at which the colours end; None = a round number that most keep.

    Raises:
        ValueError: there is no surface at all.
    """
    everything = [*predicted.values(), *(true or {}).values()]
    if not everything:
        raise ValueError(f"{title}: there is no surface to draw")
    apart = None if true is None else _apart(predicted, true)
    limit = limit_mm or _limit(apart)
    panels = _panels(predicted, true, classes, apart, limit, theme)
    bounds = joined(everything).vertices
    with style(theme):
        frames = [_frame(bounds, view) for view in VIEWS.values()]
        across = max(frame.width for frame in frames)
        frames[-1] = frames[-1].with_room_below(_BAR_ROOM * across)
        heights = [_WIDTH * frame.height / across for frame in frames]
        figure = new_figure(_WIDTH * max(len(panels), 2), sum(heights) + 1.1)
        grid = figure.add_gridspec(len(VIEWS), len(panels), height_ratios=heights)
        for row, (name, view) in enumerate(VIEWS.items()):
            for column, panel in enumerate(panels):
                axes = figure.add_subplot(grid[row, column])
                _show(axes, panel, view, frames[row], across, theme)
                if row == 0:
                    axes.set_title(panel.title, loc="left", color=theme.ink)
                _say_sides(axes, name, theme)
                if row == len(VIEWS) - 1 and column == 0:
                    _scale_bar(axes, across, theme)
        if apart is not None:
            _colour_bar(figure, limit, theme, lone=set(predicted) != set(true or ()))
        if len(classes) > 1:
            legend_below(figure, [Patch(color=theme.colour(i), label=name) for i, name in enumerate(classes)])
        heading(figure, title, subtitle, banners, theme)
    return figure


Distances = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
"""Of predicted and of true surfaces, by class: (V,) mm, above 0 where the prediction has too much, below where it lacks
something; NaN where the other has no such class."""


def _apart(predicted: Surfaces, true: Surfaces) -> Distances:
    def between(own: Surfaces, others: Surfaces, sign: int) -> dict[str, np.ndarray]:
        return {
            name: sign * signed_distances(surface, others[name])
            if name in others
            else np.full(len(surface.vertices), math.nan)
            for name, surface in own.items()
        }

    return between(predicted, true, 1), between(true, predicted, -1)


def _limit(apart: Distances | None) -> float:
    """A round number of mm that 95 % of the vertices keep, of the side that keeps less: stray pieces do not count."""
    sides = [] if apart is None else [np.concatenate([np.empty(0), *map(np.abs, side.values())]) for side in apart]
    kept = [float(np.quantile(side, 0.95)) for side in (own[np.isfinite(own)] for own in sides) if len(side)]
    return _round_up(max(min(kept, default=1.0), 0.1))


def _round_up(value: float) -> float:
    """1, 2 or 5 times a power of ten, at least the value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value * (1 - 1e-9))


def _panels(
    predicted: Surfaces, true: Surfaces | None, classes: Sequence[str], apart: Distances | None, limit: float,
    theme: Theme,
) -> list[Panel]:  # fmt: skip
    """The columns: with several classes also in the colours of these."""
    sides: list[tuple[str, Surfaces]] = [("truth", true)] if true is not None else []
    sides.append(("prediction", predicted))
    plain = [_in_class_colours(name, own, classes, theme) for name, own in sides]
    if apart is None or true is None:
        return plain
    far = [_by_distance("truth", true, apart[1], limit), _by_distance("prediction", predicted, apart[0], limit)]
    return far if len(classes) == 1 else plain + far


_NOTHING = Surface(np.empty((0, 3)), np.empty((0, 3), np.int64))


def _in_class_colours(title: str, surfaces: Surfaces, classes: Sequence[str], theme: Theme) -> Panel:
    colours = {name: np.array(_rgb(theme.colour(i))) for i, name in enumerate(classes)}
    painted = [np.tile(colours[name], (len(own.vertices), 1)) for name, own in surfaces.items()]
    return Panel(title, joined([_NOTHING, *surfaces.values()]), np.concatenate([np.empty((0, 3)), *painted]))


def _by_distance(title: str, surfaces: Surfaces, distances: Mapping[str, np.ndarray], limit: float) -> Panel:
    values = np.concatenate([np.empty(0), *(distances[name] for name in surfaces)])
    colours = np.where(np.isfinite(values)[:, None], _COLOURS(0.5 + values / limit / 2)[:, :3], _GREY)
    where = "to the prediction" if title == "truth" else "to the truth"
    return Panel(f"{title}, distance {where}", joined([_NOTHING, *surfaces.values()]), colours)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))


@dataclass(frozen=True)
class Frame:
    """What a view shows, in mm: its lower left corner and its size."""

    left: float
    bottom: float
    width: float
    height: float

    def with_room_below(self, room: float) -> "Frame":
        return replace(self, bottom=self.bottom - room, height=self.height + room)


def _frame(vertices: np.ndarray, view: np.ndarray) -> Frame:
    placed = vertices @ view[:2].T
    low, high = placed.min(axis=0), placed.max(axis=0)
    margin = _MARGIN * float((high - low).max())
    return Frame(low[0] - margin, low[1] - margin, *(high - low + 2 * margin))


def _show(axes: Axes, panel: Panel, view: np.ndarray, frame: Frame, across: float, theme: Theme) -> None:
    """Draw one view at the scale of all."""
    finer = _FINER * _PIXELS / across
    rows, columns = (max(_FINER, _FINER * round(size * finer / _FINER)) for size in (frame.height, frame.width))
    picture = np.ones((rows, columns, 3)) * _rgb(theme.paper)
    if len(panel.surface.faces):
        seen = look(
            panel.surface.vertices @ view.T * finer, panel.surface.faces,
            (frame.left * finer, frame.bottom * finer), (rows, columns),
        )  # fmt: skip
        normals = seen.of(panel.surface.normals @ view.T, panel.surface.faces)
        lit = shaded(seen.of(panel.colours, panel.surface.faces), normals)
        picture = np.where((seen.face >= 0)[..., None], lit, picture)
    else:
        axes.text(0.5, 0.5, "nothing", transform=axes.transAxes, ha="center", color=theme.faint)
    coarse = picture.reshape(rows // _FINER, _FINER, columns // _FINER, _FINER, 3).mean(axis=(1, 3))
    ends = (frame.left, frame.left + frame.width, frame.bottom, frame.bottom + frame.height)
    axes.imshow(coarse, extent=ends, interpolation="antialiased")
    middle = frame.left + frame.width / 2
    axes.set_xlim(middle - across / 2, middle + across / 2)
    axes.axis("off")


def _say_sides(axes: Axes, name: str, theme: Theme) -> None:
    """Letters of the patient's sides at the ends of a view."""
    for place, letter in zip((0.01, 0.99), ENDS[name], strict=True):
        axes.text(place, 0.5, letter, transform=axes.transAxes, ha="center", va="center", fontsize=8, color=theme.faint)
    axes.text(0.5, 1.0, "S", transform=axes.transAxes, ha="center", va="top", fontsize=8, color=theme.faint)
    axes.text(0.99, 0.0, name, transform=axes.transAxes, ha="right", va="bottom", fontsize=7.5, color=theme.faint)


def _scale_bar(axes: Axes, across: float, theme: Theme) -> None:
    """A bar of a round number of mm at the lower left."""
    length = _round_up(across / 8)
    left, bottom = axes.get_xlim()[0] + 0.02 * across, axes.get_ylim()[0] + 0.02 * across
    axes.plot([left, left + length], [bottom, bottom], color=theme.ink, linewidth=2.5, solid_capstyle="butt")
    axes.text(left, bottom + 0.015 * across, f"{length:g} mm", fontsize=8, color=theme.ink, va="bottom")


def _colour_bar(figure: Figure, limit: float, theme: Theme, *, lone: bool) -> None:
    """``lone``: some class has a surface on one side alone, which has no distance."""
    scale = ScalarMappable(Normalize(-limit, limit), _COLOURS)
    bar = figure.colorbar(scale, ax=figure.axes, orientation="horizontal", fraction=0.03, pad=0.02, aspect=50,
                          shrink=0.6, extend="both")  # fmt: skip
    grey = "; grey: only one of the two has this class" if lone else ""
    bar.set_label(f"mm: below 0 the prediction lacks something, above 0 it has too much{grey}")
    bar.outline.set_edgecolor(theme.faint)
