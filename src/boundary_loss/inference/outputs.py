"""What a network gives for a batch, cut into items: a tensor, or outputs by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor

Answer = TypeVar("Answer", Tensor, dict[str, Tensor])
"""(B, K, ...), or by name (B, K, ...) each; K may differ."""
Network = Callable[[Tensor], Answer]
"""Takes (B, C, ...) images."""


def by_name(answer: Any, num_items: int, space: Sequence[int]) -> Mapping[str, Tensor]:
    """The outputs by name, each (B, K, *space); a tensor has the empty name.

    Raises:
        ValueError: an output has other items or another shape in space, as a head that works at half the resolution.
    """
    outputs = {"": answer} if isinstance(answer, Tensor) else dict(answer)
    for name, output in outputs.items():
        found = tuple(output.shape)
        if output.ndim < 2 or (found[0], *found[2:]) != (num_items, *space):
            which = f" of its output '{name}'" if name else ""
            raise ValueError(f"the network made {found}{which}; expected {(num_items, 'K', *space)}")
    return outputs


def as_answered(outputs: Mapping[str, Tensor]) -> Any:
    """A tensor again, of the one output that has the empty name; else the dictionary."""
    return outputs[""] if "" in outputs else dict(outputs)
