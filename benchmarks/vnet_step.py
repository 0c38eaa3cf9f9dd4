"""One training step of the left atria's V-Net at the published size, beside MONAI's VNet: time and memory.

    PYTHONPATH=src python benchmarks/vnet_step.py [--device cuda] [--compile] [--write benchmarks/RESULTS.md]
    PYTHONPATH=src python benchmarks/vnet_step.py --device cpu --small     (an eighth a side, to try this script)

A step is forward, Dice + boundary loss on given distance maps, backward and Adam. The networks take turns in one
process; x = their time over that of ours in float32. Memory is what a training holds at its worst moment: weights,
Adam's state, batch, and what the step allocates. cuDNN computes float32 convolutions in TF32, as PyTorch's default is.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from turns import Step, machine, milliseconds, options, peak_bytes, processor_time, publish, ratio

from boundary_loss import BoundaryLoss, DiceLoss, class2one_hot, signed_distance
from boundary_loss.networks import build_network
from boundary_loss.owncode import lacks_memory

BATCH, FULL, SMALL = 3, (96, 144, 224), (16, 32, 32)
CARD = 12 * 2**30  # bytes: the published network was trained on a TITAN V
OURS = "VNet, float32"


@dataclass(frozen=True)
class Way:
    """A network, and how it is computed."""

    make: Callable[[], nn.Module]
    half: bool = False
    """Forward in bfloat16 by autocast."""
    compiled: bool = False


def main() -> None:
    args = arguments()
    torch.backends.cudnn.benchmark = args.tune
    start = time.monotonic()
    size = SMALL if args.small else FULL
    batch = make_batch(size, args.device)
    steps, facts = {}, {}
    for name, way in ways(compiled=args.compile).items():
        if way.half and args.device == "cpu":
            continue  # without instructions for it, a small step takes minutes
        try:
            steps[name], facts[name] = prepare(way, batch, args.device)
            print(f"{name}: ready after {time.monotonic() - start:.0f} s, at most {shown(facts[name][1])}", flush=True)
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
            print(f"{name}: does not fit", flush=True)
    if OURS not in steps:
        raise ValueError(f"{OURS} does not fit, and is what the others are compared with; try --small")
    times = rounds_of(steps, args.rounds, start + args.seconds, args.device)
    lines = [*head(size, len(times[OURS]), args.device), *(row(name, facts[name], times) for name in steps)]
    publish(lines, f"A step of the V-Net ({args.device.upper()})", args.write)


def arguments() -> argparse.Namespace:
    parser = options(__doc__, rounds=7)
    parser.add_argument("--seconds", type=float, default=35, help="no further round begins after so many")
    parser.add_argument("--compile", action="store_true", help="torch.compile too (minutes)")
    parser.add_argument("--tune", action="store_true", help="let cuDNN try its ways first (more than a minute)")
    parser.add_argument("--small", action="store_true", help=f"volumes of {SMALL} instead of {FULL}")
    return parser.parse_args()


def ways(*, compiled: bool) -> dict[str, Way]:
    """Ours first, with which the others are compared."""

    def ours(options: str = "") -> Callable[[], nn.Module]:
        return lambda: build_network(f"VNet{options}", 1, 2)

    found = {
        OURS: Way(ours()),
        "VNet, float32, recompute": Way(ours("(recompute=true)")),
        "VNet, bf16": Way(ours(), half=True),
        "VNet, bf16, recompute": Way(ours("(recompute=true)"), half=True),
        "VNet(attention=serial), float32": Way(ours("(attention=serial)")),
    }
    if compiled:
        found |= {
            "VNet, float32, compiled": Way(ours(), compiled=True),
            "VNet, bf16, compiled": Way(ours(), half=True, compiled=True),
        }
    if find_spec("monai"):
        from monai.networks.nets import VNet

        def theirs() -> nn.Module:
            return VNet(in_channels=1, out_channels=2)

        found |= {"MONAI VNet, float32": Way(theirs), "MONAI VNet, bf16": Way(theirs, half=True)}
    return found


@dataclass(frozen=True)
class Batch:
    images: Tensor  # (B, 1, X, Y, Z)
    truth: Tensor  # (B, 2, X, Y, Z) one-hot
    maps: Tensor  # (B, 2, X, Y, Z) signed distances


def make_batch(size: tuple[int, ...], device: str) -> Batch:
    """Noise, with a brighter ellipsoid in the middle."""
    draw = torch.Generator().manual_seed(0)
    axes = [torch.linspace(-1, 1, side) for side in size]
    radius = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
    labels = (radius < 0.6).long().expand(BATCH, *size)
    images = torch.randn(BATCH, 1, *size, generator=draw) + labels.unsqueeze(1)
    truth = class2one_hot(labels, 2)
    maps = signed_distance(truth, (0.625, 0.625, 0.625))
    return Batch(images.to(device), truth.float().to(device), maps.to(device))


def prepare(way: Way, batch: Batch, device: str) -> tuple[Step, tuple[int, int | None]]:
    """A step, run once; the network's parameters, and the bytes that its training holds at most."""
    torch.manual_seed(0)
    net = way.make().to(device)
    if way.compiled:
        net.compile()
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-4, fused=True)
    dice, boundary = DiceLoss(idc=[1]), BoundaryLoss(idc=[1])

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=way.half):
            logits = net(batch.images)
        probs = logits.float().softmax(1)
        (0.5 * dice(probs, batch.truth) + 0.5 * boundary(probs, batch.maps)).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    step()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    peak = peak_bytes(step, device)
    parameters = sum(weights.numel() for weights in net.parameters())
    return step, (parameters, None if peak is None else peak + held(net, optimiser, batch))


def held(net: nn.Module, optimiser: torch.optim.Optimizer, batch: Batch) -> int:
    """Bytes between two steps."""
    states = [value for state in optimiser.state.values() for value in state.values() if isinstance(value, Tensor)]
    tensors = [*net.state_dict().values(), *states, batch.images, batch.truth, batch.maps]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def rounds_of(steps: dict[str, Step], rounds: int, end: float, device: str) -> dict[str, list[float]]:
    """Milliseconds of each step in each round: one round at least, then as many as begin before the end."""
    now = time.thread_time if processor_time(device) else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds):
        if turn and time.monotonic() > end:
            break
        for name, step in steps.items():
            times[name].append(milliseconds(step, now))
    return times


def head(size: tuple[int, ...], rounds: int, device: str) -> list[str]:
    unit = "milliseconds of the processor" if processor_time(device) else "milliseconds"
    return [
        f"{machine(device)}. A training step of {BATCH} volumes of {' x '.join(map(str, size))}, {unit}, median of "
        f"{rounds} round{'s' if rounds > 1 else ''} in turns; x = their time / ours in float32, median of the rounds; "
        "memory = weights, Adam's state, batch and the step's most. The published network was trained on a card of "
        "12 GB, in 14.5 h for 201 epochs of 160 batches: 1.6 s a batch, validation included. "
        "`python benchmarks/vnet_step.py`",
        "",
        "| network | parameters | ms a step | x | memory | fits in 12 GB |",
        "|---|---|---|---|---|---|",
    ]


def shown(peak: int | None) -> str:
    return "not seen" if peak is None else f"{peak / 2**30:.2f} GiB"


def row(name: str, found: tuple[int, int | None], times: dict[str, list[float]]) -> str:
    parameters, peak = found
    memory = "– | –" if peak is None else f"{shown(peak)} | {'yes' if peak <= CARD else 'no'}"
    took = statistics.median(times[name])
    return f"| {name} | {parameters / 1e6:.2f} M | {took:.3g} | {ratio(times[name], times[OURS]):.2f} | {memory} |"


if __name__ == "__main__":
    main()
