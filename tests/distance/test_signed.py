"""Signed maps: the original's numbers, the conventions, the empty and full rule, the ignored label."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from boundary_loss.distance import (
    dist_map_transform,
    euclidean_distance,
    inside_distance,
    one_hot2dist,
    signed_distance,
)

ORIGINAL = Path(__file__).parent / "original.npz"
SPACINGS = {
    "2d": {"none": None, "iso09": [0.9, 0.9], "aniso": [0.7, 1.3]},
    "3d": {"none": None, "zfirst": [5.0, 0.9, 0.9], "zlast": [0.9, 0.9, 5.0]},
}
CONVENTIONS = ("paper", "paper-int", "symmetric", "interface")
CASES = [(dims, name) for dims in SPACINGS for name in SPACINGS[dims]]


@pytest.fixture(scope="module")
def original() -> dict[str, np.ndarray]:
    with np.load(ORIGINAL, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def both_kinds(labels: np.ndarray) -> list[int]:
    """The items that hold object and background: of the others the original's map is arbitrary."""
    return [i for i, item in enumerate(labels) if 0 < item.sum() < item.size]


@pytest.mark.parametrize("dims, name", CASES)
def test_original_in_float(original, dims, name):
    labels = original[f"labels_{dims}_k2"]
    expected = original[f"one_hot2dist_f32_{dims}_k2_{name}"]
    for i in both_kinds(labels):
        one_hot = np.stack([labels[i] == 0, labels[i] == 1])
        np.testing.assert_allclose(one_hot2dist(one_hot, SPACINGS[dims][name]), expected[i], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["none", "iso09"])
def test_original_truncated(original, name):
    labels = original["labels_2d_k2"]
    expected = original[f"one_hot2dist_asused_int32_2d_k2_{name}"]
    spacing = SPACINGS["2d"][name]
    items = both_kinds(labels)
    maps = signed_distance(labels[items], spacing, num_classes=2, convention="paper-int", spatial_dims=2)
    np.testing.assert_array_equal(maps, expected[items])
    one_hot = np.stack([labels[0] == 0, labels[0] == 1]).astype(np.int32)
    truncated = one_hot2dist(one_hot, spacing, dtype=one_hot.dtype)
    assert truncated.dtype == np.int32
    np.testing.assert_array_equal(truncated, expected[0])


@pytest.mark.parametrize("dims, name", [("2d", "none"), ("2d", "aniso"), ("3d", "none"), ("3d", "zfirst")])
def test_original_inside(original, dims, name):
    labels = original[f"labels_{dims}_k2"]
    masks = torch.from_numpy(np.stack([labels == 0, labels == 1], axis=1))
    found = inside_distance(masks, SPACINGS[dims][name]).numpy()
    expected = original[f"one_hot2hd_dist_f32_{dims}_k2_{name}"]
    items = both_kinds(labels)
    np.testing.assert_allclose(found[items], expected[items], rtol=1e-6)
    assert not found[[i for i in range(len(labels)) if i not in items]].any()


def brute_faces(mask: np.ndarray, spacing) -> np.ndarray:
    """Distance from each centre to the nearest point of any True voxel's box, by trying them all."""
    grid = np.stack(np.indices(mask.shape), axis=-1)
    steps = abs(grid[..., None, :] - np.argwhere(mask)) - 0.5
    return np.sqrt(((np.maximum(steps, 0) * spacing) ** 2).sum(axis=-1)).min(axis=-1)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """Two items, three classes; class 2 is absent from the second."""
    rng = np.random.default_rng(3)
    drawn = rng.integers(0, 3, (2, 6, 9))
    drawn[1][drawn[1] == 2] = 0
    return drawn


@pytest.mark.parametrize("spacing", [[1.0, 1.0], [0.7, 3.0]])
def test_conventions(labels, spacing):
    maps = {c: signed_distance(labels, spacing, num_classes=3, convention=c) for c in ("paper", "symmetric")}
    faces = signed_distance(labels, spacing, num_classes=3, convention="interface")
    for b, k in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]:
        mask = labels[b] == k
        outside = distance_transform_edt(~mask, sampling=spacing)
        inside = distance_transform_edt(mask, sampling=spacing)
        np.testing.assert_allclose(maps["paper"][b, k], outside - (inside - 1) * mask, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(maps["symmetric"][b, k], outside - inside, rtol=1e-6)
        np.testing.assert_allclose(
            faces[b, k], np.where(mask, -brute_faces(~mask, spacing), brute_faces(mask, spacing)), rtol=1e-6
        )
    for found in (*maps.values(), faces):
        assert not found[1, 2].any()


def test_interface_is_zero_between_voxels():
    """Across a straight edge the map crosses zero exactly half way, whatever the spacing."""
    labels = np.zeros((1, 4, 8), np.uint8)
    labels[:, :, 3:] = 1
    for step in (0.5, 1.0, 5.0):
        maps = signed_distance(labels, [2.0, step], num_classes=2, convention="interface")
        edge = maps[0, 1, :, 2] + maps[0, 1, :, 3]
        assert not edge.any()
        np.testing.assert_allclose(maps[0, 1, 0], (2.5 - np.arange(8)) * step)
        np.testing.assert_array_equal(maps[0, 0], -maps[0, 1])


def test_layouts_agree(labels):
    one_hot = np.stack([labels == k for k in range(3)], axis=1)
    expected = signed_distance(labels, num_classes=3)
    for found in (
        signed_distance(one_hot),
        signed_distance(one_hot.astype(np.float64), [1.0, 1.0]),
        signed_distance(torch.from_numpy(one_hot).int()).numpy(),
        signed_distance(torch.from_numpy(labels), num_classes=3).numpy(),
        np.stack([signed_distance(item, [1.0, 1.0], num_classes=3) for item in labels]),
        np.stack([one_hot2dist(item) for item in one_hot]),
        np.stack([dist_map_transform([1, 1], 3)(item).numpy() for item in labels]),
    ):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    each = signed_distance(labels, [[1.0, 1.0], [2.0, 0.5]], num_classes=3)
    np.testing.assert_array_equal(each[0], expected[0])
    np.testing.assert_array_equal(each[1], signed_distance(labels[1:], [2.0, 0.5], num_classes=3)[0])


def test_chosen_classes(labels):
    every = signed_distance(labels, num_classes=3)
    some = signed_distance(labels, num_classes=3, classes=[2, 1])
    np.testing.assert_array_equal(some[:, 1:], every[:, 1:])
    assert not some[:, 0].any()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_absent_and_full(convention):
    labels = np.zeros((1, 3, 4), np.uint8)
    spacing = [2.0, 1.5]
    assert not signed_distance(labels, spacing, num_classes=2, convention=convention).any()
    far = signed_distance(labels, spacing, num_classes=2, convention=convention, absent="far")
    diagonal = np.hypot(6, 6)
    np.testing.assert_allclose(far[0, 1], diagonal, rtol=1e-6)
    np.testing.assert_allclose(far[0, 0], -diagonal, rtol=1e-6)
    unit = signed_distance(labels, spacing, num_classes=2, convention=convention, absent="far", normalise="maximum")
    assert (unit[0, 1] == 1).all() and (unit[0, 0] == -1).all()


def test_normalised(labels):
    plain = signed_distance(labels, num_classes=3, convention="symmetric")
    by_maximum = signed_distance(labels, num_classes=3, convention="symmetric", normalise="maximum")
    by_side = signed_distance(labels, num_classes=3, convention="symmetric", normalise="sides")
    for b, k in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]:
        np.testing.assert_allclose(by_maximum[b, k], plain[b, k] / abs(plain[b, k]).max(), rtol=1e-6)
        assert by_side[b, k].max() == 1 and by_side[b, k].min() == -1
    assert not by_side[1, 2].any()
    cut = signed_distance(labels, num_classes=3, convention="symmetric", max_distance=1.2)
    np.testing.assert_allclose(cut, plain.clip(-1.2, 1.2))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_max_distance_is_cut_and_nothing_else(convention):
    labels = np.zeros((2, 40, 50), np.uint8)
    labels[0, 10:25, 20:44], labels[0, :3], labels[1, 5, 7] = 1, 255, 1
    options = {"num_classes": 3, "convention": convention, "absent": "far"}
    whole = signed_distance(labels, [0.7, 1.2], **options)
    for limit in (0.2, 0.5, 1.7, 3.0):
        cut = signed_distance(labels, [0.7, 1.2], max_distance=limit, **options)
        np.testing.assert_allclose(cut, whole.clip(-limit, limit), rtol=1e-6, atol=1e-6)


def test_ignored():
    """An ignored voxel is 0, and the others' distances are as if it were not there to be reached."""
    labels = np.array([[[0, 0, 255, 1, 1, 255, 255, 0]]], np.uint8)
    found = signed_distance(labels, num_classes=2, convention="symmetric")
    np.testing.assert_array_equal(found[0, 1, 0], [3, 2, 0, -2, -3, 0, 0, 3])
    np.testing.assert_array_equal(found[0, 0, 0], [-3, -2, 0, 2, 3, 0, 0, -3])
    one_hot = np.stack([labels == 0, labels == 1], axis=1)
    for mask in (labels != 255, (labels != 255)[:, None], torch.from_numpy(labels != 255)):
        masked = signed_distance(one_hot, convention="symmetric", mask=mask)
        np.testing.assert_array_equal(masked, found)
    other = signed_distance(np.where(labels == 255, 7, labels), num_classes=2, convention="symmetric", ignore_index=7)
    np.testing.assert_array_equal(other, found)
    nothing = np.full((1, 3, 3), 255)
    assert not signed_distance(nothing, num_classes=2, absent="far", ignore_index=255).any()
    alone = signed_distance(np.array([[[1, 255, 1]]]), num_classes=2, absent="far")  # no background is known
    np.testing.assert_allclose(alone[0, 1, 0], [-np.hypot(1, 3), 0, -np.hypot(1, 3)], rtol=1e-6)


def test_labels_in_few_bytes():
    """A class, or an ignored label, that the labels' type cannot hold is no other one that shares its last byte."""
    few = torch.tensor([[[0, 44, 3, 0]]], dtype=torch.uint8)
    for labels in (few, few.to(torch.int8)):
        found = signed_distance(labels, num_classes=301, classes=[44, 300], ignore_index=259)
        torch.testing.assert_close(found, signed_distance(few.long(), num_classes=301, classes=[44, 300]))
        assert found[0, 44].any() and not found[0, 300].any()


def test_masks_without_a_background_channel():
    """A foreground alone, or classes that overlap: what is not in a class is its rest, not ignored."""
    mask = np.zeros((1, 5, 6), bool)
    mask[0, 1:3, 2:4] = True
    whole = np.concatenate([~mask, mask])
    np.testing.assert_array_equal(one_hot2dist(mask)[0], one_hot2dist(whole)[1])
    np.testing.assert_array_equal(signed_distance(mask[None])[0, 0], one_hot2dist(whole)[1])


def test_transform_takes_images(labels):
    from PIL import Image

    expected = one_hot2dist(np.stack([labels[0] == k for k in range(3)]), [0.5, 2.0])
    transform = dist_map_transform([0.5, 2.0], 3)
    image = labels[0].astype(np.uint8)
    for given_image in (
        Image.fromarray(image),
        image,
        image.astype(np.int32),
        image.astype(np.uint16),
        torch.from_numpy(image),
    ):
        found = transform(given_image)
        assert isinstance(found, torch.Tensor) and found.dtype == torch.float32
        np.testing.assert_array_equal(found.numpy(), expected)
    with pytest.raises(ValueError, match="resolution"):
        transform(np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(ValueError, match=r"labels \[5\]"):
        transform(np.full((3, 3), 5))


@pytest.mark.parametrize(
    "segmentation, options, complaint",
    [
        (np.zeros((1, 3, 3), int), {"num_classes": 2, "convention": "signed"}, "known: 'paper', 'paper-int'"),
        (np.zeros((1, 3, 3), int), {"num_classes": 2, "absent": "near"}, "known: 'zero', 'far'"),
        (np.zeros((1, 3, 3), int), {"num_classes": 2, "normalise": "max"}, "maximum"),
        (np.zeros((1, 3, 3), int), {"num_classes": 2, "classes": [2]}, r"0..1"),
        (np.zeros((1, 3, 3), int), {"num_classes": 2, "classes": 1}, r"a list, as \[1\], got 1"),
        (np.full((1, 3, 3), 4), {"num_classes": 2}, r"labels \[4\]"),
        (np.full((1, 3, 3), -1), {"num_classes": 2}, r"labels \[-1\]"),
        (np.full((1, 3, 3), 0.5), {"num_classes": 2}, "whole numbers, found 0.5"),
        (np.zeros((1, 3, 3), int), {"num_classes": 0}, "num_classes must be a number of classes, as 2, got 0"),
        (np.zeros((1, 3, 3), int), {"num_classes": True}, "num_classes must be"),
        (np.zeros((1, 3, 3), int), {"num_classes": 2, "classes": [0.5]}, "whole numbers"),
        (np.full((1, 2, 3, 3), 0.5), {}, "zeros and ones, found values from 0.5 to 0.5"),
        (np.full((1, 2, 3, 3), 2), {}, "labels need num_classes="),
        (np.full((1, 2, 3, 3), np.nan), {}, "zeros and ones"),
        (np.zeros((3, 3)), {"spacing_mm": [1, 1]}, "num_classes"),
        (np.zeros((3, 3)), {}, "spatial"),
    ],
)
def test_bad_input(segmentation, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        signed_distance(segmentation, **options)


ONE_HOT_2D, ONE_HOT_3D = np.zeros((2, 4, 6, 9), np.uint8), np.zeros((2, 4, 6, 9, 5), np.uint8)
ONE_HOT_2D[:, 1] = ONE_HOT_3D[:, 1] = 1
SLICES, VOLUMES = np.zeros((4, 6, 9), int), np.zeros((2, 6, 9, 5), int)
SLICES[:, 2:4], VOLUMES[:, 2:4] = 1, 1
HEADER = (0.9, 1.2, 5.0)


@pytest.mark.parametrize(
    "segmentation, options",
    [
        (ONE_HOT_2D, {"spacing_mm": HEADER}),
        (ONE_HOT_2D, {"spacing_mm": HEADER[:1]}),
        (ONE_HOT_3D, {"spacing_mm": HEADER[:2]}),
        (ONE_HOT_2D[0], {"spacing_mm": HEADER[:2]}),
        (ONE_HOT_2D[0], {}),
        (ONE_HOT_2D, {"spacing_mm": [HEADER] * 2}),
        (SLICES, {}),
        (SLICES, {"spacing_mm": HEADER[:2]}),
        (VOLUMES, {}),
        (SLICES, {"num_classes": 4, "spacing_mm": HEADER}),  # maps of (4, 4, ...) either way
        (SLICES[:1], {"num_classes": 2, "spacing_mm": HEADER}),
        (SLICES[:, None], {"num_classes": 2, "spacing_mm": HEADER}),
        (SLICES, {"num_classes": 2, "spacing_mm": HEADER[:1]}),
        (SLICES, {"num_classes": 2, "spacing_mm": [HEADER] * 4}),
        (SLICES[0], {"num_classes": 2}),
        (SLICES[0], {"num_classes": 2, "spacing_mm": HEADER[:1]}),
        (VOLUMES, {"num_classes": 2, "spacing_mm": HEADER[:2]}),
        (VOLUMES[:, None, None], {"num_classes": 2}),
        (ONE_HOT_3D, {"num_classes": 4}),
        (ONE_HOT_2D, {"num_classes": 4}),
    ],
)
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_a_shape_that_could_mean_two_things_is_refused(segmentation, options, kind):
    with pytest.raises(ValueError, match=r"could mean several things|could be one-hot|is one-hot") as refused:
        signed_distance(kind(segmentation), **options)
    assert "spatial_dims=" in str(refused.value)


def test_spatial_dims_says_what_is_meant(labels):
    one_hot = np.stack([labels == k for k in range(3)], axis=1)
    expected = signed_distance(labels, HEADER[:2], num_classes=3)
    np.testing.assert_array_equal(signed_distance(one_hot[0], HEADER[:2], spatial_dims=2), expected[0])
    np.testing.assert_array_equal(signed_distance(one_hot[None], HEADER[:2], spatial_dims=2)[0], expected)
    thin = signed_distance(labels[:, None], (7.0, *HEADER[:2]), num_classes=3, spatial_dims=3)
    np.testing.assert_array_equal(thin, expected[:, :, None])
    regions = np.stack([labels > 0, labels > 1], axis=1)  # overlapping, and without a background
    np.testing.assert_array_equal(signed_distance(regions, [1.0, 1.0]), signed_distance(regions, spatial_dims=2))


LABEL_TYPES = ["?", "u1", "i1", ">i2", "<u2", ">u2", "u4", "i8", "u8", "f2", ">f4", "f8", "g"]


@pytest.mark.parametrize("kind", LABEL_TYPES)
def test_labels_of_every_type_and_with_a_channel(kind):
    slices, volumes = (np.random.default_rng(0).integers(0, 2, shape) for shape in [(3, 6, 9), (2, 4, 6, 5)])
    for labels, spacing in ((slices, HEADER[:2]), (volumes, HEADER)):
        expected = signed_distance(labels, spacing, num_classes=2)
        given = labels.astype(kind)
        for form in (given, given[:, None]):
            np.testing.assert_array_equal(signed_distance(form, spacing, num_classes=2), expected)
        one_hot = np.stack([given == 0, given == 1], axis=1).astype(kind)
        np.testing.assert_array_equal(signed_distance(one_hot, spacing), expected)
        np.testing.assert_array_equal(dist_map_transform(spacing, 2)(given[0]).numpy(), expected[0])
        assert signed_distance(given[:, None], num_classes=2).shape == expected.shape


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64, torch.bfloat16, torch.half])
def test_tensors_of_labels_of_every_type(dtype):
    labels = torch.from_numpy(SLICES)
    torch.testing.assert_close(signed_distance(labels.to(dtype), num_classes=2), signed_distance(labels, num_classes=2))


@pytest.mark.parametrize("of", [np.uint8, np.int64, np.float32])
def test_masks_of_0_and_255_are_refused(of):
    labels = (255 * SLICES).astype(of)
    for hopeless in (labels, labels[:1, 2:4]):
        with pytest.raises(ValueError, match=r"only 0 and 255, .*give segmentation > 0; .* ignore_index=255"):
            signed_distance(hopeless, num_classes=2)
    with pytest.raises(ValueError, match=r"only 0 and 255, .*give image > 0; .*ignore_index=255"):
        dist_map_transform([1, 1], 2)(labels[0])
    expected = signed_distance(np.zeros_like(SLICES), num_classes=2, mask=SLICES == 0, absent="far")
    for asked in ({"mask": labels != 255}, {"ignore_index": 255}):
        np.testing.assert_array_equal(signed_distance(labels, num_classes=2, absent="far", **asked), expected)
    assert not dist_map_transform([1, 1], 2, ignore_index=255)(labels[0]).any()
    np.testing.assert_array_equal(signed_distance(labels > 0, num_classes=2), signed_distance(SLICES, num_classes=2))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_what_does_not_count_may_hold_anything(convention, dtype):
    """A mask is the same as the ignored label where it is False, in labels and in one-hot."""
    rng = np.random.default_rng(1)
    labels, counted = rng.integers(0, 3, (2, 7, 9)).astype(dtype), rng.random((2, 7, 9)) < 0.7
    counted[1] = True
    options = {"convention": convention, "absent": "far"}
    expected = signed_distance(np.where(counted, labels, 255), (0.7, 1.3), num_classes=3, **options)
    assert expected.any()
    one_hot = np.stack([labels == k for k in range(3)], axis=1)
    for form in (counted, counted[:, None]):
        found = [
            signed_distance(np.where(counted, labels, 77), (0.7, 1.3), num_classes=3, mask=form, **options),
            signed_distance(labels, (0.7, 1.3), num_classes=3, mask=form, ignore_index=None, **options),
            signed_distance(one_hot, (0.7, 1.3), mask=form, **options),
            signed_distance(one_hot | ~counted[:, None], (0.7, 1.3), mask=form, **options),
        ]
        for maps in found:
            np.testing.assert_array_equal(maps, expected)
    np.testing.assert_array_equal(
        signed_distance(one_hot, (0.7, 1.3), mask=counted, classes=[2], **options)[:, 2], expected[:, 2]
    )
    both = signed_distance(np.where(labels == 1, 255, labels), num_classes=3, mask=counted, **options)
    either = signed_distance(labels, num_classes=3, mask=counted & (labels != 1), **options)
    np.testing.assert_array_equal(both, either)


@pytest.mark.parametrize(
    "mask, complaint",
    [
        (np.ones((4, 6, 9), np.uint8), r"mask must be bool, .*got torch\.uint8"),
        (np.ones((4, 9, 6), bool), r"shape \(4, 6, 9\) or \(4, 1, 6, 9\), got \(4, 9, 6\)"),
    ],
)
def test_bad_masks_are_explained(mask, complaint):
    with pytest.raises(ValueError, match=complaint):
        signed_distance(SLICES, num_classes=2, mask=mask)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_where_there_are_no_voxels_there_are_no_distances(shape):
    assert signed_distance(np.zeros(shape, np.uint16), num_classes=2).shape == (shape[0], 2, *shape[1:])
    assert signed_distance(torch.zeros(2, *shape)).shape == (2, *shape)
    options = {"normalise": "sides", "absent": "far", "max_distance": 2.0}
    assert signed_distance(np.zeros(shape), num_classes=2, mask=np.ones(shape, bool), **options).shape[1] == 2
    assert euclidean_distance(np.zeros(shape), spatial_dims=2).shape == shape


@pytest.mark.parametrize(
    "seg, resolution, complaint",
    [
        (np.ones((2, 3, 3)), None, "overlapping"),
        (ONE_HOT_2D[:1], None, "or a batch"),
        (ONE_HOT_2D, None, "or a batch"),
        (SLICES[0], None, r"\(K, X, Y\[, Z\]\), got shape \(6, 9\)"),
        (ONE_HOT_2D[0], HEADER, "resolution must be one number for each spatial axis"),
        (ONE_HOT_3D[0], HEADER[:2], "resolution must be"),
        (ONE_HOT_2D[0], (1.0, -1.0), "resolution must be positive"),
        (0.5 * ONE_HOT_2D[0], None, "zeros and ones"),
    ],
)
def test_one_hot_is_checked(seg, resolution, complaint):
    with pytest.raises(ValueError, match=complaint):
        one_hot2dist(seg, resolution)


def test_messages_name_the_callers_keywords():
    with pytest.raises(ValueError, match=r"^K must be a number of classes, as 2, got 2\.5"):
        dist_map_transform([1, 1], 2.5)
    for name in ("ignore_index", "max_distance"):
        with pytest.raises(ValueError, match=f"^{name} must be"):
            signed_distance(SLICES, num_classes=2, **{name: "x"})


@pytest.mark.parametrize("resolution", [1.0, None, (1, 0), ["a", "b"], [[1, 1]]])
def test_a_transform_refuses_a_resolution_that_is_none(resolution):
    with pytest.raises(ValueError, match="resolution must"):
        dist_map_transform(resolution, 2)
