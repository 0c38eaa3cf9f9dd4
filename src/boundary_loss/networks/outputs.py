"""What a network returns, as outputs with names: the logits first, then what its losses read besides.

A network returns a tensor, its logits, or a dictionary such as ``{"logits": ..., "distances": ...}``.
"""

from typing import Any

from torch import Tensor

LOGITS = "logits"
Outputs = dict[str, Tensor]
"""By name, ``logits`` first; (B, ...) each."""


def outputs(answer: Any) -> Outputs:
    """Name what a network returned.

    Raises:
        TypeError: it is neither a tensor nor a dictionary of tensors whose first is ``logits``.
    """
    if isinstance(answer, Tensor):
        return {LOGITS: answer}
    expected = "a tensor of logits (B, K, ...), nor a dictionary of tensors with 'logits' first"
    if not isinstance(answer, dict):
        raise TypeError(f"it gives a {type(answer).__name__}, not {expected}")
    wrong = [name for name, output in answer.items() if not (isinstance(name, str) and isinstance(output, Tensor))]
    if wrong or next(iter(answer), None) != LOGITS:
        found = ", ".join(f"{name!r}: {type(output).__name__}" for name, output in answer.items())
        raise TypeError(f"it gives the dictionary {{{found}}}, not {expected}")
    return answer
