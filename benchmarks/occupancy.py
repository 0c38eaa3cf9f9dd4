"""OSS-Net C on one case of BraTS and of LiTS: a training step, and the whole volume in three ways.

    PYTHONPATH=src python benchmarks/occupancy.py [--device cuda] [--small] [--write benchmarks/RESULTS.md]

The case is drawn: bright ellipsoids in noise, of the size of the data set. In inference the network computes all that
it would, but its answer is replaced by the drawn mask, which has the surface and the coarse map of a trained one; so
what a way gets wrong is what it misses. Published memory is that of Reich et al. 2021 (OSS-Net C, BraTS): 2.59 GB for
a training step, 0.39 GB for inference in pieces of 2^14 points. ``--small`` tries the script on a sixteenth of each
side, with a narrow network.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from turns import machine, milliseconds, peak_bytes, publish, take_turns

from boundary_loss.inference.field import Segmented, coarse, dense, prior
from boundary_loss.networks import OSSNet, pade
from boundary_loss.training.devices import pick_device

GB = 1e9
WAYS: dict[str, Callable[..., Segmented]] = {"dense": dense, "prior": prior, "coarse": coarse}


@dataclass(frozen=True)
class Case:
    channels: int
    levels: int
    shape: tuple[int, int, int]
    pieces: tuple[int, ...]
    """Bytes for the points computed at a time in inference; 0 = for as many points as a training step has."""
    width: int = 512

    def small(self) -> "Case":
        x, y, z = (side // 16 for side in self.shape)
        return Case(self.channels, self.levels, (x, y, z), self.pieces, width=32)


CASES = {"BraTS": Case(4, 4, (256, 256, 160), (0, 1 << 31)), "LiTS": Case(1, 5, (512, 512, 512), (1 << 28,))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", type=int, default=1 << 14, help="of a training step, a case")
    parser.add_argument("--small", action="store_true", help="a sixteenth of each side, to try this script")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    device = pick_device(args.device)
    torch.manual_seed(0)
    cases = {name: case.small() if args.small else case for name, case in CASES.items()}
    points = args.points // (64 if args.small else 1)
    lines = [f"{machine(device.type)}. `python benchmarks/occupancy.py{' --small' if args.small else ''}`", ""]
    lines += training(cases["BraTS"], points, device, args.rounds)
    for name, case in cases.items():
        lines += inference(name, case, points, device)
    publish(lines, f"Occupancy networks ({device.type.upper()})", args.write)


def training(case: Case, points: int, device: torch.device, rounds: int) -> list[str]:
    """Steps take turns; a step's memory is all that is allocated then: weights, optimiser and volumes too."""
    lines = [
        f"A training step (forward, backward, RAdam) of OSS-Net C on {by(case.shape)} voxels, {case.channels} "
        f"channels, {points} points a case; x = its time over that of float32 with as many cases, median of "
        f"{rounds} rounds in turns. Published: 2.59 GB.",
        "",
        "| step | ms | x | peak GB |",
        "|---|---|---|---|",
    ]
    for batch in (1, 8):
        trainer = Trainer.of(case, batch, device)
        settings = {"float32": (False, False)}
        if device.type == "cuda":  # other processors compute bfloat16 slowly
            settings["AMP=bf16"] = (True, False)
        if batch == 1:
            settings["float32, Padé units in single operations"] = (False, True)
        steps = {name: stepper(trainer, points, *setting) for name, setting in settings.items()}
        times = take_turns(steps, rounds)
        for name, step in steps.items():
            share = statistics.median(mine / base for mine, base in zip(times[name], times["float32"], strict=True))
            cell = f"{statistics.median(times[name]):.1f} | {share:.2f} | {gigabytes(step, device)}"
            lines.append(f"| {batch} case{'s' * (batch > 1)}, {name} | {cell} |")
            print(lines[-1], flush=True)
    return [*lines, ""]


def inference(name: str, case: Case, points: int, device: torch.device) -> list[str]:
    """Dense inference of LiTS, 134 million points, once and in bfloat16 alone: it takes seconds."""
    field, volume = Drawn.of(case, points, device)
    lines = [
        f"Inference of OSS-Net C on {name}, {by(case.shape)} voxels, {float(field.mask.float().mean()):.1%} of them "
        "foreground. Peak is above the weights and the volume. Published (BraTS): 0.39 GB.",
        "",
        "| way | ms | points asked | wrong | peak GB |",
        "|---|---|---|---|---|",
    ]
    amps = (False, True) if device.type == "cuda" else (False,)
    for amp, piece, way in product(amps, case.pieces, ("coarse", "prior", "dense")):
        if way == "dense" and field.mask.numel() > 1 << 26 and not amp:
            continue
        memory = piece or points * field.bytes_per_point
        answers: list[Segmented] = []
        run = asker(WAYS[way], field, volume, memory, amp, answers)
        if way != "dense":  # which is warm after the others
            run()
        answers.clear()
        took, peak = timed_peak(run, device)
        asked, wrong = answers[0].evaluated, int((answers[0].labels != field.mask).sum())
        pieces = f"memory={memory / 2**20:.0f}MiB" if piece else f"{points} points a piece"
        lines.append(
            f"| {way}, {pieces}, {'bf16' if amp else 'float32'} | {took:.0f} | {asked} "
            f"({asked / field.mask.numel():.1%}) | {wrong} | {peak} |"
        )
        print(lines[-1], flush=True)
    return [*lines, ""]


def asker(
    infer: Callable[..., Segmented], field: "Drawn", volume: Tensor, memory: int, amp: bool, answers: list[Segmented]
) -> Callable[[], None]:
    """A step that leaves its answer in ``answers``, after the one before it is freed."""

    def run() -> None:
        answers.clear()
        with torch.autocast(volume.device.type, torch.bfloat16, enabled=amp):
            answers.append(infer(field, volume, memory=memory))

    return run


def network(case: Case, device: torch.device) -> OSSNet:
    """OSS-Net C for the case."""
    return OSSNet(case.channels, 2, config="oss_c", levels=case.levels, width=case.width).to(device)


class Drawn:
    """A network that computes what it would, and then answers with a mask (X, Y, Z)."""

    def __init__(self, net: OSSNet, mask: Tensor) -> None:
        self.net, self.mask, self.bytes_per_point = net, mask, net.bytes_per_point

    @classmethod
    def of(cls, case: Case, points: int, device: torch.device) -> tuple["Drawn", Tensor]:
        """The field and its volume (C, X, Y, Z)."""
        net = network(case, device).eval()
        volume, mask = draw(case, 0, device)
        return cls(net, mask), volume

    def encode(self, volume: Tensor) -> Any:
        code = self.net.encode(volume)
        assert code.aux is not None  # config C has it
        map_ = F.adaptive_max_pool3d(self.mask[None, None].float(), code.aux.shape[2:])
        return code._replace(aux=torch.cat([torch.zeros_like(map_), 20 * map_ - 10], dim=1))

    def at(self, code: Any, points: Tensor) -> Tensor:
        logits = self.net.at(code, points)
        x, y, z = points[0].long().T
        logits[0, 1] = self.mask[x, y, z].to(logits.dtype) - 0.5  # over (0, x)
        return logits


@dataclass
class Trainer:
    net: OSSNet
    volumes: Tensor
    """(B, C, X, Y, Z)"""
    labels: Tensor
    """(B, X, Y, Z)"""
    optimiser: torch.optim.Optimizer

    @classmethod
    def of(cls, case: Case, batch: int, device: torch.device) -> "Trainer":
        net = network(case, device)
        drawn = [draw(case, seed, device) for seed in range(batch)]
        volumes, labels = (torch.stack(tensors) for tensors in zip(*drawn, strict=True))
        return cls(net, volumes, labels, torch.optim.RAdam(net.parameters(), lr=3e-4))

    def step(self, points: int, *, amp: bool) -> None:
        shape = torch.tensor(self.labels.shape[1:], device=self.labels.device)
        places = (torch.rand(len(self.labels), points, 3, device=shape.device) * shape).long()
        target = torch.stack([labels[tuple(own.T)] for own, labels in zip(places, self.labels)]).long()
        with torch.autocast(shape.device.type, torch.bfloat16, enabled=amp):
            answer = self.net(self.volumes, places.float())
        loss = F.cross_entropy(answer["logits"].float(), target)
        coarse_labels = F.adaptive_max_pool3d(self.labels.float(), answer["aux"].shape[2:]).long()
        loss = loss + 0.1 * F.cross_entropy(answer["aux"].float(), coarse_labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


def stepper(trainer: Trainer, points: int, amp: bool, single: bool) -> Callable[[], None]:
    def run() -> None:
        with single_operations(single):
            trainer.step(points, amp=amp)

    return run


@contextmanager
def single_operations(on: bool) -> Iterator[None]:
    """With ``on``, Padé units are the formula in PyTorch's operations, whose intermediate results autograd keeps."""
    ours = pade.pade
    pade.pade = pade.plain if on else ours
    try:
        yield
    finally:
        pade.pade = ours


def draw(case: Case, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """A volume (C, X, Y, Z) of noise with bright ellipsoids, and their mask (X, Y, Z)."""
    generator = torch.Generator().manual_seed(seed)
    sides = torch.tensor(case.shape)
    axes = [torch.arange(size, device=device) for size in case.shape]
    mask = torch.zeros(case.shape, dtype=torch.bool, device=device)
    for _ in range(5):
        centre = (0.25 + 0.5 * torch.rand(3, generator=generator)) * sides
        radius = (0.05 + 0.1 * torch.rand(3, generator=generator)) * sides
        x, y, z = (((axis - c) / r).square() for axis, c, r in zip(axes, centre.tolist(), radius.tolist()))
        mask |= x[:, None, None] + y[None, :, None] + z[None, None, :] < 1
    noise = torch.randn((case.channels, *case.shape), device=device) * 0.3
    return noise.add_(mask.float()), mask


def timed_peak(run: Callable[[], None], device: torch.device) -> tuple[float, str]:
    """Milliseconds of one run, and its peak in GB above what was there; none on a CPU, where torch does not count."""
    if device.type != "cuda":
        return milliseconds(run), ""
    took: list[float] = []
    peak = peak_bytes(lambda: took.append(milliseconds(run)), device.type)
    return took[0], f"{(peak or 0) / GB:.2f}"


def gigabytes(step: Callable[[], None], device: torch.device) -> str:
    """All that is allocated at the step's worst moment; nothing on a CPU, where torch does not count it."""
    if device.type != "cuda":
        return ""
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return f"{torch.cuda.max_memory_allocated() / GB:.2f}"


def by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


if __name__ == "__main__":
    main()
