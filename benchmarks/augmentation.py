"""A training patch of a volume altered by us, MONAI and TorchIO: the same transforms, image and label together.

    PYTHONPATH=src python benchmarks/augmentation.py [--rounds 7] [--write benchmarks/RESULTS.md]

Ours are what a training step does: draw, read a box with the surroundings that turn in, deform once, add noise. MONAI's
are its dictionary transforms, as they stand and lazily (one interpolation); TorchIO's, a Compose of its random ones.
Each transform is applied in every call. The time is one thread's processor time, so that other work on the
machine blurs little.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from turns import Step, machine, publish, ratio, take_turns

from boundary_loss.data.augmentation import Augmentation
from boundary_loss.data.deformed import deformed, deformed_box, deformed_plainly
from boundary_loss.data.frame import Frame
from boundary_loss.data.volumes import altered

SPACING = (0.625, 0.625, 0.625)
SETS = {
    "flip, rotation, shift, noise": ["flip(y)", "rotate(3)", "shift(3)", "noise(1)"],
    "scale, elastic": ["scale(0.9,1.1)", "elastic(4,12)"],
}
"""The left-atrium V-Net's transforms, and those that its code has but does not use."""


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    image, labels = volume(args.margin, args.shape)
    shape = " x ".join(map(str, args.shape))
    lines = [
        f"{machine('cpu')}. A patch of {shape} voxels of 0.625 mm with its label, processor ms, median "
        f"of {args.rounds} rounds in turns; × = their time over ours, median of the rounds. "
        "`python benchmarks/augmentation.py`",
        "",
        "| transforms | ours ms | ours without the kernel × | MONAI × | MONAI lazy × | TorchIO × |",
        "|---|---|---|---|---|---|",
    ]
    for name, texts in SETS.items():
        steps = ways(name, texts, image, labels, args)
        times = take_turns(steps, args.rounds, time.process_time)
        cells = [f"{ratio(times[way], times['ours']):.1f}" if way in times else "–" for way in ("plain", *PEERS)]
        lines.append(f"| {name} | {statistics.median(times['ours']):.3g} | {' | '.join(cells)} |")
    publish(lines, "Augmentation of volumes (CPU)", args.write)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--shape", type=int, nargs=3, default=(112, 112, 80), help="of the patch")
    parser.add_argument("--margin", type=int, default=16, help="voxels around the patch in the volume")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    return parser.parse_args()


def volume(margin: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """A noisy ball, (1, X, Y, Z) float32, and its label (X, Y, Z) uint8."""
    sides = [side + 2 * margin for side in shape]
    axes = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in sides), indexing="ij")
    ball = torch.stack(axes).square().sum(dim=0) < 0.3
    image = ball + 0.3 * torch.randn(sides, generator=torch.Generator().manual_seed(0))
    return image[None].contiguous(), ball.to(torch.uint8)


def ways(name: str, texts: list[str], image: Tensor, labels: Tensor, args: argparse.Namespace) -> dict[str, Step]:
    """One call each alters one sample."""
    steps: dict[str, Step] = {
        "ours": ours(texts, image, labels, args, deformed),
        "plain": ours(texts, image, labels, args, deformed_plainly),
    }
    middle = (slice(args.margin, -args.margin),) * 3
    cut_image, cut_labels = image[(slice(None), *middle)].contiguous(), labels[middle].contiguous()
    for peer, (module, make) in PEERS.items():
        if find_spec(module):
            steps[peer] = make(name, cut_image, cut_labels)
    return steps


def ours(texts: list[str], image: Tensor, labels: Tensor, args: argparse.Namespace, deform: Callable[..., Any]) -> Step:
    """As :class:`boundary_loss.data.volumes.Patches` shows a patch, the next sample at each call."""
    augmentation = Augmentation.parse(texts)
    assert augmentation is not None
    frame = Frame.whole(labels.shape).box((args.margin,) * 3, args.shape)
    samples = iter(range(1 << 30))

    def step() -> tuple[Tensor, Tensor]:
        drawn = augmentation.draw([next(samples)], 0, (len(image), *frame.shape), np.array([SPACING]))
        box = deformed_box(frame, drawn)
        part = image[(slice(None), *box.slices)], labels[box.slices]
        shown, of_them = deform(*part, frame.within(box), drawn)
        drawn.turn = drawn.bend = drawn.axes = None
        return altered(shown, of_them, drawn)

    return step


def monai(name: str, image: Tensor, labels: Tensor, *, lazy: bool) -> Step:
    from monai.transforms import Compose, Rand3DElasticd, RandAffined, RandFlipd, RandGaussianNoised

    both: dict[str, Any] = {"keys": ("image", "label"), "prob": 1.0, "mode": ("bilinear", "nearest")}
    if name == "scale, elastic":
        chain = [
            Rand3DElasticd(
                **both, sigma_range=(5, 8), magnitude_range=(50, 150), scale_range=(0.1,) * 3, padding_mode="zeros"
            )
        ]
    else:
        chain = [
            RandFlipd(keys=("image", "label"), prob=0.5, spatial_axis=1),
            RandAffined(**both, rotate_range=(0, 0, np.pi / 60), translate_range=(4.8,) * 3, padding_mode="zeros"),
            RandGaussianNoised(keys="image", prob=1.0, std=1.0),
        ]
    transform = Compose(chain, lazy=lazy)
    return lambda: transform({"image": image, "label": labels[None]})


def torchio(name: str, image: Tensor, labels: Tensor) -> Step:
    import SimpleITK
    import torchio as tio

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    if name == "scale, elastic":
        points = [max(5, side // 19 + 3) for side in labels.shape]  # about 12 mm apart
        chain = [
            tio.RandomAffine(scales=(0.9, 1.1), degrees=0, isotropic=True, default_pad_value=0),
            tio.RandomElasticDeformation(num_control_points=points, max_displacement=4),
        ]
    else:
        chain = [
            tio.RandomFlip(axes=(1,)),
            tio.RandomAffine(scales=0, degrees=(0, 0, 0, 0, -3, 3), translation=3, default_pad_value=0),
            tio.RandomNoise(std=(0, 1)),
        ]
    transform = tio.Compose(chain)
    affine = np.diag([*SPACING, 1])
    subject = tio.Subject(
        image=tio.ScalarImage(tensor=image, affine=affine), label=tio.LabelMap(tensor=labels[None], affine=affine)
    )
    return lambda: transform(subject)


PEERS: dict[str, tuple[str, Callable[[str, Tensor, Tensor], Step]]] = {
    "MONAI": ("monai", lambda *of: monai(*of, lazy=False)),
    "MONAI lazy": ("monai", lambda *of: monai(*of, lazy=True)),
    "TorchIO": ("torchio", torchio),
}
"""Module and maker of each."""

if __name__ == "__main__":
    main()
