"""Surfaces of voxels: closed, oriented, of the right size, wherever the volume lies."""

import io

import numpy as np
import pytest
from niftis import blob, turned
from scipy.spatial.transform import Rotation

from boundary_loss.command import Stop
from boundary_loss.meshes.distance import signed_distances
from boundary_loss.meshes.encoding import encode_obj, encode_ply
from boundary_loss.meshes.extraction import mask_surface, probability_surface
from boundary_loss.meshes.refinement import reduced, smoothed
from boundary_loss.meshes.surface import Surface, joined

SPACING = (0.7, 1.3, 1.9)
PLACES = {
    "straight": np.diag([*SPACING, 1.0]),
    "mirrored": np.diag([-0.7, 1.3, 1.9, 1.0]),
    "LPS": np.diag([-0.7, -1.3, 1.9, 1.0]),
    "rotated": turned(SPACING),
    "rotated and mirrored": turned(SPACING, left_handed=True),
    "axes exchanged": np.array([[0, 0, 1.9, 5], [0.7, 0, 0, -4], [0, 1.3, 0, 3], [0, 0, 0, 1.0]]),
}


def ball(radius_mm: float, spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Its signed depth in mm (X, Y, Z), positive inside, and its mask."""
    axes = [np.arange(-np.ceil(radius_mm / step) - 2, np.ceil(radius_mm / step) + 3) * step for step in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    depth = radius_mm - np.sqrt(x**2 + y**2 + z**2)
    return depth, depth > 0


def surface(mask: np.ndarray, affine: np.ndarray) -> Surface:
    found = mask_surface(mask, affine)
    assert found is not None
    return found


def softmax_of(depth: np.ndarray) -> np.ndarray:
    """(2, X, Y, Z): 1/2 where the depth is 0."""
    inside = 1 / (1 + np.exp(-depth))
    return np.stack([1 - inside, inside])


@pytest.mark.parametrize("place", PLACES)
def test_a_ball_of_voxels_has_its_volume_wherever_it_lies(place):
    found, straight = (surface(ball(20, SPACING)[1], PLACES[name]) for name in (place, "straight"))
    assert found.is_closed
    assert found.volume_mm3 == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.01)
    assert found.area_mm2 == pytest.approx(straight.area_mm2)


@pytest.mark.parametrize("radius", [12, 20, 31])
def test_the_steps_of_cubic_voxels_add_up_to_9_percent_of_area(radius):
    """At each radius: finer voxels do not mend it, smoothing does."""
    found = surface(ball(radius, (1, 1, 1))[1], np.eye(4))
    assert 1.05 < found.area_mm2 / (4 * np.pi * radius**2) < 1.1


@pytest.mark.parametrize("place", PLACES)
def test_probabilities_show_a_ball_without_steps(place):
    depth, mask = ball(20, SPACING)
    found = probability_surface(softmax_of(depth), 1, mask, PLACES[place])
    assert found is not None and found.is_closed
    assert found.volume_mm3 == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.01)
    assert found.area_mm2 == pytest.approx(4 * np.pi * 20**2, rel=0.01)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.8, 1.0])
def test_any_voxels_are_closed_and_oriented_also_for_trimesh(share):
    trimesh = pytest.importorskip("trimesh")
    mask = np.random.default_rng(3).random((9, 12, 5)) <= share
    for affine in PLACES.values():
        found = surface(mask, affine)
        theirs = trimesh.Trimesh(found.vertices, found.faces, process=False)
        assert theirs.is_watertight and theirs.is_winding_consistent and theirs.volume > 0
        assert found.is_closed
        assert found.volume_mm3 == pytest.approx(theirs.volume) and found.area_mm2 == pytest.approx(theirs.area)


def test_a_single_voxel_is_an_octahedron_around_its_centre():
    mask = np.zeros((3, 1, 4), bool)
    mask[2, 0, 3] = True
    found = surface(mask, PLACES["rotated and mirrored"])
    assert found.faces.shape == (8, 3) and found.is_closed
    centre = PLACES["rotated and mirrored"] @ [2, 0, 3, 1]
    np.testing.assert_allclose(found.vertices.mean(axis=0), centre[:3], atol=1e-4)
    assert found.volume_mm3 == pytest.approx(np.prod(SPACING) / 6, rel=0.01)


def test_what_fills_the_volume_is_closed_at_its_edge():
    found = surface(np.ones((6, 5, 4), bool), np.diag([2.0, 1.0, 3.0, 1.0]))
    assert found.is_closed
    np.testing.assert_allclose(found.vertices.min(axis=0), [-1, -0.5, -1.5], atol=0.01)
    np.testing.assert_allclose(found.vertices.max(axis=0), [11, 4.5, 10.5], atol=0.01)


def test_voxels_that_touch_at_an_edge_are_one_piece():
    trimesh = pytest.importorskip("trimesh")
    mask = np.zeros((2, 2, 2), bool)
    mask[0, 0, 0] = mask[1, 1, 0] = True
    found = surface(mask, np.eye(4))
    assert trimesh.Trimesh(found.vertices, found.faces, process=False).body_count == 1


def test_a_hole_is_taken_off_the_volume():
    mask = np.ones((9, 9, 9), bool)
    full = surface(mask, np.eye(4)).volume_mm3
    mask[3:6, 3:6, 3:6] = False
    hollow, hole = surface(mask, np.eye(4)), surface(~mask, np.eye(4))
    assert hollow.is_closed and full - hollow.volume_mm3 == pytest.approx(hole.volume_mm3, rel=0.01)


def test_nothing_has_no_surface():
    empty = np.zeros((3, 4, 5), bool)
    assert mask_surface(empty, np.eye(4)) is None
    probs = np.stack([np.full(empty.shape, 0.8), np.full(empty.shape, 0.2)])
    assert probability_surface(probs, 1, empty, np.eye(4)) is None


def rigid(seed: int) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    affine[:3, 3] = (103, -71.5, 12.25)
    return affine


@pytest.mark.parametrize("seed", [1, 2])
def test_moving_the_volume_moves_the_mesh(seed):
    moved = rigid(seed)
    for affine in PLACES.values():
        here, there = (smoothed(surface(blob((14, 11, 9)) > 0, a), 10) for a in (affine, moved @ affine))
        expected = here.vertices @ moved[:3, :3].T + moved[:3, 3]
        np.testing.assert_allclose(there.vertices, expected, atol=1e-6)
        assert np.array_equal(here.faces, there.faces)


def test_flipping_the_array_and_its_affine_changes_nothing():
    mask, affine = blob((14, 11, 9)) > 0, PLACES["rotated"]
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = mask.shape[0] - 1
    one, other = smoothed(surface(mask, affine), 4), smoothed(surface(mask[::-1], affine @ flip), 4)
    assert one.volume_mm3 == pytest.approx(other.volume_mm3, rel=1e-3)
    assert np.abs(signed_distances(one, other)).max() < 0.2


def test_pieces_that_the_labels_lack_are_left_out_of_probabilities():
    probs = np.full((3, 12, 8, 8), 0.1)
    probs[0] = 0.9
    probs[2, 1:4, 2:5, 2:5] = probs[2, 7:11, 2:6, 2:6] = 0.95
    kept = np.zeros((12, 8, 8), bool)
    kept[7:11, 2:6, 2:6] = True
    found = probability_surface(probs, 2, kept, np.eye(4))
    assert found is not None and found.is_closed and found.vertices[:, 0].min() > 6


def test_probabilities_at_the_edge_of_the_volume_are_closed():
    probs = np.stack([np.full((4, 4, 4), 0.1), np.full((4, 4, 4), 0.9)])
    found = probability_surface(probs, 1, np.ones((4, 4, 4), bool), np.eye(4))
    assert found is not None and found.is_closed and found.volume_mm3 > 50


def test_smoothing_takes_the_steps_and_keeps_the_volume():
    rough = surface(ball(20, (1, 1, 1))[1], np.eye(4))
    found = smoothed(rough, 20)
    assert found.is_closed
    assert found.volume_mm3 == pytest.approx(rough.volume_mm3, rel=0.005)
    assert found.area_mm2 == pytest.approx(4 * np.pi * 20**2, rel=0.02)
    assert smoothed(rough, 0) is rough


def test_fewer_triangles_stay_closed_and_near():
    pytest.importorskip("fast_simplification")
    fine = smoothed(surface(ball(20, (1, 1, 1))[1], turned((1, 1, 1), left_handed=True)), 20)
    found = reduced(fine, 1000)
    assert len(found.faces) <= 1000 and found.is_closed
    assert found.volume_mm3 == pytest.approx(fine.volume_mm3, rel=0.01)
    assert np.abs(signed_distances(fine, found)).max() < 0.5
    assert reduced(fine, 0) is fine and reduced(fine, len(fine.faces)) is fine


@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
def test_fewer_triangles_never_tear_a_surface(share):
    pytest.importorskip("fast_simplification")
    mask = np.random.default_rng(1).random((10, 9, 8)) < share
    fine = smoothed(surface(mask, np.eye(4)), 10)
    for faces in (4, 50, 400):
        assert reduced(fine, faces).is_closed


@pytest.mark.parametrize("missing", ["trimesh", "fast_simplification"])
def test_a_missing_package_is_named_with_the_cure(missing, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    rough = surface(ball(5, (1, 1, 1))[1], np.eye(4))
    with pytest.raises(Stop, match=r"python -m pip install 'boundary-loss\[mesh\]'"):
        reduced(smoothed(rough, 2 if missing == "trimesh" else 0), 10)


@pytest.mark.parametrize("kind", ["ply", "obj"])
def test_files_are_read_by_trimesh_as_they_were(kind):
    trimesh = pytest.importorskip("trimesh")
    found = surface(blob((9, 7, 6)) > 0, PLACES["rotated and mirrored"])
    content = {"ply": encode_ply, "obj": encode_obj}[kind](found)
    theirs = trimesh.load(io.BytesIO(content), file_type=kind, process=False)
    np.testing.assert_allclose(theirs.vertices, found.vertices, atol=1e-4)
    assert np.array_equal(theirs.faces, found.faces)
    assert theirs.volume == pytest.approx(found.volume_mm3, rel=1e-4)


def test_distances_between_balls_are_the_difference_of_their_radii():
    small, large = (
        probability_surface(softmax_of(depth), 1, mask, turned((1, 1, 1), left_handed=True))
        for depth, mask in ((ball(16, (1, 1, 1))[0] + shift, ball(16, (1, 1, 1))[0] + shift > 0) for shift in (-4, 0))
    )
    assert small is not None and large is not None
    np.testing.assert_allclose(signed_distances(large, small), 4, atol=0.15)
    np.testing.assert_allclose(signed_distances(small, large), -4, atol=0.15)
    np.testing.assert_allclose(signed_distances(small, small), 0, atol=1e-9)


def test_distances_are_to_the_nearest_of_all_triangles_also_of_unlike_sizes():
    trimesh = pytest.importorskip("trimesh")
    rng = np.random.default_rng(5)
    other = Surface(rng.normal(size=(60, 3)) * rng.choice([1, 9], size=(60, 1)), rng.permutation(60).reshape(20, 3))
    points = 5 * rng.normal(size=(40, 3))
    found = np.abs(signed_distances(Surface(points, np.empty((0, 3), np.int64)), other))
    for point, distance in zip(points, found):
        nearest = trimesh.triangles.closest_point(other.vertices[other.faces], np.tile(point, (20, 1)))
        assert distance == pytest.approx(np.linalg.norm(nearest - point, axis=1).min())


def test_the_distance_to_no_triangles_is_infinite():
    some = surface(ball(4, (1, 1, 1))[1], np.eye(4))
    none = Surface(np.empty((0, 3)), np.empty((0, 3), np.int64))
    assert np.isposinf(signed_distances(some, none)).all() and signed_distances(none, some).shape == (0,)


def test_joined_surfaces_add_up():
    one, two = (surface(ball(radius, (1, 1, 1))[1], np.eye(4)) for radius in (4, 7))
    both = joined([one, two])
    assert both.is_closed and both.volume_mm3 == pytest.approx(one.volume_mm3 + two.volume_mm3, rel=1e-6)


def test_a_surface_with_a_hole_or_a_turned_triangle_is_not_closed():
    whole = surface(ball(4, (1, 1, 1))[1], np.eye(4))
    turned_one = whole.faces.copy()
    turned_one[0] = turned_one[0, ::-1]
    assert not Surface(whole.vertices, whole.faces[1:]).is_closed
    assert not Surface(whole.vertices, turned_one).is_closed
