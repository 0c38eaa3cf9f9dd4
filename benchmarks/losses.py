"""One step (forward and backward) of every loss that a ledger can name, of logits and labels: time and memory.

    PYTHONPATH=src python benchmarks/losses.py [--device cuda] [--small] [--only NAME ...] [--write RESULTS.md]

A loss that measures the labels (distances, skeletons) is timed twice: measuring them in the step, as ``FromLabels``
does, and with maps that were kept, as a ledger's runs have them. MONAI's losses of the same name take turns with ours
where it is installed. With one thread on a CPU the clock is that thread's processor time.
"""

import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from from_labels import example
from torch import Tensor
from turns import Step, machine, options, peak_bytes, processor_time, publish, ratio, take_turns

from boundary_loss import BoundaryLoss, FromLabels, class2one_hot, signed_distance
from boundary_loss.losses import LOSSES
from boundary_loss.losses.measuring import MeasuringLoss

Loss = Callable[[Tensor, Tensor], Tensor]
SHAPES = [(8, 2, 256, 256), (2, 3, 96, 96, 64)]
SMALL = [(8, 2, 128, 128), (1, 3, 48, 48, 32)]
SECOND_NAMES = ("diceloss", "surface")


def main() -> None:
    names = [name for name in LOSSES if name not in SECOND_NAMES]
    parser = options(__doc__, rounds=5)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--small", action="store_true", help="smaller images")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help="of these losses")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    of_whom = " of the processor" if processor_time(args.device) else ""
    lines = [
        f"{machine(args.device)}. Forward and backward of logits and labels, milliseconds{of_whom}, median of "
        f"{args.rounds} rounds in turns; kept: with the maps of the labels made before; MiB: peak above what was "
        "there; × = MONAI's time and memory / ours. `python benchmarks/losses.py`",
        "",
        "| logits | loss | ms | ms, kept | MiB | MONAI, × time | × memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for shape in SMALL if args.small else SHAPES:
        lines += rows(shape, args.only, args.device, args.rounds)
    publish(lines, f"Every loss ({args.device.upper()})", args.write)


def rows(shape: tuple[int, ...], names: list[str], device: str, rounds: int) -> list[str]:
    logits, labels = example(shape, device)
    logits = logits.detach()[:, : shape[1]].contiguous().requires_grad_()
    labels = labels.clamp(max=shape[1] - 1)
    steps: dict[str, Step] = {}
    for name in names:
        made = {name: in_the_step(name), f"{name} kept": kept(name, labels, shape[1]), f"{name} MONAI": monai(name)}
        steps |= {title: step(loss, logits, labels) for title, loss in made.items() if loss}
    now = time.thread_time if processor_time(device) else time.perf_counter
    times = take_turns(steps, rounds, now)
    peaks = {title: peak_bytes(run, device) for title, run in steps.items()}
    return [row(shape, name, times, peaks) for name in names]


def row(shape: tuple[int, ...], name: str, times: dict[str, list[float]], peaks: dict[str, int | None]) -> str:
    ours, theirs, before = times[name], f"{name} MONAI", f"{name} kept"
    mine, other = peaks[name], peaks.get(theirs)
    cells = [
        f"{statistics.median(ours):.3g}",
        f"{statistics.median(times[before]):.3g}" if before in times else "",
        "" if mine is None else f"{mine / 2**20:.0f}",
        f"{ratio(times[theirs], ours):.2f}" if theirs in times else "",
        f"{other / mine:.2f}" if mine and other else "",
    ]
    line = f"| {list(shape)} | `{name}` | {' | '.join(cells)} |"
    print(line, flush=True)
    return line


def in_the_step(name: str) -> Loss:
    """The loss of logits and labels."""
    if LOSSES[name].target == "distance":
        return FromLabels(BoundaryLoss(activation="softmax"))
    return FromLabels(LOSSES[name](activation="softmax"))


def kept(name: str, labels: Tensor, K: int) -> Loss | None:
    """The loss with maps of these labels that were made before; None for a loss without maps."""
    if LOSSES[name].target == "distance":
        boundary, maps = BoundaryLoss(activation="softmax"), signed_distance(labels, num_classes=K)
        return lambda logits, _: boundary(logits, maps)
    loss = LOSSES[name](activation="softmax")
    if not isinstance(loss, MeasuringLoss):
        return None
    maps = loss.measure_target(class2one_hot(labels.squeeze(1), K))
    return lambda logits, labels: loss(logits, labels, maps)


def monai(name: str) -> Loss | None:
    """MONAI's loss of that name, where it is installed and has one."""
    if not find_spec("monai"):
        return None
    from monai import losses

    common = {"to_onehot_y": True, "softmax": True}
    known: dict[str, Callable[[], Loss]] = {
        "dice": lambda: losses.DiceLoss(**common),
        "gdl": lambda: losses.GeneralizedDiceLoss(**common),
        "tversky": lambda: losses.TverskyLoss(alpha=0.3, beta=0.7, **common),
        "focal": lambda: losses.FocalLoss(to_onehot_y=True, use_softmax=True),
        "boundary": lambda: losses.BoundaryLoss(**common),
        "hausdorff": lambda: losses.HausdorffDTLoss(include_background=True, **common),
        "cldice": lambda: _of_one_hot(losses.SoftclDiceLoss(iter_=10)),
    }
    return known[name]() if name in known else None


def _of_one_hot(loss: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    def of_labels(logits: Tensor, labels: Tensor) -> Tensor:
        one_hot = class2one_hot(labels.squeeze(1), logits.shape[1], dtype=logits.dtype)
        return loss(one_hot, logits.softmax(1))

    return of_labels


def step(loss: Loss, logits: Tensor, labels: Tensor) -> Callable[[], object]:
    def run() -> None:
        logits.grad = None
        loss(logits, labels).backward()

    return run


if __name__ == "__main__":
    main()
