"""Fused Dice, Dice + cross-entropy, generalized Dice + boundary beside MONAI, exacta, plain PyTorch and torch.compile.

    PYTHONPATH=src python benchmarks/dice.py [--device cuda] [--rounds 7] [--write benchmarks/RESULTS.md]

Forward and backward; memory is the most that is held above the inputs, in units of the logits (the gradient alone
is 1). On CUDA also the floor: the bytes that must move (logits, maps and labels once forward and once backward, the
gradient once) over the bandwidth that a copy on the same device reaches.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional as F
from turns import (
    copy_bandwidth,
    device_milliseconds,
    machine,
    options,
    peak_bytes,
    processor_time,
    publish,
    ratio,
    replayed,
    take_turns,
    take_turns_on_device,
)

from boundary_loss import FusedDiceCEBoundary, FusedDiceCELoss, FusedDiceLoss, FusedGeneralizedDiceBoundary

SMOOTH = 1e-5
COMPILED = "the same, torch.compile"
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "cpu": [(2, 5, 96, 96, 96), (8, 2, 256, 256)],
    "cuda": [(2, 14, 160, 160, 160), (2, 4, 128, 128, 128)],
}
DTYPES = [torch.float32, torch.bfloat16]


def main() -> None:
    parser = options(__doc__, rounds=7)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore", message=r"\s*Online softmax")  # a remark of torch.compile's
    unit = "milliseconds of the processor" if processor_time(args.device) else "milliseconds"
    lines = [
        f"{machine(args.device)}. Forward and backward, {unit}, median of {args.rounds} rounds in turns; "
        "× = their time / that of ours above, median of the rounds; peak = most memory above the inputs, in logits "
        "(gradient: 1). The compiled variant was compiled before. `python benchmarks/dice.py`",
        "",
        "| logits | method | ms | × | peak |",
        "|---|---|---|---|---|",
    ]
    for shape in SHAPES[args.device]:
        for dtype in DTYPES:
            lines += rows(shape, dtype, args.device, args.rounds)
    publish(lines, f"Fused Dice ({args.device.upper()})", args.write)


def rows(shape: tuple[int, ...], dtype: torch.dtype, device: str, rounds: int) -> list[str]:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=draw).to(device, dtype).requires_grad_()
    labels = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=draw).to(device)
    maps = torch.randn(shape, generator=draw).to(device)
    bandwidth = copy_bandwidth() if device == "cuda" else None
    lines = []
    for losses, per_voxel in groups(logits, labels, maps):
        if shape != SHAPES[device][0]:  # to compile for one shape takes long enough
            losses.pop(COMPILED)
        lines += lines_of(losses, logits, device, rounds)
        if bandwidth is not None:
            floor = labels.numel() * per_voxel / bandwidth
            took = device_milliseconds(replayed(step(next(iter(losses.values())), logits)), 20)
            lines.append(
                f"| | floor of memory traffic ({floor * bandwidth / 1e6:.0f} MB); ours replayed as a CUDA graph takes "
                f"{took:.3g} ms, {floor / took:.0%} of the bandwidth of a copy | {floor:.3g} | | |"
            )
            print(lines[-1], flush=True)
    return lines


Losses = dict[str, Callable[[], Tensor]]


def groups(logits: Tensor, labels: Tensor, maps: Tensor) -> Iterator[tuple[Losses, int]]:
    """Losses of one value each, ours first, and the bytes a voxel that ours must move on a device."""
    K, size = logits.shape[1], logits.element_size()
    moved = 3 * K * size + 2 * labels.element_size()
    trusting, fused = FusedDiceLoss(smooth=SMOOTH, check_labels=False), FusedDiceLoss(smooth=SMOOTH)
    yield (
        {
            "ours, fused, labels trusted": lambda: trusting(logits, labels),
            "ours, fused": lambda: fused(logits, labels),
            "plain softmax + one-hot": lambda: plain_dice(logits, labels),
            COMPILED: lambda: compiled_dice(logits, labels),
            **of_others("DiceLoss", logits, labels),
        },
        moved,
    )
    combined = FusedDiceCELoss(smooth=SMOOTH, check_labels=False)
    yield (
        {
            "ours, fused Dice + CE, labels trusted": lambda: combined(logits, labels),
            "plain Dice + F.cross_entropy": lambda: plain_dice_ce(logits, labels),
            COMPILED: lambda: compiled_dice_ce(logits, labels),
            **of_others("DiceCELoss", logits, labels),
        },
        moved,
    )
    three = FusedDiceCEBoundary((1.0, 1.0, 0.01), smooth=SMOOTH, check_labels=False)
    yield (
        {
            "ours, fused Dice + CE + boundary, labels trusted": lambda: three(logits, labels, maps),
            "plain Dice + F.cross_entropy + boundary": lambda: plain_three(logits, labels, maps),
            COMPILED: lambda: compiled_three(logits, labels, maps),
        },
        moved + 2 * K * maps.element_size(),
    )
    both = FusedGeneralizedDiceBoundary((1.0, 0.01), check_labels=False)
    yield (
        {
            "ours, fused generalized Dice + boundary, labels trusted": lambda: both(logits, labels, maps),
            "plain generalized Dice + boundary": lambda: plain_boundary(logits, labels, maps),
            COMPILED: lambda: compiled_boundary(logits, labels, maps),
        },
        moved + 2 * K * maps.element_size(),
    )


def of_others(name: str, logits: Tensor, labels: Tensor) -> Losses:
    """``DiceLoss`` or ``DiceCELoss`` of MONAI and exacta, which both call them so."""
    losses: Losses = {}
    if find_spec("monai"):
        monai = getattr(import_module("monai.losses"), name)(
            softmax=True, to_onehot_y=True, smooth_nr=SMOOTH, smooth_dr=SMOOTH
        )
        losses[f"MONAI {name}"] = lambda: monai(logits, labels.unsqueeze(1))
    if find_spec("exacta"):
        exacta = getattr(import_module("exacta.losses"), name)(smooth=SMOOTH)
        losses[f"exacta {name}"] = lambda: exacta(logits, labels)
    return losses


def lines_of(losses: Losses, logits: Tensor, device: str, rounds: int) -> list[str]:
    check_agreement(losses)
    steps = {name: step(loss, logits) for name, loss in losses.items()}
    if device == "cuda":
        times = take_turns_on_device(steps, rounds)
    else:
        times = take_turns(steps, rounds, time.thread_time if processor_time(device) else time.perf_counter)
    size, ours = logits.numel() * logits.element_size(), next(iter(times.values()))
    lines = []
    for name, took in times.items():
        logits.grad = None
        peak = peak_bytes(steps[name], device)
        above = "–" if peak is None else f"{peak / size:.2f}"
        shown = f"{list(logits.shape)} {str(logits.dtype).removeprefix('torch.')}"
        lines.append(f"| {shown} | {name} | {statistics.median(took):.3g} | {ratio(took, ours):.2f} | {above} |")
        print(lines[-1], flush=True)
    return lines


def step(loss: Callable[[], Tensor], logits: Tensor) -> Callable[[], object]:
    def run() -> None:
        logits.grad = None
        loss().backward()

    return run


def check_agreement(losses: Losses) -> None:
    values = {name: float(loss().detach()) for name, loss in losses.items()}
    first = next(iter(values.values()))
    far = {name: value for name, value in values.items() if abs(value - first) > 2e-2 * max(1, abs(first))}
    assert not far, f"not the same loss: {values}"


def plain_sums(probs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    one_hot = F.one_hot(labels, probs.shape[1]).movedim(-1, 1).to(probs.dtype)
    return (probs * one_hot).flatten(2).sum(2), probs.flatten(2).sum(2), one_hot.flatten(2).sum(2)


def plain_dice(logits: Tensor, labels: Tensor) -> Tensor:
    both, predicted, true = plain_sums(logits.float().softmax(1), labels)
    return (1 - (2 * both + SMOOTH) / (predicted + true + SMOOTH)).mean()


def plain_dice_ce(logits: Tensor, labels: Tensor) -> Tensor:
    return plain_dice(logits, labels) + F.cross_entropy(logits.float(), labels)


def plain_three(logits: Tensor, labels: Tensor, maps: Tensor) -> Tensor:
    return plain_dice_ce(logits, labels) + 0.01 * (logits.float().softmax(1) * maps).mean()


def plain_boundary(logits: Tensor, labels: Tensor, maps: Tensor) -> Tensor:
    """Generalized Dice of inverse square volumes and 0.01 of the mean of p φ."""
    probs = logits.float().softmax(1)
    both, predicted, true = plain_sums(probs, labels)
    weight = 1 / (true + 1e-10) ** 2
    region = 1 - 2 * (weight * both).sum(1) / (weight * (predicted + true)).sum(1)
    return (region + 0.01 * (probs * maps).flatten(1).mean(1)).mean()


compiled_dice = torch.compile(plain_dice)
compiled_dice_ce = torch.compile(plain_dice_ce)
compiled_three = torch.compile(plain_three)
compiled_boundary = torch.compile(plain_boundary)


if __name__ == "__main__":
    main()
