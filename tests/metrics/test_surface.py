import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from boundary_loss.metrics import Surface, diagonal_mm, surface
from boundary_loss.metrics.border_distances import SurfaceDistances
from boundary_loss.metrics.borders import border, border_in_slices, bounding_box
from boundary_loss.metrics.surface import surface_distances

SPACINGS = {2: (0.7, 1.3), 3: (0.9, 1.1, 5.0)}
METRICS = ("hausdorff", "hd95", "hd95_directed", "assd")


@st.composite
def pairs(draw, *, empty=False):
    shape = draw(st.sampled_from([(5, 8), (1, 6), (4, 3, 6), (7, 7)]))
    sparse = st.sampled_from([False, False, False, True])
    pred, gt = (draw(arrays(bool, shape, elements=draw(st.sampled_from([st.booleans(), sparse])))) for _ in "pg")
    if not empty:
        assume(pred.any() and gt.any())
    return pred, gt


def by_maps(pred, gt, spacing):
    """The definition, written as whole-image distance maps: what medpy does."""
    borders = [m ^ ndimage.binary_erosion(m, ndimage.generate_binary_structure(m.ndim, 1)) for m in (pred, gt)]
    to_pred, to_gt = (ndimage.distance_transform_edt(~b, sampling=spacing) for b in borders)
    return SurfaceDistances(to_gt[borders[0]], to_pred[borders[1]])


def by_hand(pred, gt, spacing):
    """Every border voxel against every other, without SciPy."""

    def border_points(mask):
        points = []
        for index in product(*map(range, mask.shape)):
            neighbours = [(*index[:a], index[a] + s, *index[a + 1 :]) for a in range(mask.ndim) for s in (-1, 1)]
            outside = [n for n in neighbours if min(n) < 0 or any(i >= s for i, s in zip(n, mask.shape)) or not mask[n]]
            if mask[index] and outside:
                points.append(np.multiply(index, spacing))
        return np.array(points)

    p, g = border_points(pred), border_points(gt)
    table = np.sqrt(((p[:, None] - g[None]) ** 2).sum(-1))
    return SurfaceDistances(table.min(1), table.min(0))


def values(distances):
    return [getattr(distances, name) for name in METRICS]


@given(pairs())
@settings(deadline=None)
def test_equals_the_definition(pair):
    spacing = SPACINGS[pair[0].ndim]
    ours = values(surface_distances(*pair, spacing))
    np.testing.assert_allclose(ours, values(by_maps(*pair, spacing)), atol=1e-6)
    np.testing.assert_allclose(ours, values(by_hand(*pair, spacing)), atol=1e-6)


@given(pairs())
@settings(deadline=None)
def test_tree_and_map_agree(pair):
    a, b = (Surface(mask, SPACINGS[mask.ndim]) for mask in pair)
    box = surface._joint_box(a, b)
    for one, other in ((a, b), (b, a)):
        by_tree = surface._by_tree(one, other, surface._away(one, other))
        np.testing.assert_allclose(by_tree, surface._by_map(one, other, box), atol=1e-9)


@given(pairs(empty=True))
@settings(deadline=None)
def test_laws(pair):
    pred, gt = pair
    spacing = np.array(SPACINGS[pred.ndim])
    ours = values(surface_distances(pred, gt, spacing))
    close = {"atol": 1e-9}
    np.testing.assert_allclose(values(surface_distances(gt, pred, spacing)), ours, **close)
    np.testing.assert_allclose(values(surface_distances(pred[::-1], gt[::-1], spacing)), ours, **close)
    np.testing.assert_allclose(values(surface_distances(pred.T, gt.T, spacing[::-1])), ours, **close)
    np.testing.assert_allclose(values(surface_distances(pred, gt, 3 * spacing)), 3 * np.array(ours), **close)
    assert values(surface_distances(gt, gt, spacing)) == [0, 0, 0, 0]
    assert 0 <= ours[3] <= ours[0] + 1e-9 and ours[1] <= ours[0] + 1e-9 and ours[2] <= ours[0] + 1e-9
    assert ours[0] <= diagonal_mm(pred.shape, spacing)


@given(pairs())
@settings(deadline=None)
def test_surroundings_do_not_matter(pair):
    spacing = SPACINGS[pair[0].ndim]
    wider = [np.pad(mask, [(2, 5)] * mask.ndim) for mask in pair]
    np.testing.assert_allclose(
        values(surface_distances(*wider, spacing)), values(surface_distances(*pair, spacing)), atol=1e-9
    )


def test_one_voxel_each():
    pred, gt = np.zeros((2, 6, 7, 4), bool)
    pred[1, 1, 1] = gt[4, 5, 1] = True
    assert values(surface_distances(pred, gt, (1.0, 0.75, 9.0))) == pytest.approx([np.hypot(3, 3)] * 4)


def test_pooled_and_directed_hd95_differ():
    pred, gt = np.zeros((2, 1, 200), bool)
    gt[0, :100:2] = True
    pred[0, :100:2] = True
    pred[0, 110:119:2] = True  # far off: 5 of the prediction's 55 border voxels, 5 of both sides' 105
    distances = surface_distances(pred, gt)
    assert distances.hausdorff == 20
    assert distances.hd95_directed == pytest.approx(14.6)
    assert distances.hd95 == 0


@pytest.mark.parametrize(("pred_empty", "gt_empty", "expected"), [(1, 1, 0.0), (1, 0, 13.0), (0, 1, 13.0)])
def test_the_empty_mask_rule(pred_empty, gt_empty, expected):
    one = np.zeros((5, 6), bool)
    one[2, 2] = True
    pred, gt = (one & False if empty else one for empty in (pred_empty, gt_empty))
    distances = surface_distances(pred, gt, (1.0, 2.0))  # 5 mm x 12 mm
    assert values(distances) == [expected] * 4
    assert distances.rule == expected
    assert surface_distances(one, one).rule is None


def test_full_masks_have_the_image_border_as_surface():
    full, hole = np.ones((4, 5), bool), np.ones((4, 5), bool)
    hole[1, 2] = False
    assert values(surface_distances(full, full)) == [0] * 4
    assert surface_distances(full, hole).hausdorff == 1
    assert border(full).sum() == 14 and border(np.ones((1, 5), bool)).all()


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 7), (6,)])
def test_in_slices_the_border_of_a_full_mask_is_the_edge(shape):
    full, one = np.ones(shape, bool), np.zeros(shape, bool)
    one[tuple(n // 2 for n in shape)] = True
    found = border_in_slices(full)
    edge = np.stack([border(part) for part in full.T]).T if len(shape) == 3 else border(full)
    assert np.array_equal(found, edge)
    of_full, of_one = (Surface(mask, [1.0] * len(shape), border_in_slices) for mask in (full, one))
    distances = of_full.distances(of_one)
    assert distances.rule is None and distances.hausdorff < diagonal_mm(shape)
    assert of_full.distances(of_full).hausdorff == 0


def test_in_slices_the_border_of_a_mask_that_fills_some_is_their_edge():
    mask = np.zeros((4, 5, 3), bool)
    mask[..., 1] = True
    assert np.array_equal(border_in_slices(mask)[..., 1], border(mask[..., 1]))
    assert not border_in_slices(mask)[..., ::2].any()
    mask[1, 1, 0] = True
    assert border_in_slices(mask).sum() == 1  # as in the challenge, where there is any


def test_percentiles_are_numpys():
    pred, gt = np.random.default_rng(0).random((2, 9, 8)) < 0.3
    distances = surface_distances(pred, gt)
    pooled = np.concatenate([distances.from_pred, distances.from_gt])
    for percent in (0, 50, 99.5, 100):
        assert distances.percentile(percent) == np.percentile(pooled, percent)
        sides = [np.percentile(side, percent) for side in (distances.from_pred, distances.from_gt)]
        assert distances.percentile(percent, directed=True) == max(sides)
    assert distances.percentile(100) == distances.hausdorff
    with pytest.raises(ValueError, match="from 0 to 100, got 101"):
        distances.percentile(101)


def test_bounding_box():
    mask = np.zeros((4, 5, 6), bool)
    assert bounding_box(mask) is None
    mask[1, 2, 3] = mask[3, 2, 1] = True
    assert bounding_box(mask) == (slice(1, 4), slice(2, 3), slice(1, 4))


@pytest.mark.parametrize(("name", "spacing"), [("none", None), ("zfirst", (5.0, 0.9, 0.9))])
def test_equals_medpy_and_the_original_where_it_is_right(reference, name, spacing):
    for item, (pred, gt) in enumerate(zip(reference["hd3_pred_k2"], reference["hd3_gt_k2"])):
        distances = surface_distances(pred, gt, spacing)
        for ours, theirs in ((distances.hausdorff, "hd"), (distances.hd95, "hd95")):
            medpy = reference[f"medpy_{theirs}_3d_k2_{name}"][item, 1]
            original = reference[f"wrapper_{theirs}_3d_k2_{name}"][item, 1]
            if not np.isnan(medpy):
                assert ours == pytest.approx(medpy, abs=1e-6)
            if not np.isnan(original) and pred.any() | gt.any():  # both empty: theirs the diagonal, ours 0
                assert ours == pytest.approx(original, abs=1e-6)


@pytest.mark.parametrize("shape", [(40,), (23, 31), (9, 14, 11), (4, 5, 6, 3)])
def test_trees_and_maps_agree(shape, monkeypatch):
    """However the distances are found, by k-d trees, by our maps or by SciPy's, they are the same."""
    rng = np.random.default_rng(0)
    pred, gt, spacing = rng.random(shape) < 0.4, rng.random(shape) < 0.3, [0.7, 1.3, 5.0, 2.0][: len(shape)]
    found = []
    for crowded, has_kernels in ((np.inf, True), (-1, True), (-1, False)):
        monkeypatch.setattr(surface, "CROWDED", crowded)
        monkeypatch.setattr(surface, "CROWDED_FOR_SCIPY", crowded)
        if not has_kernels:
            monkeypatch.setattr(surface.compiled, "available", lambda: False)
        found.append(surface_distances(pred, gt, spacing))
    for other in found[1:]:
        np.testing.assert_allclose(other.from_pred, found[0].from_pred, rtol=1e-12)
        np.testing.assert_allclose(other.from_gt, found[0].from_gt, rtol=1e-12)


def test_equals_installed_medpy():
    binary = pytest.importorskip("medpy.metric.binary")
    rng = np.random.default_rng(0)
    for _ in range(3):
        pred, gt = (ndimage.gaussian_filter(rng.normal(size=(20, 30, 9)), 2) > 0.1 for _ in range(2))
        distances = surface_distances(pred, gt, (0.9, 1.1, 3.0))
        for ours, theirs in ((distances.hausdorff, binary.hd), (distances.hd95, binary.hd95),
                             (distances.assd, binary.assd)):  # fmt: skip
            assert ours == pytest.approx(theirs(pred, gt, (0.9, 1.1, 3.0)), abs=1e-6)


@pytest.mark.parametrize(
    ("pred", "gt", "spacing", "message"),
    [
        (np.zeros((3, 4)), np.zeros((4, 3)), None, "do not match"),
        (np.full((3, 4), 2), np.zeros((3, 4)), None, "zeros and ones, found values from 2 to 2"),
        (np.full((3, 4), np.nan), np.zeros((3, 4)), None, "zeros and ones"),
        (np.zeros((3, 4)), np.zeros((3, 4)), (1.0,), "2 positive numbers"),
        (np.zeros((3, 4)), np.zeros((3, 4)), (1.0, 0.0), "2 positive numbers"),
        (np.zeros((3, 4)), np.zeros((3, 4)), (1.0, np.nan), "2 positive numbers"),
        (np.ones(()), np.ones(()), None, "at least one axis"),
    ],
)
def test_bad_input_is_explained(pred, gt, spacing, message):
    with pytest.raises(ValueError, match=message):
        surface_distances(pred, gt, spacing)


def test_surfaces_of_different_images_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        Surface(np.ones((3, 4))).distances(Surface(np.ones((3, 4)), (1.0, 2.0)))


def test_metrics_load_without_torch():
    check = "import sys, boundary_loss.metrics, boundary_loss.evaluate.__main__; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", check], env=environment, check=False).returncode == 0
