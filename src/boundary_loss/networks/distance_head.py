"""A second output beside the segmentation: one distance a class, from the same features."""

from torch import Tensor, nn

from boundary_loss.networks.outputs import LOGITS, Outputs

DISTANCES = "distances"
"""What losses of a distance head read."""
SUFFIX = f"+{DISTANCES}"
"""What follows the name of a network with a distance head, as in ``UNet(width=8)+distances``."""


class WithDistanceHead(nn.Module):
    """A network of 2K output channels, read as K logits and K distances.

    Every network here ends in one linear layer, and a layer of twice the channels is two heads side by side: the
    second costs K filters and nothing else, for networks of the user's own as well.

    Args:
        net: gives (B, 2K, ...).
        num_classes: K.
    """

    def __init__(self, net: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.net, self.num_classes = net, num_classes

    def forward(self, *inputs: Tensor) -> Outputs:
        """Inputs, as (B, C, ...) -> ``logits`` (B, K, ...) and ``distances`` (B, K, ...), the head's values."""
        both = self.net(*inputs)
        return {LOGITS: both[:, : self.num_classes], DISTANCES: both[:, self.num_classes :]}
