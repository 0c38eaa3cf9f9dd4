"""Points drawn of whole volumes, and the bands that a share of them lies in."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from boundary_loss import signed_distance
from boundary_loss.data.frame import Frame
from boundary_loss.data.points import (
    Band,
    Points,
    draw_points,
    shown_at,
    sobel_band,
    touching,
    values_at,
    within,
)

SHAPE = (9, 20, 7)


def ball(shape=(25, 30, 21), centre=(12, 14, 9), radius=6):
    places = np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))
    return (places**2).sum(0) <= radius**2


def test_follow_from_seed_and_sample_alone():
    points = Points(50, border=0.5)
    band = Band.of(np.ones(SHAPE, bool))
    first = draw_points(points, SHAPE, band, seed=3, sample=4)
    assert first.shape == (50, 3) and first.dtype == np.int64
    assert np.array_equal(first, draw_points(points, SHAPE, band, seed=3, sample=4))
    for seed, sample in ((3, 5), (4, 4), (2**64 + 4, 3)):
        assert not np.array_equal(first, draw_points(points, SHAPE, band, seed, sample))


def test_these_draws_are_for_ever():
    """A run that is resumed with a later version goes on as it would have."""
    drawn = draw_points(Points(3, border=0.34), SHAPE, Band.of(np.ones(SHAPE, bool)), seed=0, sample=0)
    assert drawn.tolist() == [[3, 1, 0], [2, 16, 6], [2, 0, 0]]


def test_uniform_points_reach_every_voxel_and_no_other():
    drawn = draw_points(Points(20_000), SHAPE, None, seed=0, sample=0)
    counts = np.zeros(SHAPE, int)
    np.add.at(counts, tuple(drawn.T), 1)
    assert counts.min() > 0 and counts.max() < 50  # 16 on average


def test_the_share_of_the_border_lies_in_the_band_and_differs():
    mask = ball()
    points = Points(400, border=0.5)
    drawn = draw_points(points, mask.shape, Band.of(mask), seed=0, sample=0)
    inside = values_at(mask, drawn)
    assert inside[:200].all() and len(np.unique(drawn[:200], axis=0)) == 200
    assert not inside[200:].all()


@pytest.mark.parametrize("voxels", [0, 1, 30])
def test_a_small_band_is_taken_whole_and_the_rest_is_uniform(voxels):
    mask = np.zeros(SHAPE, bool)
    mask.reshape(-1)[:voxels] = True
    drawn = draw_points(Points(100, border=0.5), SHAPE, Band.of(mask), seed=0, sample=0)
    assert len(drawn) == 100
    assert len(np.unique(drawn[:voxels], axis=0)) == voxels and values_at(mask, drawn[:voxels]).all()
    assert (values_at(mask, drawn[voxels:])).mean() < 0.5


def test_the_band_is_in_mm():
    mask = ball()
    spacing = (1.0, 0.5, 2.0)
    signed = signed_distance(torch.from_numpy(mask.astype(int))[None], spacing, num_classes=2)[0, 1]
    near = within(signed, 2.0)
    outside = ndimage.distance_transform_edt(~mask, spacing)
    assert np.array_equal(near & ~mask, (outside <= 2) & ~mask)
    assert near[mask].any() and not near[12, 14, 9]


def reference_sobel(mask):
    edges = ndimage.generic_gradient_magnitude(mask.astype(float), ndimage.sobel) > 0
    return ndimage.maximum_filter(edges, 13, mode="constant")


@pytest.mark.parametrize("mask", [ball(), ball((16, 5, 40), (0, 4, 20), 3), np.zeros(SHAPE), np.ones(SHAPE)])
def test_sobel_and_dilate_equals_scipy(mask):
    assert np.array_equal(sobel_band(torch.from_numpy(mask)).numpy(), reference_sobel(mask))


def test_values_at_points_of_arrays_tensors_and_maps(tmp_path):
    volume = np.random.default_rng(0).random((2, *SHAPE))
    points = draw_points(Points(11), SHAPE, None, seed=0, sample=0)
    expected = np.stack([volume[:, x, y, z] for x, y, z in points], axis=1)
    np.save(tmp_path / "volume.npy", volume)
    mapped = np.load(tmp_path / "volume.npy", mmap_mode="r")
    for given in (volume, mapped, torch.from_numpy(volume)):
        assert np.array_equal(np.asarray(values_at(given, points)), expected)


def test_written_as():
    assert Points.parse("points(16384)") == Points(16384)
    assert Points.parse("points(64,border=0.5,band=3,each=2)") == Points(64, 0.5, 3.0, 2)
    assert Points.parse("points(64,border=0.5,band=sobel)").band is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("point(5)", "unknown points 'point"),
        ("points", "needs the option 'count'"),
        ("points(0)", "at least 1"),
        ("points(5,border=1.5)", "between 0 and 1"),
        ("points(5,band=-1)", "0 or more"),
        ("points(5,band=wide)", "expected float"),
        ("points(5,width=3)", "no option 'width'"),
    ],
)
def test_what_cannot_be_read_is_explained(text, message):
    with pytest.raises(ValueError, match=message):
        Points.parse(text)


def test_voxels_touch_where_the_mask_changes_across_a_face():
    mask = np.random.default_rng(0).random((4, 5, 3)) < 0.4
    other = ndimage.binary_dilation(~mask) & mask | ndimage.binary_dilation(mask) & ~mask
    assert np.array_equal(touching(mask), other)
    assert not touching(np.ones((3, 1, 2), bool)).any()
    classes = np.array([0, 0, 1, 2, 2, 2, 0]).reshape(7, 1, 1)
    assert touching(classes).ravel().tolist() == [False, True, True, True, False, True, True]


def test_a_band_of_another_shape():
    with pytest.raises(ValueError, match="the band is of shape"):
        draw_points(Points(5, border=0.5), (4, 4, 4), Band.of(np.ones(SHAPE, bool)), 0, 0)


FRAMES = {
    "pad": Frame.whole((9, 7, 5)).pad(8),
    "stretch": Frame.whole((9, 7, 5)).stretch(12),
    "reduce": Frame.whole((9, 7, 5)).reduce((2, 2, 1)),
    "crop": Frame.whole((9, 7, 5)).box((-2, 3, 1), (6, 6, 2)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_shown_at_is_what_resampling_the_whole_gives(name):
    frame, rng = FRAMES[name], np.random.default_rng(0)
    points = rng.integers(0, frame.shape, (300, 3))
    values = torch.from_numpy(rng.random((2, *frame.source)).astype(np.float32))
    expected = values_at(frame.resample(values, 1), torch.from_numpy(points))
    torch.testing.assert_close(shown_at(values, frame, points), expected)
