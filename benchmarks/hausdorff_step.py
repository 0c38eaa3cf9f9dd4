"""One step (forward and backward) of the Hausdorff and the boundary loss: ours, MONAI's, and SciPy's, map by map.

    PYTHONPATH=src python benchmarks/hausdorff_step.py [--device cuda] [--small] [--write benchmarks/RESULTS.md]

The SciPy way is what the original and its peers do: predictions go to the host and each mask is transformed alone. The
boundary loss is measured with its maps made anew at each step, as MONAI's does it, and with maps made before, as a
training has them.
"""

import statistics
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor
from turns import machine, options, publish, ratio, take_turns

from boundary_loss import BoundaryLoss, HausdorffLoss, class2one_hot, signed_distance

SHAPES = [(8, 2, 256, 256), (2, 2, 96, 144, 224)]
SMALL = [(8, 2, 256, 256), (1, 2, 48, 72, 112)]


def main() -> None:
    parser = options(__doc__, rounds=5)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--small", action="store_true", help="a smaller volume")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lines = [
        f"{machine(args.device)}. Forward and backward, milliseconds, median of {args.rounds} rounds in turns; × = "
        "their time / ours, median of the rounds. `python benchmarks/hausdorff_step.py`",
        "",
        "| probabilities | method | ms | × |",
        "|---|---|---|---|",
    ]
    for shape in SMALL if args.small else SHAPES:
        lines += rows(shape, args.device, args.rounds)
    publish(lines, f"Hausdorff step ({args.device.upper()})", args.write)


def rows(shape: tuple[int, ...], device: str, rounds: int) -> list[str]:
    labels, logits = organs(shape)
    labels, logits = labels.to(device), logits.to(device).requires_grad_()
    one_hot = class2one_hot(labels, shape[1])
    inside, both_sides = HausdorffLoss(), HausdorffLoss(sides="both")
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "ours, inside": lambda p: inside(p, labels),
        "SciPy, inside": lambda p: scipy_loss(p, one_hot, "inside"),
        "ours, both sides": lambda p: both_sides(p, labels),
        "SciPy, both sides": lambda p: scipy_loss(p, one_hot, "both"),
    }
    if find_spec("monai"):
        from monai.losses import HausdorffDTLoss

        monai = HausdorffDTLoss(include_background=True)
        losses["MONAI HausdorffDTLoss (both sides)"] = lambda p: monai(p, one_hot)
    losses |= boundary_losses(labels, one_hot)
    times = take_turns({name: step(loss, logits) for name, loss in losses.items()}, rounds)
    lines = []
    for name, took in times.items():
        ours = next(times[own] for own, others in RIVALS.items() if name in (own, *others))
        lines.append(f"| {list(shape)} | {name} | {statistics.median(took):.3g} | {ratio(took, ours):.2f} |")
        print(lines[-1], flush=True)
    return lines


RIVALS = {
    "ours, inside": ["SciPy, inside"],
    "ours, both sides": ["SciPy, both sides", "MONAI HausdorffDTLoss (both sides)"],
    "ours, boundary loss": ["ours, boundary loss of maps made before", "MONAI BoundaryLoss"],
}


def boundary_losses(labels: Tensor, one_hot: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    ours, K = BoundaryLoss(), one_hot.shape[1]
    maps = signed_distance(labels, num_classes=K)
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "ours, boundary loss": lambda p: ours(p, signed_distance(labels, num_classes=K)),
        "ours, boundary loss of maps made before": lambda p: ours(p, maps),
    }
    if find_spec("monai"):
        from monai.losses import BoundaryLoss as MonaiBoundary

        monai = MonaiBoundary()
        losses["MONAI BoundaryLoss"] = lambda p: monai(p, one_hot)
    return losses


def step(loss: Callable[[Tensor], Tensor], logits: Tensor) -> Callable[[], object]:
    def run() -> None:
        logits.grad = None
        loss(logits.softmax(1)).backward()

    return run


def organs(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Smooth blobs of about a tenth of the image, and logits of a prediction that nearly agrees."""
    draw = np.random.default_rng(0)
    fields = np.stack([gaussian_filter(draw.normal(size=shape[2:]), min(shape[2:]) / 12) for _ in range(shape[0])])
    fields /= fields.std()
    noise = np.stack([gaussian_filter(draw.normal(size=shape[2:]), 3) for _ in range(shape[0])])
    labels = torch.from_numpy(fields > 1.3).long()
    foreground = torch.from_numpy(8 * (fields - 1.3 + noise)).float()
    return labels, torch.stack([torch.zeros_like(foreground), foreground], 1)


def scipy_loss(probs: Tensor, one_hot: Tensor, sides: str) -> Tensor:
    predicted = class2one_hot(probs.detach().argmax(1), probs.shape[1])
    weight = sum(torch.from_numpy(squared(mask.cpu().numpy(), sides)) for mask in (one_hot, predicted))
    assert isinstance(weight, Tensor)
    return ((probs - one_hot) ** 2 * weight.to(probs.device)).mean()


def squared(one_hot: np.ndarray, sides: str) -> np.ndarray:
    result = np.zeros(one_hot.shape, np.float32)
    for index in np.ndindex(one_hot.shape[:2]):
        mask = one_hot[index].astype(bool)
        if mask.any() and not mask.all():
            distance = distance_transform_edt(mask)
            result[index] = (distance + distance_transform_edt(~mask) if sides == "both" else distance) ** 2
    return result


if __name__ == "__main__":
    main()
