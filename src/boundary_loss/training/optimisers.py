"""Lookahead around RAdam, and groups of weights with their own share of the learning rate."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class LookaheadRAdam(torch.optim.RAdam):
    """RAdam (Liu et al., ICLR 2020) with Lookahead (Zhang et al., NeurIPS 2019): slow weights follow every k steps.

    After each k-th step slow += share * (fast - slow), and fast = slow; RAdam's moments stay. The slow weights are
    state of the optimiser, as the moments are, and so is the number of steps: a resumed run continues identically.

    Args:
        params: weights or groups of them, as of any optimiser.
        lr: learning rate.
        every: k.
        share: α, by which the slow weights follow.
        options: as of RAdam.
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, *, every: int = 5, share: float = 0.8, **options: Any
    ) -> None:
        if every < 1 or not 0 < share <= 1:
            raise ValueError(f"lookahead needs every >= 1 and 0 < share <= 1, got {every} and {share}")
        self.every, self.share = every, share
        super().__init__(params, lr=lr, **options)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        if closure is not None:
            with torch.enable_grad():
                closure_loss = closure()
        weights = [weight for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        starts = {weight: weight.clone() for weight in weights if not self.state[weight]}
        super().step()
        for weight, start in starts.items():
            self.state[weight]["slow"] = start
        self._look_back([weight for weight in weights if int(self.state[weight]["step"]) % self.every == 0])
        return None if closure is None else closure_loss

    def _look_back(self, weights: list[Tensor]) -> None:
        if weights:
            slow = [self.state[weight]["slow"] for weight in weights]
            torch._foreach_lerp_(slow, weights, self.share)
            torch._foreach_copy_(weights, slow)


def grouped(net: nn.Module, rate: float) -> list[dict[str, Any]]:
    """Group the weights by their share of the learning rate, the largest group first; one group if all have the same.

    A module declares another share for its own weights by ``rate_share = 10``, as a Padé unit does.
    """
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for module in net.modules():
        groups.setdefault(float(getattr(module, "rate_share", 1.0)), []).extend(
            weight for weight in module.parameters(recurse=False)
        )
    if len(groups) == 1:
        return [{"params": list(net.parameters())}]
    seen: set[nn.Parameter] = set()
    found = []
    for share, weights in groups.items():
        own = [weight for weight in dict.fromkeys(weights) if weight not in seen]
        seen.update(own)
        if own:
            found.append({"params": own, "lr": rate * share, "share": share})
    return found


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set each group's learning rate to its share of ``rate``."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("share", 1.0)
