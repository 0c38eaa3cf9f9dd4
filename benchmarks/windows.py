"""Inference by sliding windows beside MONAI's: same network, patch, overlap and Gaussian weights.

    PYTHONPATH=src python benchmarks/windows.py [--device cuda] [--rounds 5] [--write benchmarks/RESULTS.md]

A network of one convolution shows what the windows themselves cost, a 3D U-Net what they are beside a network. Memory
is the most that is held above the image; of a CUDA device, where it can be seen.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from turns import machine, options, peak_bytes, processor_time, publish, ratio, take_turns

from boundary_loss.inference.windows import bytes_held, sliding_windows
from boundary_loss.networks import UNet3D

CASES = {
    "cpu": [((1, 96, 96, 64), (48, 48, 32)), ((2, 72, 56, 40), (48, 64, 32))],
    "cuda": [((4, 240, 240, 155), (128, 128, 128)), ((1, 576, 576, 88), (144, 224, 88))],
}
"""Images (C, X, Y, Z) and patches: on a GPU a case of BraTS, and one of the left atria."""
CLASSES = 2


def main() -> None:
    parser = options(__doc__, rounds=5)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--batch_size", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    unit = "milliseconds of the processor" if processor_time(args.device) else "milliseconds"
    lines = [
        f"{machine(args.device)}. A whole volume, {unit}, median of {args.rounds} rounds in turns; × = MONAI / ours, "
        f"median of the rounds; overlap {args.overlap:g}, {args.batch_size} windows a call; peak = most memory above "
        "the image, held = ours by `bytes_held`, before the network. `python benchmarks/windows.py`",
        "",
        "| image, patch | network | ours ms | MONAI ms | × | ours peak MB | MONAI peak MB | held MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shape, patch in CASES[args.device]:
        for name, net in networks(shape[0], args.device).items():
            lines.append(row(name, net, shape, patch, args))
            print(lines[-1], flush=True)
    publish(lines, f"Sliding windows ({args.device.upper()})", args.write)


def networks(channels: int, device: str) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    nets = {"1³ convolution": nn.Conv3d(channels, CLASSES, 1), "UNet3D(width=8)": UNet3D(channels, CLASSES, width=8)}
    return {name: net.to(device).eval() for name, net in nets.items()}


def row(name: str, net: nn.Module, shape: tuple[int, ...], patch: tuple[int, ...], args: argparse.Namespace) -> str:
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(args.device)
    ways = {"ours": ours(net, image, patch, args)}
    if find_spec("monai"):
        ways["MONAI"] = monai(net, image, patch, args)
        apart = (ways["ours"]() - ways["MONAI"]()).abs().max()
        assert apart < 1e-2, f"not the same output: {apart:g} apart"
    times = take_turns(ways, args.rounds, time.thread_time if processor_time(args.device) else time.perf_counter)
    peaks = {way: peak_bytes(step, args.device) for way, step in ways.items()} if args.device == "cuda" else {}
    cells = [f"{list(shape)}, {list(patch)}", name]
    cells += [f"{statistics.median(times[way]):.3g}" if way in times else "–" for way in ("ours", "MONAI")]
    cells += [f"{ratio(times['MONAI'], times['ours']):.2f}" if "MONAI" in times else "–"]
    cells += [mb(peaks.get(way)) for way in ("ours", "MONAI")]
    return f"| {' | '.join([*cells, mb(bytes_held(shape[1:], CLASSES))])} |"


def mb(size: float | None) -> str:
    return "–" if size is None else f"{size / 1e6:.0f}"


def ours(net: nn.Module, image: Tensor, patch: tuple[int, ...], args: argparse.Namespace) -> Callable[[], Tensor]:
    options = {"overlap": args.overlap, "batch_size": args.batch_size}
    return lambda: sliding_windows(net, image, patch, **options)


def monai(net: nn.Module, image: Tensor, patch: tuple[int, ...], args: argparse.Namespace) -> Callable[[], Tensor]:
    from monai.inferers import sliding_window_inference

    @torch.no_grad()
    def run() -> Tensor:
        return sliding_window_inference(image[None], patch, args.batch_size, net, args.overlap, mode="gaussian")[0]

    return run


if __name__ == "__main__":
    main()
