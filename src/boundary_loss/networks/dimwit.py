"""Dimwit: two layers, for dry runs of a pipeline. It learns thresholds and little more."""

from torch import Tensor, nn

from boundary_loss.networks.blocks import CONV, TRANSPOSED, at_multiple, check_positive, initialise


class Dimwit(nn.Module):
    """Halve the image into ``width`` channels, double it into K.

    Args:
        in_channels: modalities C.
        num_classes: K.
        width: channels in between.
    """

    dims = 2

    def __init__(self, in_channels: int, num_classes: int, width: int = 10) -> None:
        super().__init__()
        check_positive(type(self).__name__, in_channels=in_channels, num_classes=num_classes, width=width)
        self.layers = nn.Sequential(
            CONV[self.dims](in_channels, width, 2, stride=2),
            TRANSPOSED[self.dims](width, num_classes, 3, stride=2, padding=1, output_padding=1),
        )
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, ...) -> (B, K, ...) logits of equal size."""
        return at_multiple(self.layers, image, 2, self.dims)


class Dimwit3D(Dimwit):
    """Dimwit for volumes, (B, C, X, Y, Z) -> (B, K, X, Y, Z)."""

    dims = 3
