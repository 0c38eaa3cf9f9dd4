"""One training in several processes ("ranks"), a device each: the only module that uses torch.distributed.

Every rank takes its part of each batch, and DistributedDataParallel averages the gradients. Counts and losses
are those of whole batches, so that the result equals that of one process with the same batches, to rounding, except for
dropout.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from boundary_loss.data import Batch
from boundary_loss.networks.outputs import Outputs
from boundary_loss.signals import MEETING, is_rank
from boundary_loss.training.sharednorm import share_statistics
from boundary_loss.training.terms import ActiveTerm

PARENT = "BOUNDARY_LOSS_PARENT"
"""In a rank's environment: the process that started it."""
_GRACE = 3.0
"""Seconds a failing rank waits so that rank 0, which prints errors, can report the same failure first."""
LOST = 76
"""Exit status of a rank that stops because another rank has ended."""


class Part(NamedTuple):
    """The part of a batch that one rank does."""

    rows: Tensor
    share: float
    """Weight of a mean over these rows in the mean over the batch."""
    sizes: tuple[int, ...] | None
    """Rows of each rank; None where each has the whole batch: alone, or because it has fewer rows than ranks."""
    reports: bool
    """Whether this rank counts and writes what was predicted on the rows."""
    place: int = 0
    """Of the batch, among those that the ranks have at this step."""
    num_batches: int = 1
    """That the ranks have at this step: one together, or one each."""


@dataclass(frozen=True)
class Ranks:
    """The processes that train one run, and which one this is; ``Ranks()`` is a single process."""

    rank: int = 0
    size: int = 1
    alone: Any = None
    """The process group of this rank only; None where there is no other."""

    @property
    def is_first(self) -> bool:
        """Return True for the rank that writes files and prints."""
        return self.rank == 0

    def part(self, rows: Tensor) -> Part:
        """Return this rank's part of a batch's rows (B,); the parts of all ranks, in order, are the batch."""
        if len(rows) < self.size or self.size == 1:  # networks and losses cannot take an empty part
            return Part(rows, 1 / self.size, None, self.is_first)
        parts = rows.tensor_split(self.size)
        mine = parts[self.rank]
        return Part(mine, len(mine) / len(rows), tuple(map(len, parts)), True)

    def dealt(self, batches: Sequence[Tensor]) -> list[Part]:
        """Yield this rank's batch of each step if ranks take whole batches: number step * ranks + rank, or no rows."""
        steps = [batches[first : first + self.size] for first in range(0, len(batches), self.size)]
        none = torch.empty(0, dtype=torch.int64)
        return [
            Part(step[self.rank] if self.rank < len(step) else none, 1.0, None, True, self.rank, len(step))
            for step in steps
        ]

    def parallel(self, net: nn.Module) -> nn.Module:
        """Return the network as a training step calls it; its weights and their names stay unchanged."""
        if self.size == 1:
            return net
        share_statistics(net)
        # static: the weights without a gradient, if any, are the same in each step
        return DistributedDataParallel(net, static_graph=True)

    def begin(self, net: nn.Module, part: Part) -> None:
        """Choose, before a step, whether norms use the batch of all ranks together or of each rank alone."""
        if self.size > 1:
            share_statistics(net, None if part.sizes else self.alone)

    def value(self, term: ActiveTerm, outputs: Outputs, batch: Batch, part: Part) -> Tensor:
        """Return this rank's summand of the loss; the summands of all ranks add up to the term's value on the batch."""
        if self.size == 1:
            return term(outputs, batch)
        if part.sizes is not None and not term.over_items:  # the mean of the parts' values would differ
            outputs = {term.reads: self._whole(outputs[term.reads], part.sizes)}
            batch = self._whole_target(term, batch, part.sizes)
        return part.share * term(outputs, batch)

    def _whole(self, of_part: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """Return (B, ...) of the whole batch."""
        return _Gather.apply(of_part, sizes, self.rank)

    def _whole_target(self, term: ActiveTerm, batch: Batch, sizes: tuple[int, ...]) -> Batch:
        """Return the batch with all ranks' values of what the term reads; the rest stays this part's."""
        return replace(
            batch,
            gt=self._whole(batch.gt, sizes),
            maps={need: self._whole(batch.maps[need], sizes) for need in [term.need] if need},
            mask=None if batch.mask is None else self._whole(batch.mask, sizes),
            spacings=self._whole(batch.spacings, sizes) if term.takes_spacing else batch.spacings,
            dense=None if batch.dense is None or not term.takes_dense else self._whole(batch.dense, sizes),
        )

    def norms(self, norms: Tensor, part: Part) -> Tensor:
        """Return Euclidean norms (T,) of vectors that are split over the ranks, from the norms of the parts."""
        if self.size == 1:
            return norms
        if part.sizes is None:
            return norms * self.size
        return self.add_up(norms.double().square()).sqrt().to(norms.dtype)

    def add_up(self, tensor: Tensor) -> Tensor:
        """Return the sum over the ranks, in place, with the same bits on each."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def greatest(self, number: int) -> int:
        """Return the greatest of the ranks' numbers."""
        if self.size == 1:
            return number
        shared = torch.tensor(int(number))
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def gather(self, tensor: Tensor) -> Tensor:
        """Return (ranks, ...) of each rank's (...)."""
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        if self.size == 1:
            return tensor[None]
        dist.all_gather(parts, tensor)
        return torch.stack(parts)

    def wait(self) -> None:
        """Wait until all ranks have called this."""
        self.greatest(0)


class _Gather(torch.autograd.Function):
    """Gathers the ranks' parts (b, ...) into the batch (B, ...).

    Each rank holds a summand of the loss, so that the gradient is the sum of all ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, sizes: tuple[int, ...], rank: int) -> Tensor:
        ctx.start, ctx.stop = sum(sizes[:rank]), sum(sizes[: rank + 1])
        padded = part.new_zeros(max(sizes), *part.shape[1:])
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([padded[:size] for padded, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient[ctx.start : ctx.stop], None, None


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the other ranks, each on its own GPU or on the CPU; without others, only this process."""
    if not is_rank():
        yield Ranks(), device
        return
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if device.type == "cuda":
        if torch.cuda.device_count() < size:
            raise ValueError(f"NPROC={size}, but torch sees {torch.cuda.device_count()} GPUs; use as many or fewer")
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
    store = dist.FileStore(str(Path(os.environ[MEETING]) / "store"), size)
    try:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        groups = [dist.new_group([other]) for other in range(size)]
        yield Ranks(rank, size, alone=groups[rank]), device
        dist.destroy_process_group()
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error).lower():
            sys.exit(LOST)
        raise
    except Exception:
        if rank > 0:
            time.sleep(_GRACE)
        raise
