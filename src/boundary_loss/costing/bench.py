"""Measures one way of a row at one size after another, until the next is predicted to take too much."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from boundary_loss.costing.counting import by
from boundary_loss.costing.measuring import Measured, measured
from boundary_loss.training.devices import describe

_FEW = 32**3
"""Voxels below which the time of a network is mostly that of its layers' calls and weights."""


@dataclass(frozen=True)
class Number:
    """One number of a table; ``value`` is None where ``how`` says why there is none."""

    row: str
    size: tuple[int, int, int]
    of: str
    way: str
    value: float | None
    how: str

    @property
    def side(self) -> float:
        """Of a cube of as many voxels."""
        return math.prod(self.size) ** (1 / 3)

    def cells(self) -> list[object]:
        value = "" if self.value is None else str(self.value) if isinstance(self.value, int) else f"{self.value:.6g}"
        return [self.row, by(self.size), self.of, self.way, value, self.how]


@dataclass
class Bench:
    """Measures until a size is predicted to take too long, or too much memory."""

    device: torch.device
    seconds: float
    memory: int
    """Bytes that are free on the device."""

    def __post_init__(self) -> None:
        self.where = f"measured on {describe(self.device)}, {torch.get_num_threads()} threads"
        self.done: dict[tuple[str, str, str], list[tuple[int, Measured | None]]] = {}

    def __call__(self, of: Number, call: Callable[[], object], guess: int = 0) -> tuple[Number, Number]:
        """The bytes and the seconds of one way at one size; ``of`` says which, ``guess`` how many bytes it may take."""
        key, voxels = (of.row, of.of, of.way), math.prod(of.size)
        why_not = self._refusal(key, voxels)
        if guess > self.memory and not why_not:
            why_not = f"not measured: it would take about {guess / 2**30:.0f} GiB"
        found = None if why_not else measured(call, self.device)
        self.done.setdefault(key, []).append((voxels, found))
        if found is None:
            refused = replace(of, value=None, how=why_not or "not measured: out of memory")
            return refused, refused
        peak = self.where if found.peak is not None else "not measured: this system does not tell"
        return replace(of, value=found.peak, how=peak), replace(of, value=found.seconds, how=self.where)

    def _refusal(self, key: tuple[str, str, str], voxels: int) -> str:
        """Why it is not tried; empty if it is."""
        before = self.done.get(key, [])
        if any(found is None for _, found in before):
            return "not measured: a smaller size was not"
        seconds = _continued([(n, found.seconds) for n, found in before if found], voxels)
        memory = _continued([(n, found.peak or 0) for n, found in before if found], voxels)
        if seconds > self.seconds:
            return f"not measured: it would take about {seconds:.0f} s"
        if memory > self.memory:
            return f"not measured: it would take about {memory / 2**30:.0f} GiB"
        return ""


def _continued(known: Sequence[tuple[int, float]], voxels: int) -> float:
    """The line through the last two values, at this size; 0 if there are none to say.

    Through the last and 0 where that is the only one, and not of so few voxels that other costs are most of it.
    """
    if not known or (known[-1][0] < _FEW and len(known) < 2):
        return 0.0
    (first, low), (last, high) = [(0, 0.0), *known][-2:]
    return high + max(high - low, 0.0) * (voxels - last) / (last - first)
