"""Draws docs/augmentation.png: what AUGMENT does to a phantom FLAIR slice and its lesions, a transform a row.

PYTHONPATH=src python docs/augmentation.py
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from boundary_loss.data import Augmentation
from boundary_loss.figures.drawing import LIGHT, new_figure, save, style
from boundary_loss.figures.overlays import class_colour, edges
from boundary_loss.phantom.wmh import SITES, draw_case

ROWS = ["flip", "rotate(20)", "scale(0.8,1.2)", "elastic(8,20)", "intensity(0.3)", "noise(0.1)"]
DRAWS = 4
SITE, SIZE = SITES["Singapore.zip"], 192
SPACING_MM = (SITE.field_of_view_mm[0] / round(SIZE * SITE.matrix[0]), 2 * SITE.field_of_view_mm[1] / SIZE)
"""Twice as wide along Y, so that a shear would show."""
HERE = Path(__file__).parent


def main() -> None:
    image, labels = flair()
    rows = torch.arange(DRAWS)
    images, classes = image.expand(DRAWS, 1, *image.shape), labels.expand(DRAWS, *labels.shape)
    with style(LIGHT):
        figure = new_figure(8.4, 10)
        axes = figure.subplots(len(ROWS) + 1, DRAWS + 1)
        for line, texts in zip(axes, [*([row] for row in ROWS), ROWS], strict=True):
            augmentation = Augmentation.parse(texts)
            assert augmentation is not None
            altered, moved, _ = augmentation(images, classes, [], torch.tensor([SPACING_MM]).expand(DRAWS, 2), rows, 3)
            show(line[0], image, labels)
            for axis, picture, lesions in zip(line[1:], altered, moved, strict=True):
                show(axis, picture[0], lesions)
            line[0].set_ylabel(texts[0] if len(texts) == 1 else "all of them", fontsize=8)
        axes[0, 0].set_title("as it is", fontsize=8)
        for i in range(DRAWS):
            axes[0, i + 1].set_title(f"draw {i + 1}", fontsize=8)
        save(figure, HERE / "augmentation.png", dpi=90)


def flair() -> tuple[torch.Tensor, torch.Tensor]:
    """(X, Y) in [0, 1] and its lesions; every second column of the scanner's."""
    volume, _, labels, _ = draw_case(np.random.default_rng(5), SITE, SIZE)
    z = int((labels == 1).sum(axis=(0, 1)).argmax())
    image, lesions = volume[20:-20, 8:-8:2, z], labels[20:-20, 8:-8:2, z] == 1
    return torch.from_numpy(image / image.max()).float(), torch.from_numpy(lesions.astype(np.uint8))


def show(axis: Axes, image: torch.Tensor, labels: torch.Tensor) -> None:
    axis.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, aspect=SPACING_MM[0] / SPACING_MM[1])
    axis.add_collection(LineCollection(list(edges(labels.numpy() == 1)), colors=class_colour(1), linewidths=0.9))
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)


if __name__ == "__main__":
    main()
