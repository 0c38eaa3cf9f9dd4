"""One step of a network (forward, backward, optimiser) under each setting that AMP, the layout and COMPILE offer.

    PYTHONPATH=src python benchmarks/network.py [--device cuda] [--compile] [--write benchmarks/RESULTS.md]

The settings take turns in one process; x = the time of the pipeline's defaults (float32, channels last, the optimiser
in one pass) over the setting's.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from turns import machine, processor_time, publish, ratio, take_turns

from boundary_loss.experiment import Experiment
from boundary_loss.networks import build_network
from boundary_loss.training.arithmetic import Arithmetic, configure, make_optimiser
from boundary_loss.training.devices import pick_device

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "channels first": {"layout": "first"},
    "AMP=bf16": {"amp": "bf16"},
    "AMP=bf16, channels first": {"amp": "bf16", "layout": "first"},
    "AMP=fp16": {"amp": "fp16"},
}
COMPILED: dict[str, dict[str, Any]] = {
    "COMPILE=1": {"compiled": True},
    "COMPILE=1 AMP=bf16": {"compiled": True, "amp": "bf16"},
}
PLAIN_OPTIMISER = "optimiser weight by weight"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="Dimwit;ENet;UNet(width=8)", help="separated by ';'")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", action="store_true", help="compiled settings too (minutes)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    device = pick_device(args.device)
    settings = SETTINGS | (COMPILED if args.compile else {}) | {PLAIN_OPTIMISER: {}}
    if device.type == "cpu":
        settings.pop("AMP=fp16")  # its convolutions are not made for speed there
    processor = processor_time(device.type)
    lines = [
        f"{machine(device.type)}. A step of {args.batch_size} slices of five modalities, {args.size} x {args.size}, "
        f"milliseconds {'of the processor ' if processor else ''}a slice, median of {args.rounds} rounds in turns; "
        "x = the defaults' time over the setting's. "
        "`python benchmarks/network.py`",
        "",
        f"| network | {' | '.join(settings)} |",
        "|---" * (len(settings) + 1) + "|",
    ]
    for network in args.networks.split(";"):
        steps = {name: step(network, name, options, device, args) for name, options in settings.items()}
        times = take_turns(steps, args.rounds, time.thread_time if processor else time.perf_counter)
        cells = [cell(times[name], times["defaults"], args.batch_size) for name in settings]
        lines.append(f"| {network} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    publish(lines, f"Settings of the network ({device.type.upper()})", args.write)


def step(
    network: str, name: str, options: dict[str, Any], device: torch.device, args: argparse.Namespace
) -> Callable[[], object]:
    experiment = Experiment(
        losses=("ce:1",), rate="constant", num_classes=2, network=network, epochs=1,
        batch_size=args.batch_size, learning_rate=1e-3, **options,
    )  # fmt: skip
    configure(experiment, device)
    net = build_network(network, 5, 2).to(device)
    arithmetic = Arithmetic.of(experiment, device)
    arithmetic.prepare(net)
    optimiser = make_optimiser(experiment, net, device)
    if name == PLAIN_OPTIMISER:
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.99), foreach=False)
    images = torch.rand(args.batch_size, 5, args.size, args.size, device=device)
    labels = torch.randint(2, (args.batch_size, args.size, args.size), device=device)

    def run() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(arithmetic.outputs(net, images)["logits"], labels)
        arithmetic.scaler.scale(loss).backward()
        arithmetic.scaler.step(optimiser)
        arithmetic.scaler.update()

    return run


def cell(took: list[float], defaults: list[float], batch_size: int) -> str:
    return f"{statistics.median(took) / batch_size:.3g} ({ratio(defaults, took):.2f}x)"


if __name__ == "__main__":
    main()
