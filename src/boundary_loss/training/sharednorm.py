"""Batch normalisation over a batch that is split over several ranks.

torch.nn.SyncBatchNorm works on GPUs alone; :class:`HostSyncBatchNorm` does the same on CPUs.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def share_statistics(net: nn.Module, group: Any = None) -> None:
    """Make every BatchNorm normalise over the batch of all ranks of ``group``; None = of all ranks.

    Changes each BatchNorm's class in place, so that parameters keep their identity and name.
    """
    for module in net.modules():
        if isinstance(module, _BatchNorm):
            if not isinstance(module, nn.SyncBatchNorm | HostSyncBatchNorm):
                on_gpu = any(tensor.is_cuda for tensor in module.state_dict().values())
                module.__class__ = nn.SyncBatchNorm if on_gpu else HostSyncBatchNorm
            module.process_group = group


class HostSyncBatchNorm(_BatchNorm):
    """Batch normalisation (Ioffe & Szegedy, ICML 2015) with mean and variance of all ranks' items."""

    process_group: Any

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any number of axes, (B, C, ...)."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or dist.get_world_size(self.process_group) == 1:
            return super().forward(input)
        axes = [0, *range(2, input.ndim)]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        x = input if input.dtype == torch.float64 else input.float()
        sums = _Sum.apply(torch.cat([x.sum(axes), x.new_tensor([x.numel() / x.shape[1]])]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = x - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / count
        self._track(mean.detach(), variance.detach(), count)
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(input.dtype)

    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Update the running statistics that validation uses, as torch.nn.BatchNorm2d does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        factor = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), factor)
        self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var.dtype), factor)


class _Sum(torch.autograd.Function):
    """Sums over the ranks, and sums the gradient too, because each rank holds a summand of the loss."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        total = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient
