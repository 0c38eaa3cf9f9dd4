"""Draws docs/gradients.png: what each loss asks of each pixel, for one prediction that misses and one that invents.

A pixel's colour is the derivative of the loss by the probability of the object there: red where a step of gradient
descent lowers it, blue where it raises it. Every panel has a scale of its own, since losses are weighed against each
other anyway.

PYTHONPATH=src python docs/gradients.py
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import Tensor

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import boundary_loss as bl

SIZE = 72
HERE = Path(__file__).parent
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": lambda p, g: bl.CrossEntropy()(p, g),
    "Dice": lambda p, g: bl.DiceLoss(classes=[1])(p, g),
    "generalized Dice": lambda p, g: bl.GeneralizedDice()(p, g),
    "boundary": lambda p, g: bl.BoundaryLoss(classes=[1])(p, bl.signed_distance(g, num_classes=2)),
    "Hausdorff, inside": lambda p, g: bl.HausdorffLoss(classes=[1])(p, g),
    "Hausdorff, both sides": lambda p, g: bl.HausdorffLoss(classes=[1], sides="both")(p, g),
    "Hausdorff by erosion": lambda p, g: bl.HausdorffErosionLoss(classes=[1])(p, g),
}


def disc(x: float, y: float, radius: float) -> np.ndarray:
    """(X, Y) distance beyond the disc's edge, negative inside, in pixels."""
    i, j = np.mgrid[:SIZE, :SIZE]
    return np.hypot(i - x, j - y) - radius


def scene() -> tuple[Tensor, Tensor]:
    """(1, X, Y) labels of a large object and a small one, and (1, 2, X, Y) probabilities.

    The prediction is shifted, misses the small object, and invents another far away.
    """
    truth = np.minimum(disc(26, 26, 14), disc(56, 18, 4)) < 0
    edge = np.minimum(disc(31, 29, 14), disc(60, 60, 4))
    p = torch.from_numpy(0.05 + 0.9 / (1 + np.exp(edge))).float()
    return torch.from_numpy(truth).long()[None], torch.stack([1 - p, p])[None]


def pull(loss: Callable[[Tensor, Tensor], Tensor], labels: Tensor, probs: Tensor) -> np.ndarray:
    """Return (X, Y): the derivative by the object's probability p; the background's probability is 1 - p."""
    p = probs[:, 1].clone().requires_grad_()
    loss(torch.stack([1 - p, p], dim=1), labels).backward()
    assert p.grad is not None
    return p.grad[0].numpy()


def show(axis: Axes, values: np.ndarray, labels: Tensor, title: str, limit: float, colours: str) -> None:
    low = 0 if colours == "gray" else -limit
    axis.imshow(values, cmap=colours, vmin=low, vmax=limit, interpolation="nearest")
    axis.contour(labels[0].numpy(), levels=[0.5], colors="#2E7D32", linewidths=1.2)
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=10)


def main() -> None:
    labels, probs = scene()
    figure, axes = plt.subplots(2, 4, figsize=(10.4, 5.6), layout="constrained")
    show(axes[0, 0], probs[0, 1].numpy(), labels, "prediction (green: truth)", 1, "gray")
    for axis, (title, loss) in zip(axes.flat[1:], LOSSES.items(), strict=True):
        gradient = pull(loss, labels, probs)
        show(axis, gradient, labels, title, float(np.abs(gradient).max()), "RdBu_r")
    figure.savefig(HERE / "gradients.png", dpi=100)


if __name__ == "__main__":
    main()
