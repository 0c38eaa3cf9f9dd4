"""Altered slices: images, labels and maps stay together, millimetres stay round, and a seed is a seed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from boundary_loss.data import Augmentation, MapNeed, Slices
from boundary_loss.data.augmentation import compiled, plain, warp
from boundary_loss.data.augmentation.drawn import Drawn, Turn, rotations
from boundary_loss.data.augmentation.transforms import TRANSFORMS, Elastic, Flip, Intensity, Noise, Rotate, Scale
from boundary_loss.distance import signed_distance
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.losses import HausdorffLoss
from boundary_loss.native import library

ALL = ["flip", "rotate(30)", "scale(0.8,1.2)", "elastic(3,8)", "intensity(0.2)", "noise(0.05)", "shift(2)"]


@pytest.fixture(autouse=True, params=["compiled", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every law holds of the kernel in C and of PyTorch alone."""
    if request.param == "plain":
        monkeypatch.setattr(compiled, "library", lambda: None)
    elif library() is None:
        pytest.skip("the kernels are not compiled")


def parse(*texts: str) -> Augmentation:
    augmentation = Augmentation.parse(texts)
    assert augmentation is not None
    return augmentation


def blobs(num: int = 6, size: tuple[int, int] = (32, 40)) -> tuple[Tensor, Tensor]:
    """Smooth images, (N, 2, X, Y), whose first modality is above 1/2 exactly where the label is 1."""
    rng = np.random.default_rng(0)
    x, y = np.mgrid[: size[0], : size[1]]
    centres, radii = rng.uniform(0.3, 0.7, (num, 2)) * size, rng.uniform(5, 9, num)
    r = np.hypot(x - centres[:, 0, None, None], y - centres[:, 1, None, None])
    field = 0.5 + (radii[:, None, None] - r) / 90
    images = torch.from_numpy(np.stack([field, 1 - field], axis=1)).float()
    return images, (images[:, 0] > 0.5).to(torch.uint8)


def apply(augmentation: Augmentation, rows: list[int], seed: int = 7, spacing: tuple[float, float] = (1.0, 1.5)):
    images, labels = blobs()
    spacings = torch.tensor([spacing]).expand(len(rows), 2)
    return augmentation(images[rows], labels[rows], [], spacings, torch.tensor(rows), seed)


def disc_mm(size: tuple[int, int], spacing: tuple[float, float], centre: tuple[float, float], radius: float) -> Tensor:
    """(X, Y) uint8: a disc in millimetres, about a centre in millimetres from the slice's."""
    x, y = (((np.arange(n) - (n - 1) / 2) * s) for n, s in zip(size, spacing))
    return torch.from_numpy(np.hypot(x[:, None] - centre[0], y[None] - centre[1]) < radius).to(torch.uint8)


def test_text_is_read() -> None:
    assert Augmentation.parse([]) is None and Augmentation.parse(["none"]) is None
    assert parse("flip(x)", "scale(0.9,1.1)") == Augmentation(flip=Flip("x"), scale=Scale(0.9, 1.1))
    assert parse("elastic(apart_mm=20,most_mm=8)").elastic == Elastic(8, 20)
    assert not parse("flip", "noise(0.1)", "intensity(0.1)").deforms and parse("rotate(5)").deforms


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("turn(3)", "known: flip"), ("rotate", "written rotate"), ("rotate(a)", "written rotate"), ("rotate(1,2)", "w"),
        ("rotate(200)", "between 0 and 180"), ("scale(1.1,0.9)", "most"), ("elastic(8,10)", "between 0 and 4.8"),
        ("flip(yx)", "x, y, z or several"), ("rotate(3,w)", "x, y, z or several"), ("shift(-1)", "between 0 and 1000"),
        ("noise(-1)", "between"), ("intensity(true)", "written"), ("rotate(", "cannot"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Augmentation.parse([text])


def test_a_transform_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Augmentation.parse(["flip", "rotate(3)", "flip(x)"])


def test_nothing_drawn_changes_nothing() -> None:
    images, labels = blobs()
    augmentation = parse("rotate(0)", "scale(1,1)", "elastic(0,5)", "intensity(0)", "noise(0)")
    altered, classes, _ = augmentation(images, labels, [], torch.full((6, 2), 1.3), torch.arange(6), 0)
    torch.testing.assert_close(altered, images, atol=1e-4, rtol=0)
    assert torch.equal(classes, labels)


def test_what_a_slice_becomes_depends_on_its_number_and_the_seed_alone() -> None:
    together = apply(parse(*ALL), [0, 1, 2, 3, 4, 5])
    turned = apply(parse(*ALL), [4, 1])
    alone = apply(parse(*ALL), [4])
    for found, rows in ((turned, [4, 1]), (alone, [4])):
        torch.testing.assert_close(found[0], together[0][rows], atol=1e-6, rtol=0)
        assert torch.equal(found[1], together[1][rows])
    again, other = apply(parse(*ALL), [0, 1, 2, 3, 4, 5]), apply(parse(*ALL), [0, 1, 2, 3, 4, 5], seed=8)
    assert torch.equal(again[0], together[0])
    assert all(not torch.equal(other[0][i], together[0][i]) for i in range(6))
    assert apply(parse(*ALL), [0], seed=-1)[0].isfinite().all(), "a negative seed is a seed too"


def test_another_transform_beside_it_leaves_its_draws_alone() -> None:
    rows = list(range(6))
    assert torch.equal(apply(parse("rotate(30)"), rows)[1], apply(parse("rotate(30)", "noise(0.1)"), rows)[1])


@pytest.mark.parametrize("texts", [["flip"], ["rotate(90)"], ["scale(0.7,1.4)"], ["elastic(4,9)"], ALL[:4]])
def test_labels_and_images_move_together(texts: list[str]) -> None:
    """The first modality crosses 1/2 at the label's boundary, before and after; half a pixel is nearest's due."""
    images, labels, _ = apply(parse(*texts), list(range(6)))
    slope = 1 / 90  # of the image at the boundary, a pixel
    inside, outside = images[:, 0][labels == 1], images[:, 0][labels == 0]
    assert labels.any(dim=(1, 2)).all()
    assert inside.min() > 0.5 - 2 * slope and outside.max() < 0.5 + 2 * slope


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 2.0)])
def test_a_turn_is_one_in_millimetres(spacing: tuple[float, float]) -> None:
    """A disc off the centre comes to rest where the rotation says, and is still a disc."""
    size, angle, factor = (80, 24) if spacing[0] < 1 else (48, 56), 0.7, 1.2
    disc = disc_mm(size, spacing, (4.0, 6.0), 5.0)
    turn = Turn.of(rotations(np.array([[angle]]), "z", 2), np.array([factor]), np.zeros((1, 2)))
    drawn = Drawn(np.array([spacing]), turn=turn)
    grid = warp.sampling_grid(plain.source_mm(size, drawn, torch.device("cpu")), torch.tensor([spacing]))
    turned = warp.warp_labels(disc[None], grid)[0]
    cos, sin = factor * np.cos(angle), factor * np.sin(angle)
    expected = disc_mm(size, spacing, (cos * 4 - sin * 6, sin * 4 + cos * 6), 5.0 * factor)
    differing = (turned != expected).sum().item()
    assert expected.sum() > 60 and differing <= 2 * np.pi * 6 * 0.5 / min(spacing)


def test_what_comes_from_outside_is_background_and_the_least_value() -> None:
    images, labels = blobs()
    labels[:] = 1
    spacings, linear = torch.ones(6, 2), 2 * torch.eye(2).expand(6, 2, 2)  # half as large
    grid = warp.sampling_grid(warp.source_mm((32, 40), spacings, linear, torch.zeros(6, 2)), spacings)
    altered, classes = warp.warp_images(images, grid), warp.warp_labels(labels, grid)
    assert (classes[:, 0] == 0).all() and (classes[:, 9:23, 11:29] == 1).all()
    torch.testing.assert_close(altered[:, :, 0, 0], images.amin((2, 3)))


def test_ignored_voxels_stay_ignored() -> None:
    images, labels = blobs()
    labels[:, :10] = 255
    _, classes, _ = parse(*ALL[:4])(images, labels, [], torch.ones(6, 2), torch.arange(6), 0)
    assert set(classes.unique().tolist()) == {0, 1, 255}


def test_a_spline_is_smooth_passes_through_constants_and_never_folds() -> None:
    size, spacings = (40, 30), torch.tensor([[1.0, 1.7]])
    constant = torch.full((1, 2, 12, 12), 3.0)
    torch.testing.assert_close(
        warp.spline_displacement(constant, size, spacings, 6.0), torch.full((1, 2, *size), 3.0), atol=1e-5, rtol=0
    )
    elastic = Elastic(0.48 * 6, 6)
    for seed in range(20):
        control = torch.from_numpy(elastic.draw(np.random.default_rng(seed), np.array(size) * spacings[0].numpy()))
        moved = warp.spline_displacement(control[None].float(), size, spacings, 6.0)[0]
        x, y = moved + warp.source_mm(size, spacings, torch.eye(2)[None], torch.zeros(1, 2))[0]
        jacobian = (
            torch.diff(x, dim=0)[:, :-1] * torch.diff(y, dim=1)[:-1]
            - torch.diff(x, dim=1)[:-1] * torch.diff(y, dim=0)[:, :-1]
        )
        assert (jacobian > 0).all()


def test_slices_of_other_spacings_in_one_batch_are_as_alone() -> None:
    images, labels = blobs()
    spacings = torch.tensor([[1.0, 1.0], [0.6, 2.0], [1.3, 0.4]])
    together = parse("elastic(3,8)")(images[:3], labels[:3], [], spacings, torch.arange(3), 1)
    for i in range(3):
        alone = parse("elastic(3,8)")(
            images[i : i + 1], labels[i : i + 1], [], spacings[i : i + 1], torch.tensor([i]), 1
        )
        torch.testing.assert_close(alone[0][0], together[0][i], atol=1e-4, rtol=0)


def test_draws_cover_their_ranges() -> None:
    draws = [np.random.default_rng([3, row]) for row in range(400)]
    flips = [Flip().draw(rng) for rng in draws]
    assert all(60 < sum(flip == chosen for flip in flips) < 140 for chosen in ((), (-2,), (-1,), (-2, -1)))
    assert {Flip("x").draw(rng) for rng in draws} == {(), (-2,)}
    angles = np.rad2deg([Rotate(20).draw(rng) for rng in draws])
    assert -20 <= angles.min() < -18 and 18 < angles.max() <= 20 and abs(angles.mean()) < 2
    factors = np.array([Scale(0.8, 1.2).draw(rng) for rng in draws])
    assert 0.8 <= factors.min() < 0.82 and 1.18 < factors.max() <= 1.2
    gamma, contrast, brightness = np.stack([Intensity(0.1).draw(rng, 5) for rng in draws], axis=1)
    assert abs(np.log(gamma)).max() <= 0.1 and abs(contrast - 1).max() <= 0.1 and abs(brightness).max() <= 0.1
    assert len(np.unique(gamma)) == gamma.size, "each modality has its own"
    images = torch.zeros(400, 1, 8, 8)
    noisy, _, _ = parse("noise(0.1)")(images, images[:, 0].byte(), [], torch.ones(400, 2), torch.arange(400), 0)
    deviations = noisy.std(dim=(1, 2, 3))
    assert deviations.min() < 0.01 and 0.09 < deviations.max() < 0.13 and abs(noisy.mean()) < 0.002
    assert list(TRANSFORMS) == ["flip", "rotate", "scale", "elastic", "intensity", "noise", "shift"]
    assert Noise(0.1).most == 0.1


def test_maps_follow_flips_and_are_made_after_everything_else(sliced: Path) -> None:
    """A 2D map flipped is the map of the flipped labels; a step map is that of the deformed ones."""
    folder, rows = SlicedFolder.open(sliced), [torch.tensor([0, 5, 2]), torch.tensor([1, 7])]
    flat, step, own = (MapNeed(source, (1,)) for source in ("2d", "step", "own"))
    for texts, need in ((["flip", "noise(0.1)"], flat), (ALL, step), (["flip", "noise(0.1)"], own), (ALL, own)):
        slices = Slices(folder, "train", needs=[need], augmentation=parse(*texts))
        for batch, chosen in zip(slices.batches(rows, torch.device("cpu"), seed=3), rows, strict=True):
            expected = signed_distance(batch.labels, batch.spacings, num_classes=2, classes=[1])
            torch.testing.assert_close(batch.maps[need], expected)
            assert batch.names == [slices.names[i] for i in chosen.tolist()]
            assert (batch.gt[:, 1] == (batch.labels == 1)).all()
            assert not torch.equal(batch.inputs[0], slices.images[chosen])


def test_a_map_made_before_a_deformation_is_refused(sliced: Path) -> None:
    for source in ("2d", "3d"):
        with pytest.raises(ValueError, match=rf"map={source}.* write boundary without map"):
            need = MapNeed(source, (1,))
            Slices(SlicedFolder.open(sliced), "train", needs=[need], augmentation=parse("rotate(5)"))


def test_the_hausdorff_loss_measures_deformed_targets(sliced: Path) -> None:
    loss = HausdorffLoss(classes=[1])
    need = MapNeed("target", (1,), measure=loss.measure_target)
    for texts in (["rotate(40)", "scale(0.5,2)"], ["flip"]):
        slices = Slices(SlicedFolder.open(sliced), "train", needs=[need], augmentation=parse(*texts))
        (batch,) = slices.batches([torch.arange(12)], torch.device("cpu"), seed=1)
        torch.testing.assert_close(batch.maps[need], loss.measure_target(batch.gt, batch.spacings))


def test_single_items_and_batches_are_as_on_the_disk(sliced: Path) -> None:
    slices = Slices(SlicedFolder.open(sliced), "train", augmentation=parse(*ALL))
    assert torch.equal(slices[3]["images"], slices.images[3])
    assert torch.equal(slices.batch(torch.tensor([2, 0])).labels, slices.labels[[2, 0]])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_alters_as_the_cpu_does() -> None:
    images, labels = blobs()
    about = torch.ones(6, 2), torch.arange(6), 5
    cpu = parse(*ALL)(images, labels, [], *about)
    gpu = parse(*ALL)(images.cuda(), labels.cuda(), [], *about)
    torch.testing.assert_close(gpu[0].cpu(), cpu[0], atol=1e-3, rtol=0)
    assert (gpu[1].cpu() != cpu[1]).float().mean() < 0.005


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_that_travel_ahead_are_those_that_do_not(sliced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, device = SlicedFolder.open(sliced), torch.device("cuda")
    needs, rows = [MapNeed("2d", (1,)), MapNeed("step", (1,))], list(torch.randperm(12).split(5))
    kept = Slices(folder, "train", needs=needs, device=device)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 0))
    travelling = Slices(folder, "train", needs=needs, device=device)
    assert kept.images.is_cuda and not travelling.images.is_cuda
    for a, b in zip(kept.batches(rows, device), travelling.batches(rows, device), strict=True):
        assert a.names == b.names and b.inputs[0].is_cuda
        assert torch.equal(a.inputs[0], b.inputs[0]) and torch.equal(a.labels, b.labels)
        assert all(torch.equal(a.maps[need], b.maps[need]) for need in needs)
