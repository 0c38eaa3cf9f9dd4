"""Samples of whole volumes: patches to train on, and whole cases to be validated.

Axis letters: B samples, C modalities, K classes, X Y Z voxels (see :mod:`boundary_loss.shapes`).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from boundary_loss.data.augmentation import Augmentation, compiled_volumes, plain
from boundary_loss.data.augmentation.drawn import Drawn
from boundary_loss.data.case_maps import case_map
from boundary_loss.data.cases import ShownCases
from boundary_loss.data.deformed import deformed, deformed_box
from boundary_loss.data.frame import Box, Frame
from boundary_loss.data.needs import MapNeed, check_case_needs
from boundary_loss.data.patches import Patch, draw_patch, stack_padded
from boundary_loss.data.prefetch import onto_device, prefetched
from boundary_loss.data.samples import Batch, Samples
from boundary_loss.data.view import classes_in_source
from boundary_loss.encoding import encode_one_hot, scatter_classes
from boundary_loss.inference.decision import ARGMAX
from boundary_loss.shapes import IGNORED, Labels, Probs


@dataclass(frozen=True)
class Planned:
    """The random draws of a sample, made before anything of it is read."""

    case: str
    frame: Frame
    box: Box
    """Of the source: what is read."""
    drawn: Drawn | None = None


class Volumes(Samples):
    """Whole cases as samples. Items are cases too, and the rows of the run's arrays.

    Args:
        needs: the maps that the losses read.
        device: where maps are made if they are too large to be kept.
        deformed: whether samples are rotated or deformed, so that maps are made of what is shown.

    Raises:
        ValueError: there are labels that are no classes, or maps that volumes do not have.
    """

    items = "volumes"

    def __init__(
        self, cases: ShownCases, *, needs: Sequence[MapNeed] = (), device: torch.device | str = "cpu",
        deformed: bool = False,
    ) -> None:  # fmt: skip
        check_case_needs(needs, deformed=deformed)
        self.cases, self.folder, self.which, self.names = cases, cases.folder, cases.which, cases.names
        self.volumes = {name: [row] for row, name in enumerate(self.names)}
        self.num_classes = len(self.folder.classes)
        self.frames = {name: cases.frame(name) for name in self.names}
        self.absent = cases.contents.absent
        self.has_ignored = cases.contents.has_ignored
        self.kept = [need for need in needs if not need.at_each_step(deformed=deformed)]
        self.steps = [need for need in needs if need.at_each_step(deformed=deformed)]
        self.maps = cases.maps(self.kept, torch.device(device))

    @property
    def planes(self) -> list[str]:
        return self.cases.planes

    def batches(
        self, batches: Sequence[Tensor], device: torch.device, seed: int = 0, whole: Sequence[Tensor] | None = None
    ) -> Iterator[Batch]:
        """Yield each batch of samples; for a GPU the next is copied while the network works on this one."""
        planned: deque[list[Planned]] = deque()

        def gather(samples: Tensor) -> list[Tensor]:
            planned.append([self._plan(sample, seed) for sample in samples.tolist()])
            return [tensor for plan in planned[-1] for tensor in self._read(plan)]

        arriving = prefetched(gather, batches, device) if device.type == "cuda" else map(gather, batches)
        for samples, of_whole, read in zip(batches, whole or batches, arriving, strict=True):
            yield self._complete(samples, of_whole, planned.popleft(), [tensor.to(device) for tensor in read])

    def _plan(self, sample: int, seed: int) -> Planned:
        case = self.names[sample]
        frame = self.frames[case]
        return Planned(case, frame, frame.source_box())

    def _read(self, plan: Planned) -> list[Tensor]:
        """Read the modalities, the labels and the shown part of each kept map, on the host."""
        maps = [self.maps.shown(plan.case, need, plan.frame) for need in self.kept] if self.maps.keep else []
        return [*self.cases.parts(plan.case, plan.box), *maps]

    def _complete(
        self, samples: Tensor, whole: Tensor, planned: Sequence[Planned], read: Sequence[Tensor]
    ) -> Batch:  # fmt: skip
        """Return the batch of what was read, on its device; a rank's part has the size of the whole batch."""
        size = [max(sides) for sides in zip(*map(self._shape, whole.tolist()), strict=True)]
        each = len(read) // len(planned)
        shown = [self._show(plan, read[i * each : (i + 1) * each]) for i, plan in enumerate(planned)]
        labels = stack_padded([own.labels for own in shown], 3, IGNORED, size)
        images = stack_padded([own.image for own in shown], 3, 0, size)
        needs = [*self.kept, *self.steps]
        maps = {need: stack_padded([own.maps[i] for own in shown], 3, 0, size) for i, need in enumerate(needs)}
        return Batch(
            index=onto_device(samples // self.each, labels.device),
            names=self.names_of(samples),
            inputs=(images,),
            labels=labels,
            gt=encode_one_hot(labels, self.num_classes, torch.float32),
            maps={need: scatter_classes(found, need.classes, self.num_classes) for need, found in maps.items()},
            mask=(labels != IGNORED).unsqueeze(1) if self.has_ignored else None,
            spacings=torch.stack([self._spacing(plan) for plan in planned]),
        )

    def _shape(self, sample: int) -> tuple[int, ...]:
        """Return the shape of a sample, before it is filled up to that of its batch."""
        return self.frames[self.names[sample // self.each]].shape

    def _spacing(self, plan: Planned) -> Tensor:
        return self.cases.spacing(plan.case, plan.frame)

    def _show(self, plan: Planned, read: Sequence[Tensor]) -> "_Shown":
        count = len(self.folder.modalities)
        image, labels = self.cases.scaled(plan.case, read[:count]), read[count]
        frame = plan.frame.within(plan.box)
        maps = list(read[count + 1 :])
        if not self.maps.keep:
            maps = [self.maps.shown(plan.case, need, plan.frame).to(image.device) for need in self.kept]
        drawn = plan.drawn
        if drawn is not None and drawn.turn is not None:
            image, labels = deformed(image, labels, frame, drawn)
            drawn = replace(drawn, axes=None, turn=None, bend=None)
        else:
            image, labels = frame.resample(image, 1), frame.resample(labels, 0)
        if drawn is not None:
            maps = [plain.flipped(found[None], drawn.axes)[0] for found in maps]
            image, labels = altered(image, labels, drawn)
        spacing = self._spacing(plan).tolist()
        steps = [case_map(need, labels, spacing, self.num_classes) for need in self.steps]
        return _Shown(image, labels, [*maps, *steps])


@dataclass(frozen=True)
class _Shown:
    """A sample: (C, X, Y, Z) float32, (X, Y, Z) uint8, and (classes of the need, X, Y, Z) float32 mm each."""

    image: Tensor
    labels: Labels
    maps: list[Tensor]


def altered(image: Tensor, labels: Labels, drawn: Drawn) -> tuple[Tensor, Labels]:
    """Return the sample mirrored, with changed intensities (between the least and greatest shown) and noise."""
    images, of_batch = (plain.flipped(own[None], drawn.axes) for own in (image, labels))
    drawn = replace(drawn, axes=None)
    if drawn.recolour is not None:
        low, high = (edge(images, dim=(2, 3, 4), keepdim=True) for edge in (torch.amin, torch.amax))
        span = (high - low).clamp(min=1e-6)
        images, of_batch = _coloured((images - low) / span, of_batch, replace(drawn, speckle=None))
        images = images * span + low
    if drawn.speckle is not None:
        images, of_batch = _coloured(images, of_batch, replace(drawn, recolour=None))
    return images[0], of_batch[0]


def _coloured(images: Tensor, labels: Labels, drawn: Drawn) -> tuple[Tensor, Labels]:
    return compiled_volumes.coloured(images, labels, drawn) or plain.altered(images, labels, drawn)


class Patches(Volumes):
    """Training samples: patches of each case, or all that is shown of it, augmented."""

    def __init__(
        self, cases: ShownCases, *, needs: Sequence[MapNeed] = (), device: torch.device | str = "cpu",
        augmentation: Augmentation | None = None,
    ) -> None:  # fmt: skip
        deforms = augmentation is not None and augmentation.deforms
        super().__init__(cases, needs=needs, device=device, deformed=deforms)
        self.augmentation, self.patch = augmentation, cases.view.sample
        self.each = self.patch.each if isinstance(self.patch, Patch) else 1
        if len({cases.view.shape(frame) for frame in self.frames.values()}) > 1:
            self.has_ignored = True  # the filling of smaller samples

    @property
    def remarks(self) -> list[str]:
        """Return a line if the patch is larger than what is shown of some cases: there it is as large as that."""
        if not isinstance(self.patch, Patch):
            return []
        wanted = self.patch.shape
        smaller = [frame.shape for frame in self.frames.values() if np.less(frame.shape, wanted).any()]
        if not smaller:
            return []
        least = min(smaller, key=np.prod)
        of = f"{len(smaller)} of {len(self.frames)} training cases, the smallest {' x '.join(map(str, least))} voxels"
        return [f"patch({','.join(map(str, wanted))}) is larger than {of}; their patches end with the case"]

    def _shape(self, sample: int) -> tuple[int, ...]:
        return self.cases.view.shape(self.frames[self.names[sample // self.each]])

    def _plan(self, sample: int, seed: int) -> Planned:
        case = self.names[sample // self.each]
        frame = self.frames[case]
        if isinstance(self.patch, Patch):
            frame = draw_patch(self.patch, frame, self.cases.contents.objects[case], seed, sample)
        if self.augmentation is None:
            return Planned(case, frame, frame.source_box())
        spacing = self.cases.spacing(case, frame)[None].double().numpy()
        drawn = self.augmentation.draw([sample], seed, (len(self.folder.modalities), *frame.shape), spacing)
        box = frame.source_box() if drawn.turn is None else deformed_box(frame, drawn)
        return Planned(case, frame, box, drawn)


class Cases(Volumes):
    """Whole cases to validate on, one a batch. Classes are counted and kept in the grid of the source.

    So an object that a crop cut off counts as missed, and predictions do not depend on how cases were shown.
    """

    is_dealt = True

    def __init__(self, cases: ShownCases, *, needs: Sequence[MapNeed] = (), device: torch.device | str = "cpu",
                 batch_size: int = 1, decision: str = ARGMAX) -> None:  # fmt: skip
        super().__init__(cases, needs=needs, device=device)
        self.batch_size, self.decision = batch_size, decision

    def in_order(self, batch_size: int, *, group: bool) -> list[Tensor]:
        """Yield one batch a case; the batch size is that of the patches shown at once."""
        return list(torch.arange(len(self)).split(1))

    def forward(self, call: Callable[..., Any], batch: Batch) -> Any:
        """Return the outputs on all that is shown of the case, put together from patches if the view has them."""
        (image,) = batch.inputs
        return self.cases.view.outputs(call, image, batch_size=self.batch_size, device=image.device)

    def classes(self, probs: Probs, batch: Batch) -> tuple[Labels, Labels]:
        """Return predicted and true classes (1, X, Y, Z) uint8 in the source's grid."""
        (case,) = batch.names
        predicted = classes_in_source(probs[0], self.frames[case], self.decision)
        truth = torch.from_numpy(np.ascontiguousarray(self.cases.folder.truth(case))).to(probs.device)
        return predicted[None], truth[None]
