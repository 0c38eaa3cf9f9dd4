"""Samples of a network that predicts at points: the whole volume of a case, and points drawn in it.

Axis letters: B samples, C modalities, K classes, P points, X Y Z voxels (see :mod:`boundary_loss.shapes`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from boundary_loss.data.augmentation import Augmentation
from boundary_loss.data.case_maps import case_map
from boundary_loss.data.cases import ShownCases
from boundary_loss.data.frame import Box, Frame
from boundary_loss.data.needs import MapNeed
from boundary_loss.data.patches import stack_padded
from boundary_loss.data.points import Band, Points, draw_points, shown_at, sobel_band, touching, values_at, within
from boundary_loss.data.prefetch import onto_device
from boundary_loss.data.samples import Batch
from boundary_loss.data.volumes import Planned, Volumes, altered
from boundary_loss.data.ways import Way, read_bytes
from boundary_loss.encoding import encode_one_hot, scatter_classes
from boundary_loss.inference.field import Field, Lattice, probabilities
from boundary_loss.metric_definitions import POINTS
from boundary_loss.shapes import IGNORED, Labels

VALIDATED = 1 << 17
"""Points of a case that an epoch is validated on, as OSS-Net's of BraTS (Reich et al. 2021)."""
_DECIMALS = 9
"""Of positions, as :class:`Frame` rounds them."""
_OBJECT = MapNeed.of("own", (1,), {})
"""The map that a band is cut from, of one class."""


def check_point_needs(needs: Sequence[MapNeed], augmentation: Augmentation | None) -> None:
    """Refuse maps that are made in each step, and augmentations that deform: points have no grid.

    Raises:
        ValueError: there is such a map or augmentation.
    """
    if any(need.source == "step" for need in needs):
        raise ValueError(
            "map=step does not go with SAMPLE=points(...): a map is read off that of the whole case; leave map out"
        )
    if augmentation is not None and augmentation.deforms:
        raise ValueError(
            "SAMPLE=points(...) does not go with an AUGMENT that turns, enlarges, moves or bends: maps are of the "
            "cases as they are; flip, intensity and noise do"
        )


@dataclass(frozen=True, eq=False)
class _Asked(Planned):
    points: np.ndarray = field(default_factory=lambda: np.empty((0, 3), np.int64))
    """(P, 3) voxels of what is shown, before it is mirrored."""


class PointSamples(Volumes):
    """The cases of ``train`` or ``val``; a sample is all that the fit shows of one, and some of its voxels.

    Those of ``train`` are drawn anew in each epoch. Those of ``val`` are always the same: :data:`VALIDATED` of each
    case, or all of its voxels where there are fewer, and a case is a batch.
    """

    items = POINTS
    keeps_validated = False

    def __init__(
        self, cases: ShownCases, *, needs: Sequence[MapNeed] = (), device: torch.device | str = "cpu",
        augmentation: Augmentation | None = None,
    ) -> None:  # fmt: skip
        super().__init__(cases, needs=needs, device=device)
        check_point_needs(needs, augmentation)
        assert isinstance(cases.view.sample, Points)
        self.points, self.augmentation = cases.view.sample, augmentation
        self.each = self.points.each if self.which == "train" else 1
        self.is_dealt = self.which == "val"
        if len({frame.shape for frame in self.frames.values()}) > 1:
            self.has_ignored = True  # the filling of smaller volumes
        self._bands: dict[str, Band] = {}

    def in_order(self, batch_size: int, *, group: bool) -> list[Tensor]:
        """Yield one batch a case, whatever the batch size, because each case has many points."""
        return list(torch.arange(len(self)).split(1))

    def _plan(self, sample: int, seed: int) -> Planned:
        case = self.names[sample // self.each]
        frame, drawn = self.frames[case], None
        if self.augmentation is not None:
            spacing = self.cases.spacing(case, frame)[None].double().numpy()
            drawn = self.augmentation.draw([sample], seed, (len(self.folder.modalities), *frame.shape), spacing)
        return _Asked(case, frame, frame.source_box(), drawn, self._points_of(case, frame, seed, sample))

    def _points_of(self, case: str, frame: Frame, seed: int, sample: int) -> np.ndarray:
        if self.which == "train":
            return draw_points(self.points, frame.shape, self._band(case, frame), seed, sample)
        if math.prod(frame.shape) <= VALIDATED:
            return np.stack(np.unravel_index(np.arange(math.prod(frame.shape)), frame.shape), axis=1)
        return draw_points(Points(VALIDATED), frame.shape, None, 0, sample)

    def _band(self, case: str, frame: Frame) -> Band | None:
        """Return the band in which a share of the points lies; found when the case is first shown."""
        if not self.points.border:
            return None
        if case not in self._bands:
            truth = torch.from_numpy(np.ascontiguousarray(self.cases.folder.truth(case)))
            classes = truth.masked_fill(truth == IGNORED, 0)
            if self.points.band is None:
                near = sobel_band(frame.resample(classes > 0, 0)).numpy()
            else:
                near = self._near(case, classes, self.points.band)
                near = frame.resample(torch.from_numpy(near), 0).numpy()
            self._bands[case] = Band.of(near)
        return self._bands[case]

    def _near(self, case: str, classes: Tensor, band: float) -> np.ndarray:
        """Return True at the voxels within ``band`` mm of any class's boundary, and at those that touch one."""
        near = touching(classes.numpy())
        for k in range(1, self.num_classes):
            mask = classes == k
            if bool(mask.any()):
                distances = case_map(_OBJECT, mask.to(torch.uint8), self.folder.spacing_3d(case), 2)[0]
                near |= within(distances, band)
        return near

    def _read(self, plan: Planned) -> list[Tensor]:
        """Read modalities, labels, points, and each map at the points, on the host."""
        assert isinstance(plan, _Asked)
        maps = [shown_at(self.maps.whole(plan.case, need), plan.frame, plan.points).cpu() for need in self.kept]
        return [*self.cases.parts(plan.case, plan.box), torch.from_numpy(plan.points), *maps]

    def _complete(
        self, samples: Tensor, whole: Tensor, planned: Sequence[Planned], read: Sequence[Tensor]
    ) -> Batch:  # fmt: skip
        size = [max(sides) for sides in zip(*map(self._shape, whole.tolist()), strict=True)]
        each, count = len(read) // len(planned), len(self.folder.modalities)
        images, dense, places, at_points = [], [], [], []
        maps: list[list[Tensor]] = [[] for _ in self.kept]
        for number, plan in enumerate(planned):
            own = read[number * each : (number + 1) * each]
            image, labels = self._altered(plan, own[:count], own[count])
            points = _mirrored(own[count + 1], plan)
            images.append(image)
            dense.append(labels)
            places.append(points.float())
            at_points.append(values_at(labels, points))
            for found, values in zip(maps, own[count + 2 :], strict=True):
                found.append(values)
        labels = torch.stack(at_points)
        stacked = {need: torch.stack(found) for need, found in zip(self.kept, maps, strict=True)}
        return Batch(
            index=onto_device(samples // self.each, labels.device),
            names=self.names_of(samples),
            inputs=(stack_padded(images, 3, 0, size), torch.stack(places)),
            labels=labels,
            gt=encode_one_hot(labels, self.num_classes, torch.float32),
            maps={need: scatter_classes(found, need.classes, self.num_classes) for need, found in stacked.items()},
            mask=(labels != IGNORED).unsqueeze(1) if self.has_ignored else None,
            spacings=torch.stack([self._spacing(plan) for plan in planned]),
            dense=stack_padded(dense, 3, IGNORED, size),
        )

    def _altered(self, plan: Planned, image: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, Labels]:
        frame = plan.frame.within(plan.box)
        shown = frame.resample(self.cases.scaled(plan.case, image), 1), frame.resample(labels, 0)
        return shown if plan.drawn is None else altered(*shown, plan.drawn)

    def predict(self, net: Field, case: str, device: torch.device) -> Labels:
        """Return the classes of all voxels of a case, (X, Y, Z) uint8 in the grid of its source, on the device."""
        frame = self.frames[case]
        box = frame.source_box()
        *parts, _ = self.cases.parts(case, box)
        volume = self.cases.scaled(case, [part.to(device) for part in parts])
        assert self.cases.view.way is not None
        return ask_in_source(net, frame.within(box).resample(volume, 1), frame, self.cases.view.way)


def _mirrored(points: Tensor, plan: Planned) -> Tensor:
    """Return where voxels (P, 3) lie after mirroring."""
    if plan.drawn is None or plan.drawn.axes is None:
        return points
    points = points.clone()
    for axis in plan.drawn.axes[0]:  # counted from the end
        points[:, axis] = plan.frame.shape[axis] - 1 - points[:, axis]
    return points


def ask_in_source(net: Field, volume: Tensor, frame: Frame, way: Way, grid: Frame | None = None) -> Labels:
    """Return the classes at the voxels of a case's source, (*source) uint8 on the device; background outside the frame.

    Args:
        net: in evaluation mode.
        volume: (C, *shape) float32, what the frame shows.
        grid: other voxels of the source to ask at: those that this frame shows.
    """
    grid = grid or Frame.whole(frame.source)
    labels = torch.zeros(grid.shape, dtype=torch.uint8, device=volume.device)
    box, lattice = _shown_of(grid, frame)
    if min(box.shape):
        labels[box.slices] = way(net, volume, lattice).labels
    return labels


def probabilities_in_source(
    net: Field, volume: Tensor, frame: Frame, way: Way, temperature: float, num_classes: int, grid: Frame | None = None
) -> Tensor:
    """Return the softmax at the voxels of a case's source, (K, *source) float32 on the host.

    Arguments as of :func:`ask_in_source`.
    """
    grid = grid or Frame.whole(frame.source)
    whole = torch.zeros((num_classes, *grid.shape))
    whole[0] = 1
    box, lattice = _shown_of(grid, frame)
    if min(box.shape):
        shown = probabilities(net, volume, lattice, memory=read_bytes(way.memory), temperature=temperature)
        whole[(slice(None), *box.slices)] = shown
    return whole


def _shown_of(grid: Frame, frame: Frame) -> tuple[Box, Lattice]:
    """Return the voxels of the grid that the frame shows, and their places in it."""
    covered, inverse = frame.covered(Box((0,) * len(frame.shape), frame.shape)), frame.inverse
    first, size = [], []
    for axis, (start, side) in enumerate(zip(covered.origin, covered.shape, strict=True)):
        ends = ((edge - 0.5 - grid.offset[axis]) / grid.scale[axis] for edge in (start, start + side))
        low, high = (min(max(0, math.ceil(round(end, _DECIMALS))), grid.shape[axis]) for end in ends)
        first.append(low)
        size.append(high - low)
    shape: Any = tuple(size)
    scale: Any = tuple(step * own for step, own in zip(inverse.scale, grid.scale, strict=True))
    places = grid.positions(np.array(first))
    offset: Any = tuple((inverse.positions(places)).tolist())
    return Box(tuple(first), shape), Lattice(shape, scale, offset)
