"""What is shown of a volume equals torch's and scikit-image's resizing, and goes back to where it came from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.transform import resize
from torch.nn.functional import interpolate

from boundary_loss.data.frame import Box, Frame

SHAPE = (9, 6, 5)
shapes = st.tuples(*[st.integers(1, 9)] * 3)
factors = st.tuples(*[st.integers(1, 4)] * 3)


def drawn(shape: Sequence[int], seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=tuple(shape)))


def labels_of(shape: Sequence[int], seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(1, 5, tuple(shape)).astype(np.uint8))


@given(shapes, shapes)
def test_linear_resizing_is_that_of_torch(source: tuple[int, ...], shape: tuple[int, ...]) -> None:
    volume = drawn((2, *source))
    expected = interpolate(volume[None], size=shape, mode="trilinear", align_corners=False)[0]
    torch.testing.assert_close(Frame.whole(source).resize(shape).resample(volume, 1), expected)


@given(shapes, shapes)
def test_nearest_resizing_is_that_of_scikit_image(source: tuple[int, ...], shape: tuple[int, ...]) -> None:
    labels = labels_of(source)
    expected = resize(labels.numpy(), shape, order=0, mode="edge", preserve_range=True, anti_aliasing=False)
    assert torch.equal(Frame.whole(source).resize(shape).resample(labels, 0), torch.from_numpy(expected))


@given(shapes, factors)
def test_reducing_is_resizing_where_the_sides_are_multiples(blocks: tuple[int, ...], by: tuple[int, ...]) -> None:
    source = tuple(n * factor for n, factor in zip(blocks, by))
    assert Frame.whole(source).reduce(by) == Frame.whole(source).resize(blocks)


def test_reducing_other_sides_keeps_the_scale_and_loses_no_end() -> None:
    reduced = Frame.whole((10, 9, 1)).reduce((4, 2, 4))
    assert reduced.shape == (3, 5, 1) and reduced.scale == (4, 2, 4)
    assert reduced.offset == (0.5, 0, 0)  # 12 of 10 voxels: one beyond at each end
    assert reduced.spacing((0.5, 1, 2)) == (2, 2, 8)
    volume = torch.arange(10.0).view(10, 1, 1)
    shown = Frame.whole((10, 1, 1)).reduce((4, 1, 1)).resample(volume, 1)
    assert shown.flatten().tolist() == [0.5, 4.5, 8.5]


def test_padding_puts_the_odd_voxel_before() -> None:
    padded = Frame.whole(SHAPE).pad(4)
    assert padded.shape == (12, 8, 8) and padded.offset == (-2, -1, -2)
    volume = drawn(SHAPE)
    expected = torch.nn.functional.pad(volume, (2, 1, 1, 1, 2, 1))
    assert torch.equal(padded.resample(volume, 1), expected)
    assert torch.equal(padded.to_source_grid(expected, 1), volume)
    assert Frame.whole((8, 4, 12)).pad(4) == Frame.whole((8, 4, 12))


def test_a_cube_has_the_side_of_a_slice_and_at_most_the_one_asked_for() -> None:
    assert Frame.whole((64, 48, 7)).stretch(512).shape == (64, 64, 64)
    assert Frame.whole((64, 48, 7)).stretch(40).shape == (40, 40, 40)
    assert Frame.whole((64, 48, 7)).stretch(40) == Frame.whole((64, 48, 7)).resize((40, 40, 40))


@given(shapes, factors, st.tuples(*[st.integers(-5, 12)] * 3), shapes)
def test_a_box_shows_what_slicing_shows(
    source: tuple[int, ...], by: tuple[int, ...], origin: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    """In the middle, at the edge, partly beyond it, and where nothing of the volume is left."""
    reduced = Frame.whole(source).reduce(by)
    wide = np.pad(reduced.resample(drawn(source), 1).numpy(), 24)
    expected = wide[tuple(slice(24 + first, 24 + first + size) for first, size in zip(origin, shape))]
    shown = reduced.box(origin, shape).resample(drawn(source), 1)
    torch.testing.assert_close(shown, torch.from_numpy(expected))


@given(shapes, factors, st.tuples(*[st.integers(-3, 3)] * 3), shapes)
def test_what_is_read_is_enough_and_no_more_than_the_volume(
    source: tuple[int, ...], by: tuple[int, ...], origin: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    frame, volume = Frame.whole(source).reduce(by).box(origin, shape), drawn(source)
    for margin in (0, 2):
        box = frame.source_box(margin)
        part = volume[box.slices]
        assert tuple(part.shape) == box.shape
        for order in (0, 1):
            torch.testing.assert_close(frame.within(box).resample(part, order), frame.resample(volume, order))


def test_what_is_read_is_the_box_and_its_margin() -> None:
    crop = Frame.whole((20, 20, 4)).box((5, -2, 0), (4, 5, 9))
    assert crop.source_box() == Box((5, 0, 0), (4, 3, 4))
    assert crop.source_box(2) == Box((3, 0, 0), (8, 5, 4))
    assert Frame.whole((20, 20)).box((30, 0), (4, 4)).source_box(1) == Box((0, 0), (0, 5))


@given(shapes, st.tuples(*[st.integers(0, 6)] * 3), factors, st.integers(1, 5))
def test_labels_come_back_exactly_where_nothing_was_reduced(
    source: tuple[int, ...], more: tuple[int, ...], by: tuple[int, ...], multiple: int
) -> None:
    labels = labels_of(source)
    padded = Frame.whole(source).pad(multiple)
    stretched = Frame.whole(source).resize([size + extra for size, extra in zip(source, more)])
    for frame in (padded, stretched, stretched.pad(multiple)):
        assert torch.equal(frame.to_source_grid(frame.resample(labels, 0), 0), labels)
    assert tuple(Frame.whole(source).reduce(by).inverse.shape) == source


def test_a_crop_comes_back_to_its_place_and_the_rest_is_background() -> None:
    labels, crop = labels_of(SHAPE), Frame.whole(SHAPE).box((2, -1, 3), (4, 5, 6))
    found = crop.to_source_grid(crop.resample(labels, 0), 0)
    kept = torch.zeros(SHAPE, dtype=torch.bool)
    kept[2:6, 0:4, 3:] = True
    assert torch.equal(found, torch.where(kept, labels, 0)) and found.dtype == torch.uint8
    probs = torch.full((2, *crop.shape), 0.5)
    back = crop.to_source_grid(probs, 1, outside=(1, 0))
    assert back[:, ~kept].unique(dim=1).tolist() == [[1], [0]] and bool((back[:, kept] == 0.5).all())


def test_shown_voxels_cover_their_blocks_of_the_source() -> None:
    reduced = Frame.whole((640, 576, 88)).reduce((4, 4, 2))
    assert reduced.covered(Box((0, 10, 40), (1, 3, 10))) == Box((0, 40, 80), (4, 12, 8))
    assert Frame.whole((10, 4, 4)).pad(12).covered(Box((0, 0, 4), (12, 12, 1))) == Box((0, 0, 0), (10, 4, 1))
    assert Frame.whole((9,)).resize((6,)).covered(Box((1,), (1,))) == Box((1,), (2,))  # 1.5 to 3
    assert Frame.whole((9,)).box((20,), (3,)).covered(Box((0,), (3,))) == Box((9,), (0,))


@given(shapes, st.tuples(*[st.integers(0, 4)] * 3), shapes)
def test_a_box_of_the_source_is_cut_out_of_whatever_is_shown(
    source: tuple[int, ...], origin: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    box = Box(origin, shape)
    assert Frame.whole(source).cut(box) == Frame.whole(source).box(origin, shape)
    assert Frame.whole(source).pad(4).cut(box) == Frame.whole(source).box(origin, shape)
    fours = Box(tuple(4 * first for first in origin), tuple(4 * size for size in shape))
    reduced = Frame.whole(tuple(4 * size for size in source)).reduce((4, 4, 4))
    assert reduced.cut(fours) == reduced.box(origin, shape)


def test_one_voxel_fills_whatever_it_is_stretched_to() -> None:
    frame = Frame.whole((1, 1, 1)).resize((4, 3, 2))
    assert bool((frame.resample(torch.full((1, 1, 1), 7.0), 1) == 7).all())
    assert frame.to_source_grid(torch.full((4, 3, 2), 7), 0).tolist() == [[[7]]]
    assert Frame.whole((1, 1, 1)).pad(3).resample(torch.ones(1, 1, 1), 0).sum() == 1


@given(st.tuples(*[st.integers(-2, 2)] * 3), factors)
def test_moving_the_volume_moves_what_is_shown(by: tuple[int, ...], scale: tuple[int, ...]) -> None:
    """Moved by whole shown voxels; away from the ends, where other voxels come in."""
    steps = tuple(move * factor for move, factor in zip(by, scale))
    frame = Frame.whole((40, 36, 32)).reduce(scale).box((3, 3, 3), (2, 3, 2))
    volume = drawn((40, 36, 32))
    moved = volume.roll(steps, (0, 1, 2))
    for order in (0, 1):
        expected = frame.box(tuple(-move for move in by), frame.shape).resample(volume, order)
        torch.testing.assert_close(frame.resample(moved, order), expected)


@given(hnp.arrays(float, (4, 3), elements=st.floats(-20, 20)), factors, st.tuples(*[st.integers(-5, 5)] * 3))
def test_positions_go_there_and_back(points: np.ndarray, by: tuple[int, ...], origin: tuple[int, ...]) -> None:
    frame = Frame.whole(SHAPE).reduce(by).box(origin, (3, 4, 2)).resize((5, 3, 2))
    there = frame.positions(points)
    np.testing.assert_allclose(frame.inverse.positions(there), points, atol=1e-9)
    np.testing.assert_allclose(frame.positions_mm(points, (0.5, 1, 3)), there * (0.5, 1, 3))


def test_a_linear_image_has_its_values_at_the_positions() -> None:
    """So positions in mm and interpolation agree: an image that holds its own coordinate in mm."""
    spacing_mm = (0.625, 1.0, 2.5)
    frame = Frame.whole((12, 10, 8)).reduce((3, 2, 2)).box((1, 1, 1), (2, 3, 2)).resize((5, 4, 3))
    grid = np.stack(np.meshgrid(*(mm * np.arange(n) for mm, n in zip(spacing_mm, (12, 10, 8))), indexing="ij"))
    indices = np.stack(np.meshgrid(*map(np.arange, frame.shape), indexing="ij"), axis=-1)
    expected = frame.positions_mm(indices, spacing_mm)
    found = frame.resample(torch.from_numpy(grid), 1).movedim(0, -1).numpy()
    np.testing.assert_allclose(found, expected)
    steps = np.diff(expected, axis=0)[0, 0, 0]
    assert steps[0] == pytest.approx(frame.spacing(spacing_mm)[0])


def test_integers_are_interpolated_as_float32_and_crops_are_views() -> None:
    volume = torch.arange(60, dtype=torch.int16).view(5, 4, 3)
    crop = Frame.whole((5, 4, 3)).box((1, 1, 1), (2, 2, 2))
    assert crop.is_crop and not Frame.whole((5, 4, 3)).resize((5, 4, 4)).is_crop
    assert crop.resample(volume, 0).untyped_storage().data_ptr() == volume.untyped_storage().data_ptr()
    assert crop.resample(volume, 1).dtype == torch.float32
    assert crop.pad(3).resample(volume, 0).dtype == torch.int16


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.uint32, np.int32, np.float32, np.float64])
def test_volumes_of_every_type_that_files_have_are_shown(dtype: type) -> None:
    largest = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1e6
    volume = np.array([[0, 1], [2, largest]], dtype)
    frame = Frame.whole((2, 2)).resize((4, 2)).pad(3)
    assert frame.shape == (6, 3) and frame.offset == (-0.75, -1)
    nearest = frame.read(volume, 0)
    assert nearest.numpy().dtype == dtype and nearest[1:5, 1:].tolist() == [[0, 1]] * 2 + [[2, largest]] * 2
    linear = frame.read(volume, 1)
    assert linear.is_floating_point() and linear[:, 1].tolist() == [0, 0, 0.5, 1.5, 2, 0]


def test_of_a_memory_map_only_what_is_shown_is_read(tmp_path: Path) -> None:
    volume = np.asfortranarray(np.random.default_rng(0).integers(0, 200, (8, 7, 6), np.uint8))
    np.save(tmp_path / "a.npy", volume)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for frame in (
        Frame.whole(mapped.shape).box((2, 1, 3), (4, 4, 4)),
        Frame.whole(mapped.shape).reduce((2, 2, 3)).box((1, 1, 0), (2, 2, 1)),
        Frame.whole(mapped.shape).box((20, 0, 0), (2, 2, 2)),
    ):
        found = frame.read(mapped, 1)
        torch.testing.assert_close(found, frame.resample(torch.from_numpy(volume.copy()), 1))
        part, within = frame.part(mapped, margin=1)
        assert tuple(part.shape) == frame.source_box(1).shape and part.dtype == torch.uint8
        torch.testing.assert_close(within.resample(part, 1), found)
    kept = Frame.whole(mapped.shape).read(mapped, 0)
    kept += 1  # never the file's memory
    assert np.array_equal(np.load(tmp_path / "a.npy"), volume)


def test_planes_have_frames_too() -> None:
    image = drawn((7, 4))
    expected = interpolate(image[None, None], size=(5, 6), mode="bilinear", align_corners=False)[0, 0]
    torch.testing.assert_close(Frame.whole((7, 4)).resize((5, 6)).resample(image, 1), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_shows_what_the_cpu_shows() -> None:
    frame, volume = Frame.whole(SHAPE).pad(4).resize((7, 9, 5)).box((-1, 2, 0), (8, 5, 7)), drawn((2, *SHAPE)).float()
    for order in (0, 1):
        shown = frame.resample(volume.cuda(), order, outside=(1, 0))
        assert shown.is_cuda
        torch.testing.assert_close(shown.cpu(), frame.resample(volume, order, outside=(1, 0)))
        back = frame.to_source_grid(shown, order)
        torch.testing.assert_close(back.cpu(), frame.to_source_grid(shown.cpu(), order))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Frame.whole(SHAPE).pad(0), r"pad\(0\)"),
        (lambda: Frame.whole(SHAPE).reduce((2, 2)), r"reduce\(2, 2\) has 2 numbers, the volume 3 axes"),
        (lambda: Frame.whole(SHAPE).reduce((2, 0, 2)), "whole numbers of 1 or more"),
        (lambda: Frame.whole(SHAPE).resize((3, 0, 1)), r"resize\(3, 0, 1\)"),
        (lambda: Frame.whole(SHAPE).stretch(0), r"stretch\(0\)"),
        (lambda: Frame.whole(SHAPE).box((0, 0, 0), (1, 1)), "has 2 numbers"),
        (lambda: Frame.whole(SHAPE).box((0, 0, 0), (1, 0, 1)), "cannot show"),
        (lambda: Frame.whole(()), "for each of its axes"),
        (lambda: Frame((2,), (2,), (0.0,), (0.0,)), "scales above 0"),
        (lambda: Frame((2,), (2,), (1.0,), (float("nan"),)), "finite offsets"),
        (lambda: Frame.whole(SHAPE).spacing((1, 1)), "has 2 numbers"),
        (lambda: Frame.whole(SHAPE).resample(torch.zeros(6, 9, 5), 0), r"of shape \(9, 6, 5\), got \(6, 9, 5\)"),
        (lambda: Frame.whole(SHAPE).read(np.zeros((6, 9, 5)), 0), r"of shape \(9, 6, 5\), got \(6, 9, 5\)"),
        (lambda: Frame.whole(SHAPE).pad(4).resample(torch.zeros(3, *SHAPE), 1, (1, 0)), "2 values"),
        (lambda: Frame.whole(SHAPE).pad(4).resample(torch.zeros(SHAPE), 1, (1, 0)), "2 values"),
        (lambda: Box((0, 0), (1,)), "a box at"),
    ],
)
def test_what_cannot_be_shown_is_refused(make, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
