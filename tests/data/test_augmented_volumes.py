"""Altered volumes: the laws of slices along three axes, and the draws of slices as they were recorded."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from boundary_loss.data import Augmentation
from boundary_loss.data.augmentation import compiled, plain
from boundary_loss.data.augmentation.drawn import Drawn, Turn, rotations
from boundary_loss.data.augmentation.transforms import Rotate, Shift, parse_transform, written

ALL = ["flip(xyz)", "rotate(20,xyz)", "scale(0.8,1.2)", "elastic(2,6)", "intensity(0.2)", "noise(0.05)", "shift(3)"]
CPU = torch.device("cpu")


def volumes(shape: tuple[int, ...] = (3, 2, 13, 10, 8)) -> tuple[Tensor, Tensor]:
    """Smooth images (B, C, X, Y, Z) and labels of three classes."""
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    for axis in (2, 3, 4):
        images = (images + images.roll(1, axis) + images.roll(2, axis)) / 3
    return images, (images[:, 0] * 5.99 - 1.5).clamp(0, 2).to(torch.uint8)


def parse(*texts: str) -> Augmentation:
    augmentation = Augmentation.parse(texts)
    assert augmentation is not None
    return augmentation


def turned(
    images: Tensor, labels: Tensor, spacing: tuple[float, ...], turn: Turn
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return plain.altered(images, labels, Drawn(np.tile(spacing, (len(images), 1)), turn=turn))


def about(axis: str, angle: float, count: int = 1) -> Turn:
    return Turn.of(rotations(np.full((count, 1), angle), axis, 3), np.ones(count), np.zeros((count, 3)))


@pytest.mark.parametrize(("axis", "plane"), [("x", (1, 2)), ("y", (2, 0)), ("z", (0, 1))])
def test_a_quarter_turn_is_numpys(axis: str, plane: tuple[int, int]) -> None:
    """About each axis; the other two have as many voxels, of one spacing."""
    images, labels = volumes((2, 2, 9, 9, 9))
    cut = tuple(slice(0, 6 if "xyz"[i] == axis else 9) for i in range(3))
    images, labels = images[(..., *cut)], labels[(..., *cut)]
    spacing = tuple(2.5 if "xyz"[i] == axis else 0.7 for i in range(3))
    found = turned(images, labels, spacing, about(axis, np.pi / 2, 2))
    expected = np.rot90(labels.numpy(), 1, tuple(1 + i for i in plane))
    np.testing.assert_array_equal(found[1].numpy(), expected)
    expected = np.rot90(images.numpy(), 1, tuple(2 + i for i in plane))
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)


def test_images_are_linear_and_labels_nearest() -> None:
    """As SciPy interpolates at the same places."""
    images, labels = volumes((1, 1, 13, 10, 8))
    spacing, rng = np.array([0.8, 1.1, 2.0]), np.random.default_rng(0)
    turn = Turn.of(rotations(np.array([[0.3, -0.2, 0.5]]), "xyz", 3), np.array([1.2]), rng.uniform(-2, 2, (1, 3)))
    found = turned(images, labels, tuple(spacing), turn)
    shape = labels.shape[1:]
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).reshape(3, -1).T
    centre = (np.array(shape) - 1) / 2
    source = (((places - centre) * spacing) @ turn.linear[0].T + turn.shift[0]) / spacing + centre
    least = images.min()
    linear = (
        ndimage.map_coordinates((images[0, 0] - least).numpy(), source.T, order=1, mode="grid-constant") + least.numpy()
    )
    np.testing.assert_allclose(found[0].numpy().ravel(), linear, atol=1e-4)
    halfway = np.abs(source - np.floor(source) - 0.5).min(axis=1) < 1e-3
    nearest = ndimage.map_coordinates(labels[0].numpy(), source.T, order=0, mode="grid-constant")
    assert (found[1].numpy().ravel() == nearest)[~halfway].all() and len(np.unique(nearest)) == 3


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.6, 0.9, 2.0)])
def test_a_ball_off_the_centre_goes_where_the_rotation_says(spacing: tuple[float, ...]) -> None:
    shape = tuple(int(44 / s) for s in spacing)

    def ball(centre: np.ndarray, radius: float) -> np.ndarray:
        grid = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing)], indexing="ij")
        return sum((g - c) ** 2 for g, c in zip(grid, centre)) < radius**2

    centre, moved, factor = np.array([5.0, -6.0, 4.0]), np.array([2.0, 1.0, -3.0]), 1.2
    rotation = rotations(np.array([[0.4, 0.3, -0.8]]), "xyz", 3)
    labels = torch.from_numpy(ball(centre, 6.0).astype(np.uint8))[None]
    turn = Turn.of(rotation, np.array([factor]), moved[None])
    _, found = turned(labels[:, None].float(), labels, spacing, turn)
    expected = ball(factor * rotation[0] @ centre + moved, factor * 6.0)
    np.testing.assert_allclose(rotation[0] @ rotation[0].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation[0]) == pytest.approx(1)
    both = 2 * (expected & (found[0].numpy() == 1)).sum() / (expected.sum() + found.sum().item())
    assert expected.sum() > 800 and both > 0.92


def test_a_shift_by_voxels_moves_them() -> None:
    images, labels = volumes()
    turn = Turn.of(np.tile(np.eye(3), (3, 1, 1)), np.ones(3), np.tile([1.6, -0.5, 0.0], (3, 1)))
    altered, classes = turned(images, labels, (0.8, 0.5, 3.0), turn)
    assert torch.equal(classes[:, 2:, :-1], labels[:, :-2, 1:]) and not classes[:, :2].any()
    torch.testing.assert_close(altered[:, :, 2:, :-1], images[:, :, :-2, 1:], atol=1e-5, rtol=0)


def test_flips_along_three_axes() -> None:
    images, labels = volumes((32, 1, 3, 4, 5))
    augmentation = parse("flip(xyz)")
    altered, classes, (maps,) = augmentation(images, labels, [images * 2], torch.ones(32, 3), torch.arange(32), 3)
    drawn = augmentation.draw(range(32), 3, images.shape[1:], np.ones((32, 3)))
    assert drawn.axes is not None and len(set(drawn.axes)) == 8
    for b, axes in enumerate(drawn.axes):
        assert torch.equal(classes[b], labels[b].flip(axes)) and torch.equal(altered[b], images[b].flip(axes))
    assert torch.equal(maps, altered * 2)
    in_plane = parse("flip").draw(range(32), 3, images.shape[1:], np.ones((32, 3))).axes
    assert in_plane == [tuple(a for a in axes if a != -1) for axes in drawn.axes], "and of X and Y alone by itself"


def test_what_a_volume_becomes_depends_on_its_number_and_the_seed_alone() -> None:
    images, labels = volumes()
    spacings = torch.tensor([[1.0, 1.0, 1.0], [0.6, 0.9, 2.0], [2.0, 0.5, 0.7]])

    def apply(rows: list[int], seed: int = 7) -> tuple[Tensor, Tensor]:
        return parse(*ALL)(images[rows], labels[rows], [], spacings[rows], torch.tensor(rows), seed)[:2]

    together = apply([0, 1, 2])
    for rows in ([2, 0], [1]):
        found = apply(rows)
        torch.testing.assert_close(found[0], together[0][rows], atol=1e-4, rtol=0)
        assert (found[1] != together[1][rows]).float().mean() < 0.005
    assert not torch.equal(apply([0], seed=8)[0], apply([0])[0]) and torch.equal(apply([0])[0], apply([0])[0])


def test_slices_have_no_third_axis() -> None:
    for text in ("flip(xyz)", "flip(z)", "rotate(5,x)", "rotate(5,xyz)"):
        with pytest.raises(ValueError, match="slices"):
            parse(text).check_slices()
        with pytest.raises(ValueError, match="slices"):
            parse(text).draw([0], 0, (1, 8, 8), np.ones((1, 2)))
    parse("flip", "rotate(5)", "shift(3)").check_slices()


def test_a_transform_has_one_text() -> None:
    texts = {"rotate(15.0)": "rotate(15)", "rotate(15,z)": "rotate(15)", "rotate(15,xyz)": "rotate(15,xyz)"}
    for text, expected in (texts | {"flip": "flip(xy)", "shift(3)": "shift(3)"}).items():
        assert written(*parse_transform(text)) == expected
    assert Rotate(3).axes == "z" and Shift(3).draw(np.random.default_rng(0), 3).shape == (3,)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_alters_volumes_as_the_cpu_does() -> None:
    images, labels = volumes((4, 2, 24, 20, 18))
    given = torch.full((4, 3), 0.9), torch.arange(4), 5
    cpu = parse(*ALL)(images, labels, [], *given)
    gpu = parse(*ALL)(images.cuda(), labels.cuda(), [], *given)
    torch.testing.assert_close(gpu[0].cpu(), cpu[0], atol=1e-3, rtol=0)
    assert (gpu[1].cpu() != cpu[1]).float().mean() < 0.005


# ---- Slices, as they were altered before volumes were ----------------------------------------------------------------

SLICES = ["flip", "rotate(30)", "scale(0.8,1.2)", "elastic(3,8)", "intensity(0.2)", "noise(0.05)"]
SPACINGS = np.array([[1.0, 1.5], [0.6, 2.0], [1.3, 0.4]])
AFFINE = [
    [-4.102299377727178, 1.1572723328851853, 0.6314927356702611, 0.2576559214341678, -0.2806634380756716],
    [7.106068245743597, 0.857225323833838, -1.1881762801961724, 0.35751725804326906, 0.1069358652176555],
    [-0.9404384394499754, 1.103754391763051, 0.09553106770868573, 3.4655384559951914, -1.009046902672993],
]


def recorded() -> Drawn:
    return parse(*SLICES).draw([0, 5, 17], 7, (2, 9, 12), SPACINGS)


def test_draws_of_slices_are_those_that_were_recorded() -> None:
    drawn = recorded()
    assert drawn.axes == [(), (-2,), (-1,)]
    assert drawn.turn is not None and drawn.bend is not None and drawn.speckle and drawn.recolour is not None
    assert drawn.bend.control.shape == (3, 2, 5, 6) and not drawn.turn.shift.any()
    control = [float.fromhex(text) for text in ("-0x1.2cf2ap+1", "-0x1.3ea9e2p+0", "-0x1.0105c4p-1")]
    np.testing.assert_array_equal(drawn.bend.control[:, 0, 1, 2], control)
    gamma = [float.fromhex(text) for text in ("0x1.33780a16f4ba6p+0", "0x1.0228815ddfffp+0", "0x1.f8dcff51f9579p-1")]
    np.testing.assert_allclose(drawn.recolour[:, 0, 1], gamma, rtol=1e-15)
    assert drawn.speckle.deviations.tolist() == [0.034775905311107635, 0.024542905390262604, 0.039153218269348145]
    assert drawn.speckle.streams.tolist() == [[3878776565, 300127690], [3779222151, 187906169], [1696205483, 260495994]]
    affine = compiled._affine(torch.Size((9, 12)), SPACINGS, drawn.turn).reshape(3, 6)
    np.testing.assert_allclose(affine[:, :5], AFFINE, rtol=1e-12)
    np.testing.assert_allclose(affine[:, 5], affine[:, 1], rtol=1e-12)


@pytest.mark.parametrize("by", [compiled, plain])
def test_pictures_of_slices_are_those_that_were_recorded(by: object) -> None:
    x, y = np.mgrid[:9, :12]
    waves = [np.stack([np.sin(x * (b + 1) / 5 + y / 7), np.cos(x / 4 - y * (b + 1) / 9)]) for b in range(3)]
    images = torch.from_numpy(np.stack(waves) / 2 + 0.5).float()
    labels = (images[:, 0] > 0.5).to(torch.uint8)
    if by is compiled and not compiled.can_alter(images, labels):
        pytest.skip("the kernels are not compiled")
    altered, classes = by.altered(images, labels, recorded())  # type: ignore[attr-defined]
    expected = [1.047174, 1.1305429, 0.9548647, 1.0099154, 0.9335749, 0.9673424]
    np.testing.assert_allclose(altered[:, :, 4, 5].flatten(), expected, atol=2e-6)
    rows = "011110000000 011111000000 001111100000 001111100000 000111100000 000011110000 000011110000 000001110000"
    assert " ".join("".join(map(str, row)) for row in classes[1, :8].tolist()) == rows
    assert classes.flatten(1).sum(1).tolist() == [57, 38, 34]
