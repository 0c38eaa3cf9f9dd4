"""One step (forward and backward) of a boundary and a Hausdorff loss of (logits, labels): ours beside MONAI's.

    PYTHONPATH=src python benchmarks/from_labels.py [--device cuda] [--small] [--write benchmarks/RESULTS.md]

Both make their distance maps in the step, of float labels with a channel, as MONAI's loaders give them. Dice plus
cross-entropy on the same logits is beside them, to show what a distance map adds to a step. With one thread on a CPU
the clock is that thread's processor time.
"""

import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from hausdorff_step import organs
from torch import Tensor
from turns import machine, options, processor_time, publish, ratio, take_turns

from boundary_loss import BoundaryLoss, FromLabels, FusedDiceCELoss, HausdorffLoss

SHAPES = [(8, 3, 256, 256), (2, 3, 96, 96, 64)]
SMALL = [(8, 3, 128, 128), (1, 3, 48, 48, 32)]
RIVALS = {"MONAI BoundaryLoss": "boundary", "MONAI HausdorffDTLoss": "Hausdorff, both sides"}


def main() -> None:
    parser = options(__doc__, rounds=5)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--small", action="store_true", help="smaller images")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    of_whom = " of the processor" if processor_time(args.device) else ""
    lines = [
        f"{machine(args.device)}. Forward and backward, milliseconds{of_whom}, median of {args.rounds} rounds in "
        "turns; × = their time / ours, median of the rounds. `python benchmarks/from_labels.py`",
        "",
        "| logits | loss | ms | × |",
        "|---|---|---|---|",
    ]
    for shape in SMALL if args.small else SHAPES:
        lines += rows(shape, args.device, args.rounds)
    publish(lines, f"Losses from labels ({args.device.upper()})", args.write)


def rows(shape: tuple[int, ...], device: str, rounds: int) -> list[str]:
    logits, labels = example(shape, device)
    now = time.thread_time if processor_time(device) else time.perf_counter
    times = take_turns({name: step(loss, logits, labels) for name, loss in losses().items()}, rounds, now)
    lines = []
    for name, took in times.items():
        times_slower = f"{ratio(took, times[RIVALS[name]]):.2f}" if name in RIVALS else ""
        lines.append(f"| {list(shape)} | {name} | {statistics.median(took):.3g} | {times_slower} |")
    return lines


def example(shape: tuple[int, ...], device: str) -> tuple[Tensor, Tensor]:
    """Logits (B, 3, ...) and float labels (B, 1, ...): organs, a part of each of which is another class."""
    labels, of_two = organs(shape)
    labels = labels + (labels * (labels.roll(5, 1) == 1))
    logits = torch.cat([of_two, of_two[:, 1:].roll(-5, 2)], 1)
    return logits.to(device).requires_grad_(), labels.unsqueeze(1).float().to(device)


def losses() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    fused = FusedDiceCELoss()
    made: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "Dice + cross-entropy, without distances": fused,
        "boundary": FromLabels(BoundaryLoss(activation="softmax")),
        "Hausdorff, inside": FromLabels(HausdorffLoss(activation="softmax")),
        "Hausdorff, both sides": FromLabels(HausdorffLoss(activation="softmax", sides="both")),
    }
    if not find_spec("monai"):
        return made
    from monai import losses as monai

    made["MONAI HausdorffDTLoss"] = monai.HausdorffDTLoss(include_background=True, to_onehot_y=True, softmax=True)
    if hasattr(monai, "BoundaryLoss"):  # since 1.6
        made["MONAI BoundaryLoss"] = monai.BoundaryLoss(to_onehot_y=True, softmax=True)
    return made


def step(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, labels: Tensor) -> Callable[[], object]:
    def run() -> None:
        logits.grad = None
        loss(logits, labels).backward()

    return run


if __name__ == "__main__":
    main()
