"""A second output beside the segmentation: one distance a class, from the same features."""

from typing import Literal, overload

from torch import Tensor, nn

SUFFIX = "+distances"
"""What follows the name of a network with a distance head, as in ``UNet(width=8)+distances``."""


class WithDistanceHead(nn.Module):
    """A network of 2K output channels, read as K logits and K distances.

    Every network here ends in one linear layer, and a layer of twice the channels is two heads side by side: the
    second costs K filters and nothing else, for networks of the user's own as well. Called as any network it gives
    the logits, so that whatever predicts need not know of it.

    Args:
        net: gives (B, 2K, ...).
        num_classes: K.
    """

    def __init__(self, net: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.net, self.num_classes = net, num_classes

    @overload
    def forward(self, image: Tensor, distances: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, image: Tensor, distances: Literal[True]) -> tuple[Tensor, Tensor]: ...

    def forward(self, image: Tensor, distances: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """(B, C, ...) -> logits (B, K, ...); with ``distances`` also the head's values (B, K, ...)."""
        outputs = self.net(image)
        logits = outputs[:, : self.num_classes]
        return (logits, outputs[:, self.num_classes :]) if distances else logits
