"""A phantom of ISLES 2018: acute stroke in CT perfusion, five modalities, one lesion class.

What makes it hard is what makes the patients hard: the label is the infarct core, where blood volume has dropped
*and* blood comes late. Late blood alone (penumbra, a narrowed artery), low flow alone (white matter, old infarcts) and
dark CT alone (old infarcts, fluid) are everywhere around it. The core covers 0.5 to 5 % of the head in about half
of the slices.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from boundary_loss.phantom.archive import Archive
from boundary_loss.phantom.grid import Field, Grid, scanner_affine, soft
from boundary_loss.phantom.head import Head, draw_head, largest, paint

ARCHIVES = ("ISLES2018_Training.zip", "ISLES2018_Testing.zip")
FIELD_OF_VIEW_MM = 224.0


@dataclass(frozen=True)
class Stroke:
    """Where the disease is, (X, Y, Z): ``core`` bool is the label, the others are shares between 0 and 1."""

    core: Field
    penumbra: Field
    old: Field
    delay: Field


def write(archives: dict[str, Archive], rng: Generator, *, cases: int, size: int) -> Iterator[None]:
    """Fill the two archives, yielding after every case; a fifth as many testing cases, without label."""
    training, testing = (archives[name] for name in ARCHIVES)
    for number in range(1, cases + 1):
        _write_case(training, f"TRAINING/case_{number}", 350000 + 10 * number, rng, size, labelled=True)
        yield
    for number in range(1, max(1, cases // 5) + 1):
        _write_case(testing, f"TESTING/case_{number}", 370000 + 10 * number, rng, size, labelled=False)
        yield
    training.add("__MACOSX/TRAINING/._case_1", b"\0\5\26\7")


def _write_case(archive: Archive, folder: str, first_id: int, rng: Generator, size: int, *, labelled: bool) -> None:
    images, affine = draw_case(rng, size)
    if not labelled:
        del images["OT"]
    images["CT_4DPWI"] = np.zeros((2, 2, 1, 3), np.int16)
    for offset, (name, array) in enumerate(images.items()):
        stem = f"SMIR.Brain.XX.O.{name}.{first_id + offset}"
        archive.add_volume(f"{folder}/{stem}/{stem}.nii", array, affine)


def draw_case(rng: Generator, size: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """One patient: ``{modality: (X, Y, Z)}`` with the challenge's dtypes and the label ``OT``, and the affine."""
    in_plane = FIELD_OF_VIEW_MM * rng.uniform(0.96, 1.04) / size
    spacing = (in_plane, in_plane, float(rng.choice([4.0, 5.0, 6.0, 8.0])))
    grid = Grid((size, size, int(rng.integers(2, 9))), spacing)
    height = grid.axis(2) + rng.uniform(8, 24)
    head = draw_head(grid, rng, height, ventricles=rng.uniform(0.7, 1.5))
    stroke = draw_stroke(head, rng)
    images = {
        "CT": _ct(head, stroke, rng),
        **_perfusion(head, stroke, rng),
        "OT": stroke.core.astype(np.uint8),
    }
    return images, scanner_affine(rng, spacing)


def draw_stroke(head: Head, rng: Generator) -> Stroke:
    """Disease in one hemisphere; in a quarter of the cases a few tiny cores instead of one."""
    grid = head.grid
    allowed = head.parenchyma
    head_area = (head.brain_mm > -14).sum(axis=(0, 1))
    num_slices = grid.shape[2]
    extent = max(1, round(num_slices * rng.uniform(0.35, 0.6)))
    first = int(rng.integers(0, num_slices - extent + 1))
    side = rng.choice([-1, 1])
    scattered = rng.random() < 0.25

    share = np.zeros(num_slices)
    along = (np.arange(extent) + 0.5) / extent
    share[first : first + extent] = np.exp(rng.uniform(np.log(0.01), np.log(0.05))) * (
        0.55 + 0.45 * np.sin(np.pi * along)
    )
    if scattered:
        share *= 0.5
    counts = np.where(share > 0, np.maximum(np.round(share * head_area), 3), 0)
    centres = [_in_territory(rng, side) for _ in range(rng.integers(2, 5) if scattered else 1)]
    radius_mm = np.sqrt(share.max() * head_area.max() * grid.spacing_mm[0] ** 2 / np.pi / len(centres))
    nearness = -np.minimum.reduce([grid.distance(x, y) for x, y in centres])
    core = largest(nearness + 0.45 * radius_mm * grid.noise(rng, 1.2 * radius_mm + 3), allowed, counts)

    reach = radius_mm * rng.uniform(1.6, 2.6) + 5
    penumbra = soft(reach * (1 + 0.25 * grid.noise(rng, 18)) + nearness, 4)
    penumbra *= rng.uniform(0.5, 1.0) * head.brain
    for _ in range(rng.integers(1, 3)):  # late blood without a core: mimics, on either side
        x, y = _in_territory(rng, rng.choice([-1, 1]))
        late = soft(rng.uniform(6, 15) * (1 + 0.4 * grid.noise(rng, 12)) - grid.distance(x, y), 4)
        penumbra = np.maximum(penumbra, rng.uniform(0.4, 0.9) * late * head.brain)
    old = np.zeros(grid.shape, np.float32)
    for _ in range(rng.integers(0, 4)):
        x, y = _in_territory(rng, rng.choice([-1, 1]))
        hole = soft(rng.uniform(3, 8) * (1 + 0.4 * grid.noise(rng, 9)) - grid.distance(x, y), 2)
        old = np.maximum(old, hole * head.brain * soft(5 * grid.noise(rng, 30) + 2, 4))
    old = old * (1 - grid.blur(core, 1.5))
    narrowed = rng.uniform(0, 1) * soft(side * grid.x, 25) if rng.random() < 0.4 else 0.0
    return Stroke(core, penumbra, old, narrowed * head.brain)


def _in_territory(rng: Generator, side: float) -> tuple[float, float]:
    """A point supplied by a middle cerebral artery, in mm."""
    return float(side * rng.uniform(20, 52)), float(rng.uniform(-38, 38))


def _ct(head: Head, stroke: Stroke, rng: Generator) -> np.ndarray:
    grid = head.grid
    core = grid.blur(stroke.core, 2.5)
    image = paint(head, white=30, grey=38, fluid=10) - 4.0 * core - 13 * stroke.old
    image = image + 95 * head.skull + 45 * head.scalp
    image = grid.blur(image, 1.0) + 1.8 * grid.noise(rng, 3) * head.brain + 2.5 * rng.standard_normal(grid.shape)
    return np.clip(np.round(image), 0, None).astype(np.int32)


def _perfusion(head: Head, stroke: Stroke, rng: Generator) -> dict[str, np.ndarray]:
    """CBF (ml/100 g/min, ×10), CBV (ml/100 g, ×100), MTT and Tmax (s)."""
    grid = head.grid
    severity = rng.uniform(0.8, 1.0)
    core = severity * grid.blur(stroke.core, 1.2)
    vessels = soft(2.5 * (grid.noise(rng, 5) - 2.1), 0.8) * head.brain
    gain = np.exp(0.10 * grid.noise(rng, 60))

    flow = paint(head, white=26, grey=58, fluid=5) * (1 - 0.40 * stroke.penumbra) * (1 - 0.70 * core)
    flow = flow * (1 - 0.6 * stroke.old) * (1 - 0.15 * stroke.delay) + 90 * vessels
    volume = paint(head, white=2.1, grey=4.0, fluid=0.5) * (1 + 0.12 * stroke.penumbra) * (1 - 0.72 * core)
    volume = volume * (1 - 0.6 * stroke.old) + 7 * vessels
    late = np.maximum(stroke.penumbra, core)
    tmax = head.brain * (1.3 + 0.5 * grid.noise(rng, 14)) + 6.0 * late + 2.2 * stroke.delay + 2.0 * head.fluid
    transit = head.brain * (4.2 + 0.6 * grid.noise(rng, 14)) + 4.2 * late + 1.5 * stroke.delay + 1.0 * head.fluid

    def noisy(image: Field, grain: float, sigma_mm: float) -> Field:
        speckle = 0.7 * grid.noise(rng, 5) + 0.7 * rng.standard_normal(grid.shape)
        return head.brain * np.clip(grid.blur(image, sigma_mm) * gain * (1 + grain * speckle), 0, None)

    flow, volume = noisy(flow, 0.20, 1.6), noisy(volume, 0.20, 1.6)
    # timing comes from a fit that fails where little blood arrives: bright specks that mean nothing
    failed = soft(2.0 * (grid.noise(rng, 3.5) - 2.3), 0.8) * (0.3 + head.fluid + stroke.old)
    tmax = np.clip(noisy(tmax, 0.22, 2.4) + 7 * failed * head.brain, 0, 20)
    transit = np.clip(noisy(transit, 0.18, 2.4) + 5 * failed * head.brain, 0, 20)
    inside = head.brain > 0.5
    return {
        "CT_CBF": np.round(10 * flow * inside).astype(np.uint16),
        "CT_CBV": np.round(100 * volume * inside).astype(np.uint16),
        "CT_MTT": (transit * inside).astype(np.float64),
        "CT_Tmax": (tmax * inside).astype(np.float64),
    }
