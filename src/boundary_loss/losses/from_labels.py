"""Losses of (logits, labels) that make their distance maps in the step.

Loaders of other frameworks give images and labels alone, and a map made before the augmentation does not fit the
augmented labels. An exact map takes a small part of a step, so it is made in the loss: on the device, of the augmented
labels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from boundary_loss.distance import signed_distance
from boundary_loss.distance.layout import Spacing, spacing_array
from boundary_loss.distance.signed import Absent, Convention, Normalisation
from boundary_loss.losses.base import Loss, wide
from boundary_loss.losses.boundary import BoundaryLoss
from boundary_loss.losses.fused import (
    FusedDiceCEBoundary,
    FusedDiceCELoss,
    FusedDiceLoss,
    FusedGeneralizedDiceBoundary,
)
from boundary_loss.losses.head import HeadLoss
from boundary_loss.losses.ledger_boundary import LedgerBoundaryLoss
from boundary_loss.losses.levels import nnunet_weights, resized, spacing_at
from boundary_loss.losses.target import TargetReader, check_prediction, read_as_labels, read_mask
from boundary_loss.shapes import Labels, Logits, OneHot, Scalar

OF_MAPS = (BoundaryLoss, FusedGeneralizedDiceBoundary, FusedDiceCEBoundary)
OF_LABELS = (Loss, HeadLoss, FusedDiceLoss, FusedDiceCELoss)


class FromLabels(nn.Module):
    """A loss of (logits, labels) whose signed maps are made in the call: ``FromLabels(BoundaryLoss(...))``.

    The same value and gradient as :func:`boundary_loss.signed_distance` followed by the loss.

    Args:
        loss: a :class:`BoundaryLoss`, a fused loss that takes maps, or any loss that takes labels: of those
            :class:`HausdorffLoss`, and of a distance head :class:`SDFHead`, :class:`SDFProductHead` and
            :class:`ForegroundHead`, measure distances too. Its settings (classes, activation, ignored label, reduction)
            stay in force; without an activation it is given probabilities.
        spacing_mm: of the voxels, along (X, Y[, Z]), where a call does not give it; None = the loss's own, or 1. Take
            the nominal spacing of the patch: after a random rotation that of an affine differs from it.
        full_size: the voxels (X, Y[, Z]) of the patch that ``spacing_mm`` belongs to. A prediction of another size
            covers the same patch: its spacing is scaled. Needed where a wrapper passes coarser outputs one by one, as
            MONAI's and nnU-Net's deep supervision do.
        ignored_last: the target is one-hot and has a channel more than the prediction, the last, which marks ignored
            voxels: nnU-Net's region training with an ignore label.
        level_weights: of the outputs of deep supervision, the finest first; missing ones are 0, so ``[1]`` counts the
            finest alone. None = nnU-Net's: 1, 1/2, 1/4, ..., the last 0, divided by their sum.
        convention, absent, normalise, max_distance: of the signed maps, as in :func:`boundary_loss.signed_distance`;
            the other losses have options of their own.

    >>> labels = torch.zeros(1, 1, 4, 4)  # floats with a channel, as MONAI loads them
    >>> labels[..., :2] = 1
    >>> loss = FromLabels(BoundaryLoss(classes=[1], activation="softmax"), spacing_mm=(1.0, 2.0))
    >>> loss(torch.zeros(1, 2, 4, 4), labels).item()  # ½ of the mean of 1 − 4, 1 − 2, 2 and 4
    0.25
    """

    def __init__(
        self,
        loss: nn.Module,
        *,
        spacing_mm: Spacing = None,
        full_size: Sequence[int] | None = None,
        ignored_last: bool = False,
        level_weights: Sequence[float] | None = None,
        convention: Convention | None = None,
        absent: Absent | None = None,
        normalise: Normalisation | None = None,
        max_distance: float | None = None,
    ) -> None:
        super().__init__()
        options = {"convention": convention, "absent": absent, "normalise": normalise, "max_distance": max_distance}
        self.map_options: dict[str, Any] = {name: given for name, given in options.items() if given is not None}
        """Keywords for :func:`boundary_loss.signed_distance` that make the maps."""
        _check_loss(loss, self.map_options)
        self.loss = loss
        self.spacing_mm = spacing_array(getattr(loss, "spacing_mm", None) if spacing_mm is None else spacing_mm)
        self.full_size = None if full_size is None else tuple(full_size)
        self.ignored_last = ignored_last
        self.level_weights = None if level_weights is None else [float(weight) for weight in level_weights]
        ignored = (
            loss.dice.ignore_label if isinstance(loss, FusedDiceCEBoundary) else getattr(loss, "ignore_index", None)
        )
        sigmoid = getattr(loss, "activation", None) == "sigmoid"
        self._reader = TargetReader(ignored, independent=sigmoid)

    def forward(
        self,
        logits: Logits | Sequence[Logits],
        labels: Labels | OneHot | Sequence[Labels | OneHot],
        *,
        mask: Tensor | Sequence[Tensor] | None = None,
        spacing_mm: Spacing = None,
    ) -> Scalar:
        """The loss of a batch.

        Args:
            logits: (B, K, X, Y[, Z]), what the wrapped loss takes. Or a list of them, the finest first: the weighted
                sum over the levels. (Of outputs stacked as (B, levels, K, ...) ``torch.unbind(outputs, 1)`` makes one.)
            labels: (B, ...) or (B, 1, ...), whole numbers of any type; or (B, K, ...) one-hot, whose channels may
                overlap under "sigmoid"; see ``ignored_last``. Beside a list, a list; or one target, of which
                each level takes the voxels nearest to its own.
            mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere. Or a list.
            spacing_mm: of this batch's finest voxels, (D,), or (B, D) for each item its own.

        Returns:
            What the wrapped loss returns, a plain tensor also of MONAI's MetaTensors.

        Raises:
            ValueError: as the wrapped loss and :func:`boundary_loss.signed_distance` do; lists of different lengths.
        """
        single = isinstance(logits, Tensor)
        outputs = [_plain(logits)] if isinstance(logits, Tensor) else [_plain(output) for output in logits]
        for output in outputs:
            check_prediction(output)
        targets = _of_levels("labels", labels, outputs)
        masks = [None] * len(outputs) if mask is None else _of_levels("masks", mask, outputs)
        weights = [1.0] if single else self._weights(len(outputs))
        spacing = self.spacing_mm if spacing_mm is None else spacing_array(spacing_mm)
        full_size = outputs[0].shape[2:] if self.full_size is None else self.full_size
        values = []
        for weight, output, target, counted in zip(weights, outputs, targets, masks):
            if weight:
                own = spacing_at(output.shape[2:], full_size, spacing)
                values.append(weight * self._level(output, target, counted, own))
        return torch.stack(values).sum(0)

    def _weights(self, levels: int) -> list[float]:
        if not levels:
            raise ValueError("the list of outputs is empty: it must hold one tensor (B, K, X, Y[, Z]) a level")
        weights = nnunet_weights(levels) if self.level_weights is None else self.level_weights[:levels]
        if not any(weights):
            raise ValueError(f"level_weights={self.level_weights} leave no output that counts")
        return [*weights, *[0.0] * (levels - len(weights))]

    def _level(self, output: Tensor, target: Tensor, mask: Tensor | None, spacing_mm: Spacing) -> Tensor:
        if self.ignored_last:
            target, mask = _without_ignored(target, mask, output)
        if not isinstance(self.loss, OF_MAPS):
            measured = {"spacing_mm": spacing_mm} if getattr(self.loss, "takes_spacing", False) else {}
            return self.loss(output, target, mask=mask, **measured)
        segmentation, known = self._read(output, target, mask)
        classes = self.loss.classes if isinstance(self.loss, BoundaryLoss) else self.loss.boundary_classes
        K = max(output.shape[1], 2)
        maps = self._maps(segmentation, known, K, classes, spacing_mm, wide(output))
        if isinstance(self.loss, BoundaryLoss):
            return self.loss.of_maps(output, maps, known, known)
        return self.loss(output, segmentation, maps, mask=known)

    def _read(self, output: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return labels (B, ...) or one-hot (B, K, ...), and the voxels that count, (B, 1, ...) or None."""
        labels = read_as_labels(target, output)
        if labels is not None:
            return labels, self._reader.check_labels(labels, read_mask(mask, output), max(output.shape[1], 2))
        if not isinstance(self.loss, BoundaryLoss):
            raise ValueError(f"{type(self.loss).__name__} needs labels (B, ...) or (B, 1, ...), not one-hot")
        return self._reader.read(target, mask, output, wide(output))

    @torch.no_grad()
    @torch.compiler.disable  # the transform is a program of its own: nothing in it to trace or differentiate
    def _maps(
        self,
        segmentation: Tensor,
        known: Tensor | None,
        K: int,
        classes: Sequence[int] | None,
        spacing_mm: Spacing,
        dtype: torch.dtype,
    ) -> Tensor:
        space = segmentation.ndim - (2 if segmentation.is_floating_point() else 1)  # labels have been made integers
        labels: dict[str, Any] = {} if segmentation.is_floating_point() else {"num_classes": K, "ignore_index": None}
        return signed_distance(
            segmentation, spacing_mm, classes=classes, mask=known, spatial_dims=space, dtype=dtype,
            **labels, **self.map_options,
        )  # fmt: skip

    def extra_repr(self) -> str:
        spacing = None if self.spacing_mm is None else self.spacing_mm.tolist()
        return f"spacing_mm={spacing}, full_size={self.full_size}, level_weights={self.level_weights}"


def _check_loss(loss: nn.Module, map_options: dict[str, Any]) -> None:
    if isinstance(loss, LedgerBoundaryLoss):
        raise ValueError(
            "a ledger's boundary loss is fed by the pipeline; give BoundaryLoss, and the map's options here"
        )
    if not isinstance(loss, (*OF_MAPS, *OF_LABELS)):
        raise ValueError(
            f"FromLabels needs a loss of boundary_loss that takes maps or labels, got {type(loss).__name__}; those of "
            "a distance head are SDFHead, SDFProductHead and ForegroundHead of boundary_loss.losses"
        )
    if map_options and not isinstance(loss, OF_MAPS):
        raise ValueError(f"{', '.join(map_options)} shape the maps of BoundaryLoss; {type(loss).__name__} takes none")


def _plain(tensor: Tensor) -> Tensor:
    """Return a plain tensor of a subclass such as MONAI's MetaTensor, whose operations copy its meta data."""
    return tensor.as_subclass(Tensor) if type(tensor) is not Tensor and isinstance(tensor, Tensor) else tensor


def _of_levels(name: str, given: Tensor | Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the target of each output: the list's own, or one tensor resized to the output."""
    if isinstance(given, Tensor):
        full = _plain(given)
        return [full, *(resized(full, output.shape[2:]) for output in outputs[1:])]
    if len(given) != len(outputs):
        raise ValueError(f"{len(given)} {name} beside {len(outputs)} outputs; give one each, or one tensor for all")
    return [_plain(each) for each in given]


def _without_ignored(target: Tensor, mask: Tensor | None, output: Tensor) -> tuple[Tensor, Tensor]:
    """Return the target without its last channel, and the voxels that count: not marked by it, and in the mask."""
    B, R, *space = output.shape
    if tuple(target.shape) != (B, R + 1, *space):
        raise ValueError(
            f"with ignored_last the target must be {(B, R + 1, *space)}, a channel more than the prediction, "
            f"got {tuple(target.shape)}"
        )
    counted, known = read_mask(mask, output), ~(target[:, -1:] > 0.5)
    return target[:, :-1], known if counted is None else known & counted
