"""Draws docs/maps.png: the signed distance map of one shape in each convention, at a spacing of 0.6 x 1.2 mm.

PYTHONPATH=src python docs/maps.py
"""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from boundary_loss import signed_distance

SPACING_MM = (0.6, 1.2)
CONVENTIONS = ("paper", "paper-int", "symmetric", "interface")
HERE = Path(__file__).parent


def shape() -> np.ndarray:
    """(X, Y) uint8: an ellipse with a bite taken out, and a single voxel."""
    x, y = np.mgrid[:64, :40]
    ellipse = ((x - 26) / 17) ** 2 + ((y - 17) / 9) ** 2 < 1
    bite = ((x - 38) / 9) ** 2 + ((y - 24) / 5) ** 2 < 1
    labels = (ellipse & ~bite).astype(np.uint8)
    labels[56, 32] = 1
    return labels


def main() -> None:
    labels = shape()
    figure, axes = plt.subplots(2, 4, figsize=(11, 4.9), height_ratios=(1.35, 1), layout="constrained")
    row = 26
    millimetres = (np.arange(labels.shape[1]) + 0.5) * SPACING_MM[1]
    for (above, below), convention in zip(axes.T, CONVENTIONS):
        distances = signed_distance(labels[None], SPACING_MM, num_classes=2, convention=convention)[0, 1]
        shown = above.imshow(distances, cmap="RdBu", vmin=-12, vmax=12, aspect=SPACING_MM[0] / SPACING_MM[1])
        above.contour(distances, levels=[0], colors="black", linewidths=1)
        above.axhline(row, color="0.35", linewidth=0.8, linestyle=":")
        above.set(title=convention, xticks=[], yticks=[])
        below.axhline(0, color="0.7", linewidth=0.8)
        below.fill_between(millimetres, -12, 16, where=labels[row] == 1, step="mid", color="0.92")
        below.plot(millimetres, distances[row], marker=".", markersize=3, linewidth=1, color="#B3261E")
        below.set(xlim=(0, 48), ylim=(-12, 16), xlabel="mm along the dotted line")
        below.spines[["top", "right"]].set_visible(False)
    axes[1, 0].set_ylabel("signed distance, mm")
    figure.colorbar(shown, ax=axes[0], label="mm; negative inside", shrink=0.8)
    figure.suptitle(
        "One shape, four conventions (voxels of 0.6 x 1.2 mm; black: the map's zero; grey: inside)", fontsize=11
    )
    figure.savefig(HERE / "maps.png", dpi=110)


if __name__ == "__main__":
    main()
