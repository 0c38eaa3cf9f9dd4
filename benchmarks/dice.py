"""Fused Dice beside MONAI's DiceLoss, plain softmax + one-hot, and torch.compile of the plain one.

    PYTHONPATH=src python benchmarks/dice.py [--device cuda] [--rounds 7] [--write benchmarks/RESULTS.md]

Forward and backward; memory is the most that is held above the inputs, in units of the logits (the gradient alone
is 1). On CUDA also the floor: the bytes that must move (logits and labels once forward and once backward, the gradient
once) over the bandwidth that a copy on the same device reaches.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from turns import machine, milliseconds, peak_bytes, processor_time, ratio, take_turns, write_section

from boundary_loss import FusedDiceLoss, FusedGeneralizedDiceBoundary

SMOOTH = 1e-5
SHAPES = {"cpu": [(2, 5, 96, 96, 96), (8, 2, 256, 256)], "cuda": [(2, 5, 96, 96, 96), (8, 5, 100, 100, 100)]}
DTYPES = [torch.float32, torch.bfloat16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    unit = "milliseconds of the processor" if processor_time(args.device) else "milliseconds"
    lines = [
        f"{machine(args.device)}. Forward and backward, {unit}, median of {args.rounds} rounds in turns; "
        "× = their time / ours, median of the rounds; peak = most memory above the inputs, in logits (gradient: 1). "
        "The compiled variant was compiled before. `python benchmarks/dice.py`",
        "",
        "| logits | method | ms | × | peak |",
        "|---|---|---|---|---|",
    ]
    for shape in SHAPES[args.device]:
        for dtype in DTYPES:
            lines += rows(shape, dtype, args.device, args.rounds)
    text = "\n".join(lines)
    print(text)
    if args.write:
        write_section(args.write, f"Fused Dice ({args.device.upper()})", text)


def rows(shape: tuple[int, ...], dtype: torch.dtype, device: str, rounds: int) -> list[str]:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=draw).to(device, dtype).requires_grad_()
    labels = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=draw).to(device)
    maps = torch.randn(shape, generator=draw).to(device)
    fused, both = FusedDiceLoss(smooth=SMOOTH), FusedGeneralizedDiceBoundary()
    losses: dict[str, Callable[[], Tensor]] = {
        "ours, fused": lambda: fused(logits, labels),
        "plain softmax + one-hot": lambda: plain_dice(logits, labels),
        "the same, torch.compile": lambda: compiled_dice(logits, labels),
    }
    if find_spec("monai"):
        from monai.losses import DiceLoss as MonaiDice

        monai = MonaiDice(softmax=True, to_onehot_y=True, smooth_nr=SMOOTH, smooth_dr=SMOOTH)
        losses["MONAI DiceLoss"] = lambda: monai(logits, labels.unsqueeze(1))
    losses["ours, fused generalized Dice + boundary"] = lambda: both(logits, labels, maps)
    check_agreement({name: losses[name] for name in list(losses)[:-1]})
    steps = {name: step(loss, logits) for name, loss in losses.items()}
    times = take_turns(steps, rounds, time.thread_time if processor_time(device) else time.perf_counter)
    size = logits.numel() * logits.element_size()
    lines = []
    for name, took in times.items():
        logits.grad = None
        peak = peak_bytes(steps[name], device)
        above = "–" if peak is None else f"{peak / size:.2f}"
        factor = ratio(took, times["ours, fused"])
        shown = f"{list(shape)} {str(dtype).removeprefix('torch.')}"
        lines.append(f"| {shown} | {name} | {statistics.median(took):.3g} | {factor:.2f} | {above} |")
        print(lines[-1], flush=True)
    if device == "cuda":
        lines.append(floor_row(logits, labels, times["ours, fused"]))
    return lines


def step(loss: Callable[[], Tensor], logits: Tensor) -> Callable[[], object]:
    def run() -> None:
        logits.grad = None
        loss().backward()

    return run


def check_agreement(losses: dict[str, Callable[[], Tensor]]) -> None:
    values = {name: float(loss().detach()) for name, loss in losses.items()}
    first = values["ours, fused"]
    far = {name: value for name, value in values.items() if abs(value - first) > 2e-2}
    assert not far, f"not the same loss: {values}"


def plain_dice(logits: Tensor, labels: Tensor) -> Tensor:
    probs = logits.softmax(1)
    one_hot = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).to(probs.dtype)
    both, predicted, true = ((probs * one_hot).flatten(2).sum(2), probs.flatten(2).sum(2), one_hot.flatten(2).sum(2))
    return (1 - (2 * both + SMOOTH) / (predicted + true + SMOOTH)).mean()


compiled_dice = torch.compile(plain_dice)


def floor_row(logits: Tensor, labels: Tensor, ours: list[float]) -> str:
    moved = 3 * logits.numel() * logits.element_size() + 2 * labels.numel() * labels.element_size()
    source = torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    fastest = min(milliseconds(lambda: target.copy_(source)) for _ in range(20))
    floor = moved / (2 * source.numel() / fastest)
    factor = statistics.median(ours) / floor
    return f"| | floor of memory traffic ({moved / 1e6:.0f} MB; ours is {factor:.2f} × this) | {floor:.3g} | | |"


if __name__ == "__main__":
    main()
