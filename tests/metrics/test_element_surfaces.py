import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import marching_cubes

from boundary_loss import measure
from boundary_loss.metrics import diagonal_mm, surface_distances
from boundary_loss.metrics.cells import cell_codes, element_sizes, elements, mixed
from boundary_loss.metrics.element_surfaces import OF_ELEMENTS, Mesh, SmoothMesh, Surfels, surfel_sizes
from boundary_loss.metrics.nearest import by_trees, nearest, nearest_weights
from boundary_loss.native import triangles as compiled

KINDS = tuple(OF_ELEMENTS)
SPACINGS = {2: (0.7, 1.9), 3: (0.8, 1.2, 3.1)}

RECORDED = {
    2: (
        [5.44575523, 4.93077070, 0.98526006, 1.23758427, 1.39688734, 1.09000951, 0.67874796],
        [5.60000000, 4.60977223, 0.70000000, 1.04730000, 1.18370565, 0.92093689, 0.63535650],
    ),
    3: (
        [5.82799756, 3.82099463, 1.10758117, 1.21356964, 1.45310444, 0.87548633, 0.66133945],
        [6.05309838, 3.60000000, 0.80000000, 0.89120267, 1.12411371, 0.56108546, 0.72961160],
    ),
}
"""By number of axes: what the two packages make of ``pair(..., seed=3)``, in the order of ``values``."""


def blob(seed, shape, smooth=1.0, level=0.8):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), smooth)
    return noise / noise.std() > level


def pair(shape=(9, 7, 5), seed=0):
    return blob(seed, shape), blob(seed + 1, shape)


def values(distances):
    return np.array([
        distances.hausdorff, distances.hd95, distances.percentile(50, directed=True), distances.assd,
        *distances.averages, distances.surface_dice(1.37),
    ])  # fmt: skip


@st.composite
def pairs(draw):
    axes = draw(st.sampled_from([2, 3]))
    shape = tuple(draw(st.integers(2, 7)) for _ in range(axes))
    masks = [np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))) for n in [int(np.prod(shape))] * 2]
    for mask in masks:
        mask[draw(st.integers(0, mask.size - 1))] = True
    return [mask.reshape(shape) for mask in masks]


def test_codes_name_the_corners_of_cells():
    mask = np.zeros((2, 2, 2), bool)
    mask[0, 1, 0] = mask[1, 1, 1] = True
    codes = cell_codes(mask)
    assert codes.shape == (3, 3, 3) and codes[1, 1, 1] == 0b00100001
    assert codes[0, 1, 0] == 0b00000001  # its last corner is the voxel (0, 1, 0), the others lie outside
    assert mixed(np.array([0, 1, 254, 255], np.uint8), 3).tolist() == [False, True, True, False]
    assert mixed(np.array([0, 1, 14, 15], np.uint8), 2).tolist() == [False, True, True, False]


def test_surfaces_are_closed():
    """Each edge of a triangle belongs to an even number of them, and each end of a segment to two segments."""
    mesh = Mesh(np.random.default_rng(0).random((6, 7, 5)) < 0.5)
    corners = np.round(2 * mesh.corners).astype(int)
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    edges = np.array([sorted(map(tuple, edge)) for edge in edges.tolist()])
    assert (np.unique(edges.reshape(-1, 6), axis=0, return_counts=True)[1] % 2 == 0).all()
    ends = Mesh(np.random.default_rng(0).random((9, 8)) < 0.5).corners.reshape(-1, 2)
    assert (np.unique(ends, axis=0, return_counts=True)[1] == 2).all()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 2.0, 3.3)])
def test_areas_of_cells_are_scikit_images(spacing):
    """Another table of marching cubes: of the classic ambiguities resolved alike, the areas are the same."""
    table = elements(3)
    for code in range(1, 255, 3):
        mask = np.array([code >> bit & 1 for bit in reversed(range(8))], np.float32).reshape(2, 2, 2)
        vertices, faces, _, _ = marching_cubes(mask, 0.5, spacing=spacing, method="lorensen", allow_degenerate=False)
        own = table.corners[table.first[code] : table.first[code + 1]] / 2 * np.array(spacing)
        assert element_sizes(own).sum() == pytest.approx(element_sizes(vertices[faces]).sum(), abs=1e-5)


def test_a_surfel_and_its_opposite_have_the_same_area():
    for spacing in SPACINGS.values():
        sizes = surfel_sizes(spacing)
        assert sizes == pytest.approx(sizes[::-1]) and sizes[0] == 0 and (sizes[1:-1] > 0).all()
    assert surfel_sizes((1.0, 1.0, 1.0))[0b11110000] == pytest.approx(1)  # a plane between four voxels
    assert surfel_sizes((1.0, 2.0, 3.0))[0b11110000] == pytest.approx(6)
    assert surfel_sizes((1.0, 1.0))[0b1000] == pytest.approx(np.sqrt(0.5))


def test_one_voxel_is_an_octahedron():
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    mesh = Mesh(mask, (1.0, 2.0, 3.0))
    lengths = np.array([0.5, 1.0, 1.5])  # half axes
    assert len(mesh.corners) == 8
    normal = np.array([lengths[1] * lengths[2], lengths[0] * lengths[2], lengths[0] * lengths[1]])
    assert mesh.sizes == pytest.approx(np.full(8, np.linalg.norm(normal) / 2))
    assert Surfels(mask, (1.0, 2.0, 3.0)).sizes == pytest.approx(mesh.sizes)


def test_distances_to_triangles_are_those_of_every_triangle():
    triangles = pytest.importorskip("trimesh.triangles")
    pred, gt = (Mesh(mask, SPACINGS[3]) for mask in pair())
    points = pred.corners[::3].mean(axis=1)
    expected = [
        np.linalg.norm(triangles.closest_point(gt.corners, np.tile(point, (len(gt.corners), 1))) - point, axis=1)
        for point in points
    ]
    for way in (nearest, by_trees):
        distances, numbers = way(points, gt.corners)
        assert distances == pytest.approx(np.min(expected, axis=1), abs=1e-9)
        assert np.array(expected)[np.arange(len(points)), numbers] == pytest.approx(distances, abs=1e-9)


def test_the_nearest_place_of_a_triangle_against_trimesh():
    trimesh = pytest.importorskip("trimesh")
    rng = np.random.default_rng(0)
    triangles, points = rng.normal(size=(500, 3, 3)), 2 * rng.normal(size=(500, 3))
    weights = nearest_weights(points, triangles)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    found = np.einsum("pc,pci->pi", weights, triangles)
    np.testing.assert_allclose(found, trimesh.triangles.closest_point(triangles, points), atol=1e-9)


def test_distances_to_segments_are_those_of_every_segment():
    pred, gt = (Mesh(mask, SPACINGS[2]) for mask in pair((11, 8)))
    start, side = gt.corners[:, 0], gt.corners[:, 1] - gt.corners[:, 0]
    points = pred.corners.mean(axis=1)[:, None]
    share = ((points - start) * side).sum(axis=-1) / (side**2).sum(axis=-1)
    expected = np.linalg.norm(points - start - share.clip(0, 1)[..., None] * side, axis=-1).min(axis=1)
    assert nearest(points[:, 0], gt.corners)[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", [(14, 9, 6), (17, 12)])
def test_trees_find_what_the_kernel_finds(shape, monkeypatch):
    pred, gt = pair(shape)
    found = [surface_distances(pred, gt, SPACINGS[len(shape)], surface="mesh")]
    monkeypatch.setattr(compiled, "available", lambda: False)
    found.append(surface_distances(pred, gt, SPACINGS[len(shape)], surface="mesh"))
    assert found[0].from_pred == pytest.approx(found[1].from_pred, abs=1e-9)
    assert found[0].from_gt == pytest.approx(found[1].from_gt, abs=1e-9)


def test_triangles_of_many_sizes_and_without_area():
    """Long ones among short ones, a needle, a point: still the nearest."""
    rng = np.random.default_rng(0)
    corners = rng.normal(size=(60, 3, 3)) * 10.0 ** rng.integers(-3, 2, size=(60, 1, 1))
    corners[0, 1] = corners[0, 2]
    corners[1] = corners[1, 0]
    points = np.concatenate([rng.normal(size=(200, 3)) * 5, corners[0].mean(axis=0)[None], corners[1, :1]])
    kernel, trees = nearest(points, corners), by_trees(points, corners)
    assert kernel[0] == pytest.approx(trees[0], abs=1e-9)
    assert kernel[0][-2:] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@given(masks=pairs())
@settings(deadline=None, max_examples=40)
def test_laws(kind, masks):
    pred, gt = masks
    spacing = np.array(SPACINGS[pred.ndim])
    found = surface_distances(pred, gt, spacing, surface=kind)
    ours, order = values(found), [0, 1, 2, 3, 5, 4, 6]
    close = {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(values(surface_distances(gt, pred, spacing, surface=kind))[order], ours, **close)
    wider = [np.pad(mask, [(2, 3)] * mask.ndim) for mask in masks]
    np.testing.assert_allclose(values(surface_distances(*wider, spacing, surface=kind)), ours, **close)
    longer = values(surface_distances(pred, gt, 3 * spacing, surface=kind))
    np.testing.assert_allclose(longer[:-1], 3 * ours[:-1], **close)
    assert surface_distances(pred, gt, 3 * spacing, surface=kind).surface_dice(3 * 1.37) == pytest.approx(ours[-1])
    assert values(surface_distances(gt, gt, spacing, surface=kind)).tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert ours[2] <= ours[1] <= ours[0] and min(ours[4:6]) - 1e-9 <= ours[3] <= max(ours[4:6]) + 1e-9
    assert ours[0] <= diagonal_mm(np.array(pred.shape) + 1, spacing)


@given(masks=pairs())
@settings(deadline=None, max_examples=40)
def test_surfels_are_the_same_whichever_way_the_image_lies(masks):
    pred, gt = masks
    spacing = np.array(SPACINGS[pred.ndim])
    ours = values(surface_distances(pred, gt, spacing, surface="surfel"))
    for turn, steps in ((np.flip, spacing), (np.transpose, spacing[::-1])):
        turned = surface_distances(turn(pred), turn(gt), steps, surface="surfel")
        np.testing.assert_allclose(values(turned), ours, rtol=1e-9, atol=1e-9)


def test_a_mirrored_image_has_nearly_the_same_mesh():
    """Polygons are cut into triangles as VTK cuts them, which is another way in a mirrored cell."""
    pred, gt = pair((24, 20, 16))
    spacing = np.array(SPACINGS[3])
    ours = values(surface_distances(pred, gt, spacing, surface="mesh"))
    mirrored = values(surface_distances(pred[::-1], gt[::-1], spacing, surface="mesh"))
    turned = values(surface_distances(pred.T, gt.T, spacing[::-1], surface="mesh"))
    np.testing.assert_allclose(mirrored, ours, rtol=0.02)
    np.testing.assert_allclose(turned, ours, rtol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_parallel_planes_and_boxes_that_reach_the_edge(kind):
    """The surface is closed at the image's edge: two full images of planes differ on five sides."""
    pred, gt = np.zeros((2, 12, 40, 40), bool)
    pred[:4], gt[:6] = True, True
    distances = surface_distances(pred, gt, (1.5, 1.0, 1.0), surface=kind)
    assert distances.hausdorff == pytest.approx(3.0)
    assert 0 < distances.assd < 3
    full = np.ones((4, 5, 6), bool)
    assert values(surface_distances(full, full, surface=kind)).tolist() == [0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("pred_empty", "gt_empty", "expected"), [(1, 1, 0.0), (1, 0, 13.0), (0, 1, 13.0)])
def test_the_empty_mask_rule(kind, pred_empty, gt_empty, expected):
    one = np.zeros((5, 6), bool)
    one[2, 2] = True
    pred, gt = (one & False if empty else one for empty in (pred_empty, gt_empty))
    distances = surface_distances(pred, gt, (1.0, 2.0), surface=kind)  # 5 mm x 12 mm
    assert distances.rule == expected
    assert values(distances).tolist() == [expected] * 6 + [0.0 if expected else 1.0]


@pytest.mark.parametrize("kind", KINDS)
def test_measure_gives_what_the_distances_give(kind):
    pred, gt = (blob(seed, (9, 7, 5), level=0.3).astype(int) for seed in (0, 1))
    counted = np.ones(gt.shape, bool)
    counted[:2] = False
    names = [f"{name}_{kind}" for name in ("hausdorff", "hd95", "hd50", "assd", "nsd")]
    found = measure(pred, gt, SPACINGS[3], metrics=names, mask=counted)
    distances = surface_distances(pred, gt, SPACINGS[3], mask=counted, surface=kind)
    expected = [distances.hausdorff, distances.hd95, distances.percentile(50, directed=True), distances.assd]
    assert [found[name][1] for name in names] == [*expected, distances.surface_dice(2.0)]


def test_percentiles_are_of_area():
    distances = surface_distances(*pair(), SPACINGS[3], surface="mesh")
    for percent in (5, 50, 95):
        longest = distances.percentile(percent, directed=True)
        shares = [
            sizes[found <= longest].sum() / sizes.sum()
            for found, sizes in ((distances.from_pred, distances.of_pred), (distances.from_gt, distances.of_gt))
        ]
        assert min(shares) >= percent / 100 - 1e-12
    pooled = distances.percentile(95)
    assert distances.percentile(95, directed=True) >= pooled > 0


def test_a_tolerance_takes_in_what_rounding_made_longer():
    pred, gt = np.zeros((2, 3, 30), bool)
    pred[1, 1:5], gt[1, 1:12] = True, True
    distances = surface_distances(pred, gt, (1.0, 0.1), surface="surfel")
    assert distances.hausdorff == pytest.approx(0.7)
    assert distances.surface_dice(distances.hausdorff) == distances.surface_dice(0.7 - 1e-12) == 1


def test_equal_to_recorded_numbers():
    """Of pymeshmetrics 1.4.1 (VTK 9.7) and surface-distance 0.1, measured on these masks."""
    for axes, (of_mesh, of_surfels) in RECORDED.items():
        pred, gt = pair((14, 11, 8)[:axes], seed=3)
        mesh, surfels = (surface_distances(pred, gt, SPACINGS[axes], surface=kind) for kind in ("mesh", "surfel"))
        assert values(mesh) == pytest.approx(of_mesh, abs=1e-6)
        assert values(surfels) == pytest.approx(of_surfels, abs=1e-6)


@pytest.mark.parametrize("axes", [2, 3])
def test_equals_installed_pymeshmetrics(axes):
    meshmetrics = pytest.importorskip("meshmetrics")
    for seed in range(4):
        pred, gt = pair((18, 15, 9)[:axes], seed)
        theirs = meshmetrics.DistanceMetrics(verbose=False)
        theirs.set_input(ref=gt, pred=pred, spacing=SPACINGS[axes])
        ours = surface_distances(pred, gt, SPACINGS[axes], surface="mesh")
        assert ours.hausdorff == pytest.approx(theirs.hd(), abs=1e-6)
        assert ours.hd95 == pytest.approx(theirs.hd(95), abs=1e-6)
        assert ours.assd == pytest.approx(theirs.assd(), abs=1e-6)
        assert sum(ours.averages) / 2 == pytest.approx(theirs.masd(), abs=1e-6)
        assert ours.surface_dice(1.37) == pytest.approx(theirs.nsd(1.37), abs=1e-6)


@pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")
@pytest.mark.parametrize("axes", [2, 3])
def test_equals_installed_surface_distance(axes):
    deepmind = pytest.importorskip("surface_distance")
    for seed in range(4):
        pred, gt = pair((18, 15, 9)[:axes], seed)
        theirs = deepmind.compute_surface_distances(gt, pred, SPACINGS[axes])
        ours = surface_distances(pred, gt, SPACINGS[axes], surface="surfel")
        assert ours.averages[::-1] == pytest.approx(deepmind.compute_average_surface_distance(theirs), abs=1e-6)
        assert ours.hd95 == pytest.approx(deepmind.compute_robust_hausdorff(theirs, 95), abs=1e-6)
        assert ours.surface_dice(1.37) == pytest.approx(
            deepmind.compute_surface_dice_at_tolerance(theirs, 1.37), abs=1e-6
        )


def test_bad_input_is_explained():
    one = np.ones((2, 3, 4), bool)
    with pytest.raises(ValueError, match="surface='voxels' is not understood; known: voxel, surfel, mesh, smooth"):
        surface_distances(one, one, surface="voxels")
    for kind in KINDS:
        with pytest.raises(ValueError, match=r"need a mask \(X, Y\) or \(X, Y, Z\), got shape \(4,\)"):
            surface_distances(one[0, 0], one[0, 0], surface=kind)
        with pytest.raises(ValueError, match="cannot be compared"):
            OF_ELEMENTS[kind](one).distances(OF_ELEMENTS[kind](one, (1.0, 1.0, 2.0)))
    for name in ("assd_meshes", "hd95_directed_mesh", "iou_mesh", "hd101_surfel"):
        with pytest.raises(ValueError, match="unknown metric"):
            measure(one, one, (1, 1, 1), metrics=[name])


def ball(shape, spacing, radius, shift=0.0):
    grid = np.ogrid[tuple(slice(0, size) for size in shape)]
    middle = [(size - 1) / 2 * step + shift for size, step in zip(shape, spacing)]
    return sum((axis * step - at) ** 2 for axis, step, at in zip(grid, spacing, middle)) <= radius**2


@pytest.mark.parametrize(
    ("spacing", "limit"), [((1.0, 1.0, 1.0), 0.03), ((0.7, 0.7, 1.4), 0.03), ((0.8, 0.8, 3.0), 0.06)]
)
def test_between_concentric_balls_the_smooth_mesh_is_nearest_to_the_truth(spacing, limit):
    shape = [int(36 / step) for step in spacing]
    error = {kind: [] for kind in KINDS}
    for inner, outer, shift in ((12, 13.5, 0.1), (10, 12, 0.3), (13, 16, 0.2)):
        balls = [ball(shape, spacing, radius, shift) for radius in (inner, outer)]
        for kind in KINDS:
            found = surface_distances(*balls, spacing, surface=kind)
            error[kind].append(abs(found.assd / (outer - inner) - 1))
    mean = {kind: float(np.mean(errors)) for kind, errors in error.items()}
    assert mean["smooth"] < limit and mean["smooth"] < mean["mesh"] < mean["surfel"]


def test_smoothing_keeps_area_and_volume_of_a_ball():
    spacing = (0.8, 1.0, 1.25)
    mask = ball((36, 30, 24), spacing, 11.0, 0.2)
    assert SmoothMesh(mask, spacing).sizes.sum() == pytest.approx(4 * np.pi * 11**2, rel=0.02)
    assert Mesh(mask, spacing).sizes.sum() > 1.06 * 4 * np.pi * 11**2


def test_smoothing_keeps_what_is_small_or_thin():
    """Limits: one voxel keeps its octahedron, and of a thin tube at a large body all triangles remain."""
    one = np.zeros((5, 5, 5), bool)
    one[2, 2, 2] = True
    assert SmoothMesh(one).corners == pytest.approx(Mesh(one).corners)
    body = np.zeros((30, 20, 20), bool)
    body[3:15, 3:17, 3:17] = True
    tube = body.copy()
    tube[15:27, 10, 10] = True
    smooth, rough = SmoothMesh(tube), Mesh(tube)
    assert len(smooth.corners) == len(rough.corners) and smooth.corners[..., 0].max() > 26
    missed = [surface_distances(body, tube, surface=kind).hausdorff for kind in ("mesh", "smooth")]
    assert missed[0] == pytest.approx(12, abs=0.5) and 0 <= missed[0] - missed[1] <= 1  # each end gives 0.35 at most
    lone = body.copy()
    lone[26, 10, 10] = (
        True  # beside a large body the level is its own: the voxel is drawn too small, and is still there
    )
    assert surface_distances(body, lone, surface="smooth").hausdorff == pytest.approx(12, abs=1)
    assert SmoothMesh(lone).sizes.min() > 0


@given(masks=pairs())
@settings(deadline=None, max_examples=30)
def test_smooth_places_stay_between_the_same_voxels(masks):
    spacing = np.array(SPACINGS[masks[0].ndim])
    smooth, rough = SmoothMesh(masks[0], spacing), Mesh(masks[0], spacing)
    moved = np.abs(smooth.corners - rough.corners) / spacing
    assert moved.max() <= 0.35 + 1e-9 and (np.count_nonzero(moved > 1e-9, axis=-1) <= 1).all()
