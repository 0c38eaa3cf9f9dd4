"""A phantom of BraTS 2020: gliomas in four MR modalities, 240 x 240 x 155 voxels of 1 mm where ``--size`` is 256.

A tumour is nested: oedema around a core, in it an enhancing rim around necrosis. FLAIR shows all of it, but also
bright matter at the ventricles that is healthy; T2 shows fluid alike; only T1 with contrast shows the rim. The second
case lies at the rim of the brain, the third has no tumour.
"""

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from boundary_loss.phantom.archive import Archive
from boundary_loss.phantom.grid import Field, Grid, scanner_affine, soft
from boundary_loss.phantom.head import Head, draw_head, paint

ARCHIVES = ("MICCAI_BraTS2020_TrainingData.zip",)
ROOT = "MICCAI_BraTS2020_TrainingData"
FULL_SIZE, FULL_SHAPE = 256, (240, 240, 155)
NECROSIS, OEDEMA, ENHANCING = 1, 2, 4


def write(archives: dict[str, Archive], rng: Generator, *, cases: int, size: int) -> Iterator[None]:
    """Fill the archive, yielding after every case."""
    (archive,) = archives.values()
    names = []
    for number in range(1, cases + 1):
        place = {2: "rim", 3: "none"}.get(number, "inside")
        images, affine = draw_case(rng, size, place=place)
        names.append(f"BraTS20_Training_{number:03d}")
        for modality, array in images.items():
            archive.add_volume(f"{ROOT}/{names[-1]}/{names[-1]}_{modality}.nii.gz", array, affine)
        yield
    archive.add(f"{ROOT}/name_mapping.csv", "\n".join(["BraTS_2020_subject_ID", *names, ""]).encode())


def draw_case(rng: Generator, size: int, *, place: str = "inside") -> tuple[dict[str, np.ndarray], np.ndarray]:
    """One patient: ``{modality: (X, Y, Z)}`` int16, 0 outside the brain, the label ``seg`` uint8, and the affine.

    Args:
        size: 256 is the challenge's; others have as many voxels a mm less, and the same field of view.
        place: of the tumour, ``inside``, at the ``rim`` of the brain, or ``none``.
    """
    x, y, z = (max(1, round(side * size / FULL_SIZE)) for side in FULL_SHAPE)
    spacing = (FULL_SHAPE[0] / x, FULL_SHAPE[1] / y, FULL_SHAPE[2] / z)
    grid = Grid((x, y, z), spacing)
    head = draw_head(grid, rng, grid.axis(2) + rng.uniform(-4, 4), ventricles=rng.uniform(0.8, 1.6))
    head_there = (head.brain_mm > -1) & (np.abs(grid.axis(2)) < 72)
    whole_mm, core_mm = _tumour(head, rng, place)
    labels = np.zeros(grid.shape, np.uint8)
    labels[whole_mm > 0] = OEDEMA
    labels[core_mm > 0] = ENHANCING
    labels[core_mm > rng.uniform(3, 5)] = NECROSIS
    labels[(head.brain_mm <= 1) | ~head_there] = 0
    images = {
        name: np.round(image * head_there).astype(np.int16)
        for name, image in _images(head, whole_mm, core_mm, labels, rng).items()
    }
    return images | {"seg": labels}, scanner_affine(rng, spacing)


def _tumour(head: Head, rng: Generator, place: str) -> tuple[Field, Field]:
    """Depth in mm inside the whole tumour and inside its core; negative outside."""
    grid = head.grid
    if place == "none":
        nowhere = np.full(grid.shape, -99.0, np.float32)
        return nowhere, nowhere
    side, out = rng.choice([-1, 1]), 58 if place == "rim" else rng.uniform(18, 36)
    angle = rng.uniform(-0.9, 0.9)
    centre = side * out * np.cos(angle), out * np.sin(angle), rng.uniform(-20, 30)
    stretch = rng.uniform(0.8, 1.25, 3)
    offsets = (factor * (grid.axis(i) - middle) for i, (factor, middle) in enumerate(zip(stretch, centre)))
    away = np.sqrt(sum(offset**2 for offset in offsets))
    radius = rng.uniform(16, 32)
    fingers = 7 * grid.noise(rng, 14)  # oedema follows the white matter
    whole = radius + fingers - away - 6 * head.fluid
    core = rng.uniform(0.5, 0.7) * radius + 2.5 * grid.noise(rng, 10) - away
    return whole, np.minimum(core, whole - 1)


def _images(head: Head, whole_mm: Field, core_mm: Field, labels: np.ndarray, rng: Generator) -> dict[str, Field]:
    grid = head.grid
    oedema = soft(whole_mm, 3) * (1 - soft(core_mm, 2)) * head.brain
    rim = grid.blur(labels == ENHANCING, 0.8)
    dead = grid.blur(labels == NECROSIS, 0.8)
    capped = soft(head.ventricle_mm + 4, 3) * (1 - head.ventricle) * head.brain  # healthy, and bright in FLAIR
    return {
        "flair": _scan(head, paint(head, white=150, grey=190, fluid=40)
                       + 150 * oedema + 110 * rim + 60 * dead + 70 * capped, rng),
        "t1": _scan(head, paint(head, white=310, grey=230, fluid=80) - 70 * oedema - 60 * rim - 130 * dead, rng),
        "t1ce": _scan(head, paint(head, white=320, grey=240, fluid=85) - 60 * oedema + 280 * rim - 140 * dead, rng),
        "t2": _scan(head, paint(head, white=140, grey=200, fluid=420) + 170 * oedema + 120 * rim + 230 * dead, rng),
    }  # fmt: skip


def _scan(head: Head, image: Field, rng: Generator) -> Field:
    """Bias field, texture and noise, and a gain of the scanner's own."""
    grid, gain = head.grid, rng.uniform(0.6, 2.5)
    image = image * np.exp(0.1 * grid.noise(rng, 90)) + 8 * grid.noise(rng, 3) + 7 * rng.standard_normal(grid.shape)
    return gain * np.clip(image, 1, None)
