"""The sums and the gradient of the fused losses by the kernels in C (``native/fused.c``), in torch's threads.

Same interface as :mod:`boundary_loss.losses.fused_plain`.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor

from boundary_loss.native import address, library

TYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16,
         torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)  # fmt: skip
"""In the order of native/rows.h."""
LOGITS = (torch.float32, torch.bfloat16, torch.float16)


_Triple = ctypes.c_int64 * 3


class _Tensor(ctypes.Structure):
    """As in native/rows.h."""

    _fields_ = (("data", ctypes.c_void_p), ("strides", _Triple), ("type", ctypes.c_int64))


def available(logits: Tensor) -> bool:
    return logits.device.type == "cpu" and logits.dtype in LOGITS and library() is not None


def sums(
    logits: Tensor, labels: Tensor, distances: Tensor | None, ignore_label: int, p: int, costs: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Return four (B, K) float64 sums of (B, K, N) logits, (B, N) labels and (B, K, N) maps or None.

    With ``costs``, (K,) float64, a fifth, (B,): Σ costs_y (−log s_y) over the voxels, y the class of each.
    """
    B, K = logits.shape[0], max(logits.shape[1], 2)
    result = torch.empty(B, 4 * K + 1, dtype=torch.float64)
    _run("bl_fused_sums", logits, labels, distances, ignore_label, p, costs, address(result))
    of_classes = result[:, :-1].view(B, 4, K).unbind(1)
    return of_classes if costs is None else (*of_classes, result[:, -1])


def gradient(
    logits: Tensor,
    labels: Tensor,
    distances: Tensor | None,
    ignore_label: int,
    p: int,
    pulls: Tensor,
    costs: Tensor | None = None,
) -> Tensor:
    """Return the (B, K, N) gradient of the logits from the (B, 3, K) gradients of the sums: both, predicted, boundary.

    ``costs``, (B, K) float64: the costs of the classes times the gradient of each item's fifth sum.
    """
    result = torch.empty_like(logits)
    _run("bl_fused_gradient", logits, labels, distances, ignore_label, p, costs, address(pulls), _described(result))
    return result


def _run(
    name: str,
    logits: Tensor,
    labels: Tensor,
    distances: Tensor | None,
    ignore_label: int,
    p: int,
    costs: Tensor | None,
    *more: object,
) -> None:
    if labels.dtype not in TYPES:
        labels = labels.long()
    if distances is not None and distances.dtype not in TYPES[:4]:
        distances = distances.float()
    costs = None if costs is None else costs.contiguous()
    maps = ctypes.byref(_Tensor()) if distances is None else _described(distances)
    shape = _Triple(*logits.shape)
    status = getattr(library(), name)(
        _described(logits), _described(labels), maps, shape,
        ctypes.c_int64(ignore_label), ctypes.c_int64(p), address(costs), *more, torch.get_num_threads(),
    )  # fmt: skip
    if status != 0:
        raise MemoryError(f"fused loss of logits {tuple(logits.shape)}")


def _described(tensor: Tensor) -> Any:
    strides = tensor.stride()
    triple = (strides[0], strides[1] if len(strides) == 3 else 0, strides[-1])
    return ctypes.byref(_Tensor(tensor.data_ptr(), triple, TYPES.index(tensor.dtype)))
