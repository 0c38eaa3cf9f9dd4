"""The Hausdorff losses of other works under their names and settings, computed by :mod:`.hausdorff`."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from boundary_loss.losses.base import one_of, reduce, wide
from boundary_loss.losses.hausdorff import Sides, boundary_distance, hausdorff
from boundary_loss.losses.target import (
    Target,
    TargetReader,
    check_prediction,
    zero_unless,
)


class HDLoss(nn.Module):
    """Mean of (p − g)² (d_p^α + d_g^α), each channel by itself: a mask is where the channel is above ½.

    With its defaults a drop-in for the loss of that name in GPU-accelerated-losses, which measures inside the masks.
    For MONAI's values take :class:`HausdorffDTLoss`.

    Args:
        include_background: False drops the first channel (not when it is the only one).
        to_onehot_y: the target is (B, 1, ...) class numbers, of any type; has no effect on one channel.
        sigmoid, softmax, other_act: what makes probabilities of the input; one at most.
        reduction: "mean", "sum" (both of the values a class and item have) or "none" (those values).
        batch: take the mean over the items first, so that "none" gives (K,) instead of (B, K).
        alpha: the power of the distances.
        sides: "inside" or "both", as in :class:`HausdorffLoss`.
        ignore_index: class numbers that count nowhere, as in every loss.
    """

    def __init__(
        self,
        include_background: bool = True,
        to_onehot_y: bool = False,
        sigmoid: bool = False,
        softmax: bool = False,
        other_act: Callable[[Tensor], Tensor] | None = None,
        reduction: str = "mean",
        batch: bool = False,
        *,
        alpha: float = 2.0,
        sides: Sides = "inside",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__()
        if sigmoid + softmax + (other_act is not None) > 1:
            raise ValueError("sigmoid, softmax and other_act exclude each other; give one of them")
        if alpha <= 0:
            raise ValueError(f"alpha={alpha} must be positive; the paper takes 2")
        self.include_background, self.to_onehot_y, self.batch = include_background, to_onehot_y, batch
        self.sigmoid, self.softmax, self.other_act = sigmoid, softmax, other_act
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none"))
        self.alpha, self.sides = alpha, one_of("sides", sides, ("inside", "both"))
        self._reader = TargetReader(ignore_index, independent=True)

    def forward(self, input: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            input: (B, K, X, Y[, Z]) prediction.
            target: (B, K, ...) one-hot, or (B, 1, ...) class numbers.
            mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.

        Returns:
            A scalar; with ``reduction="none"`` (B, K), or (K,) if ``batch``.

        Raises:
            ValueError: shapes that do not fit, values that are no one-hot encoding or class numbers.
        """
        check_prediction(input)
        with torch.autocast(input.device.type, enabled=False):
            g, known = self._target(target, mask, input)
            p = zero_unless(known, self._probabilities(zero_unless(known, input.to(wide(input)))))
            first = 0 if self.include_background or p.shape[1] == 1 else 1
            return self._reduced(self._values(p[:, first:], g[:, first:], known))

    def _target(self, target: Tensor, mask: Tensor | None, input: Tensor) -> Target:
        if not self.to_onehot_y and isinstance(target, Tensor) and target.shape != input.shape:
            raise ValueError(
                f"target {tuple(target.shape)} and prediction {tuple(input.shape)} must have one shape; "
                "to_onehot_y=True takes (B, 1, ...) class numbers"
            )
        one_hot, known = self._reader.read(target, mask, input, wide(input))
        return Target(one_hot[:, 1:] if input.shape[1] == 1 else one_hot, known)  # of (1 - g, g) the latter

    def _probabilities(self, input: Tensor) -> Tensor:
        if self.softmax:
            if input.shape[1] == 1:
                raise ValueError("softmax over one channel is always 1; use sigmoid=True or two channels")
            return input.softmax(dim=1)
        if self.sigmoid:
            return input.sigmoid()
        return input if self.other_act is None else self.other_act(input)

    def _values(self, p: Tensor, g: Tensor, known: Tensor | None) -> Tensor:
        """(B, K)"""
        with torch.no_grad():
            d_p, d_g = (boundary_distance(mask > 0.5, self.sides, known=known) for mask in (p, g))
        return hausdorff(p, g, d_p, d_g, self.alpha, known)

    def _reduced(self, values: Tensor) -> Tensor:
        return reduce(values.mean(0) if self.batch else values, self.reduction)


class HausdorffDTLoss(HDLoss):
    """Drop-in for MONAI's loss of that name (1.6): both sides, the background left out by default.

    ``reduction="none"`` gives (B, K, 1, 1[, 1]), with ``batch`` (1, K, 1, 1[, 1]), as MONAI's. One thing differs:
    softmax over one channel is an error, where MONAI warns and takes the logits for probabilities.
    """

    def __init__(
        self,
        alpha: float = 2.0,
        include_background: bool = False,
        to_onehot_y: bool = False,
        sigmoid: bool = False,
        softmax: bool = False,
        other_act: Callable[[Tensor], Tensor] | None = None,
        reduction: str = "mean",
        batch: bool = False,
        *,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(
            include_background, to_onehot_y, sigmoid, softmax, other_act, reduction, batch,
            alpha=alpha, sides="both", ignore_index=ignore_index,
        )  # fmt: skip

    def forward(self, input: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
        values = super().forward(input, target, mask=mask)
        if self.reduction != "none":
            return values
        return values.reshape(-1, values.shape[-1], *[1] * (input.ndim - 2))
