"""Patches follow from the seed and the sample, lie within what is shown, and have the maps of the whole case."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from boundary_loss.data.case_maps import CaseMaps, case_map, fit_in_memory
from boundary_loss.data.frame import Box, Frame
from boundary_loss.data.needs import MapNeed
from boundary_loss.data.patches import ObjectVoxels, Patch, draw_patch, stack_labels, stack_padded

SHAPE = (14, 11, 9)


def labels() -> np.ndarray:
    """Two objects of two classes, and ignored voxels."""
    found = np.zeros(SHAPE, np.uint8)
    found[2:5, 3:6, 1:4], found[10:13, 7:9, 6], found[6] = 1, 2, 255
    return found


def objects(frame: Frame) -> ObjectVoxels:
    return ObjectVoxels.of(labels(), frame.source_box())


def test_patches_are_read_as_a_ledger_writes_them() -> None:
    assert Patch.parse("patch(8,6,4)") == Patch(8, 6, 4, 0.3, 1)
    assert Patch.parse("patch(8, 6, 4, object=0.5, each=2)") == Patch(8, 6, 4, 0.5, 2)
    assert Patch.parse("patch(8,6,4)").shape == (8, 6, 4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patch(8,8)", r"needs the option 'z'; it is written patch\(x, y, z, object=0.3, each=1\)"),
        ("patch(8,8,8,1,2,3)", "no place for the value 3"),
        ("patch(8,8,0)", "must be at least 1"),
        ("patch(8,8,8,each=0)", "each=0 must be at least 1"),
        ("patch(8,8,8,object=1.5)", "object=1.5 must be between 0 and 1"),
        ("patch(8,8,8,object=lots)", "expected float"),
        ("patches(8,8,8)", r"unknown patches 'patches\(8,8,8\)'; they are written patch\(x, y, z"),
    ],
)
def test_what_is_no_patch_is_refused_with_how_it_is_written(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Patch.parse(text)


@given(st.tuples(*[st.integers(1, 20)] * 3), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 50))
def test_a_patch_lies_within_what_is_shown_and_is_at_most_that(
    shape: tuple[int, int, int], share: float, sample: int
) -> None:
    for frame in (Frame.whole(SHAPE), Frame.whole(SHAPE).pad(8), Frame.whole(SHAPE).reduce((2, 2, 1))):
        drawn = draw_patch(Patch(*shape, object=share), frame, objects(frame), 3, sample)
        assert drawn.shape == tuple(map(min, shape, frame.shape)) and drawn.scale == frame.scale
        origin = np.subtract(drawn.offset, frame.offset) / frame.scale
        assert (origin >= 0).all() and (origin + drawn.shape <= frame.shape).all()
        assert np.array_equal(origin, origin.astype(int))


def test_a_draw_follows_from_the_seed_and_the_sample_alone() -> None:
    frame, patch = Frame.whole(SHAPE), Patch(4, 4, 4, object=0.5)
    found = [draw_patch(patch, frame, objects(frame), 7, sample) for sample in range(20)]
    assert found == [draw_patch(patch, frame, objects(frame), 7, s) for s in reversed(range(20))][::-1]
    assert len({drawn.offset for drawn in found}) > 10
    assert found != [draw_patch(patch, frame, objects(frame), 8, sample) for sample in range(20)]
    assert draw_patch(patch, frame, objects(frame), -1, 0).shape == (4, 4, 4)


def test_the_share_of_patches_that_is_asked_for_is_centred_on_the_object() -> None:
    frame, truth = Frame.whole(SHAPE), labels()

    def share_centred(share: float) -> float:
        centres = [
            draw_patch(Patch(3, 3, 3, object=share), frame, objects(frame), 0, sample).box((1, 1, 1), (1, 1, 1))
            for sample in range(400)
        ]
        return float(np.mean([int(centre.read(truth, 0)) in (1, 2) for centre in centres]))

    by_chance = share_centred(0)
    assert share_centred(1) == 1 and by_chance < 0.15
    assert share_centred(0.5) == pytest.approx(0.5 + by_chance / 2, abs=0.08)


def test_every_voxel_of_the_object_is_drawn_equally_often() -> None:
    voxels = ObjectVoxels.of(labels(), Box((0, 0, 0), SHAPE))
    assert voxels.count == 27 + 6
    rng = np.random.default_rng(0)
    drawn = [voxels.draw(rng) for _ in range(33 * 100)]
    places, counts = np.unique(drawn, axis=0, return_counts=True)
    assert {tuple(place) for place in places} == {tuple(p) for p in np.argwhere((labels() > 0) & (labels() < 255))}
    assert counts.min() > 60 and counts.max() < 150


def test_of_a_part_only_its_own_voxels_are_drawn() -> None:
    part = Box((8, 5, 2), (6, 6, 7))
    voxels = ObjectVoxels.of(labels(), part)
    rng = np.random.default_rng(0)
    assert voxels.count == 6 and {labels()[voxels.draw(rng)] for _ in range(40)} == {2}
    assert ObjectVoxels.of(labels(), Box((6, 0, 0), (1, 11, 9))).count == 0  # ignored
    assert ObjectVoxels.of(labels(), Box((0, 0, 0), (3, 3, 0))).count == 0
    nothing = Frame.whole(SHAPE).box((5, 0, 0), (3, 11, 9))
    drawn = draw_patch(Patch(2, 2, 2, object=1), nothing, objects(nothing), 0, 0)
    assert drawn.shape == (2, 2, 2)


def test_a_patch_of_a_reduced_case_is_centred_where_the_object_is() -> None:
    truth = np.zeros((16, 16, 16), np.uint8)
    truth[9, 12, 4] = 1
    frame = Frame.whole(truth.shape).reduce((4, 4, 2))
    voxels = ObjectVoxels.of(truth, frame.source_box(2))
    assert voxels.count == 1
    drawn = draw_patch(Patch(1, 1, 1, object=1), frame, voxels, 0, 0)
    assert drawn == frame.box((2, 3, 2), (1, 1, 1))


def test_unequal_items_are_filled_up_at_their_ends_and_ignored_there() -> None:
    items = [torch.ones(2, 3, 4, 5), torch.full((2, 4, 2, 5), 2.0)]
    batch = stack_padded(items, 3, 0)
    assert batch.shape == (2, 2, 4, 4, 5)
    assert torch.equal(batch[0, :, :3], items[0]) and torch.equal(batch[1, :, :, :2], items[1])
    assert batch.sum() == sum(item.sum() for item in items)
    truths = stack_labels([torch.ones(1, 1, 1, dtype=torch.uint8), torch.zeros(1, 2, 1, dtype=torch.uint8)])
    assert truths.dtype == torch.uint8 and truths.flatten().tolist() == [1, 255, 0, 0]
    same = [torch.rand(2, 2, 2), torch.rand(2, 2, 2)]
    assert torch.equal(stack_padded(same, 3, 0), torch.stack(same))


def test_a_patch_has_the_map_of_the_whole_case() -> None:
    """In mm; SciPy is the judge. A map of the patch alone would not know the object beyond it."""
    spacing_mm = (0.5, 1.0, 2.5)
    truth = np.where(labels() == 255, 0, labels())
    need = MapNeed.of("3d", (1, 2), {"convention": "symmetric"})
    maps = CaseMaps(lambda case, need: case_map(need, torch.from_numpy(truth), spacing_mm, 3), keep=True)
    patch = Frame.whole(SHAPE).box((7, 0, 5), (4, 4, 4))  # no object in it
    found = maps.shown("A", need, patch)
    assert found.shape == (2, 4, 4, 4) and found.dtype == torch.float32
    for k, got in zip(need.classes, found):
        outside = distance_transform_edt(truth != k, sampling=spacing_mm)
        inside = distance_transform_edt(truth == k, sampling=spacing_mm)
        np.testing.assert_allclose(got, (outside - inside)[7:11, 0:4, 5:9], rtol=1e-5)
    assert torch.equal(maps.shown("A", need, Frame.whole(SHAPE))[:, 7:11, 0:4, 5:9], found)


def test_beyond_the_case_a_map_is_zero_and_a_reduced_one_is_in_mm_still() -> None:
    truth = np.zeros((8, 8, 8), np.uint8)
    truth[:2] = 1
    need = MapNeed.of("3d", (1,), {"convention": "interface"})
    maps = CaseMaps(lambda case, need: case_map(need, torch.from_numpy(truth), (3.0, 1.0, 1.0), 2), keep=False)
    padded = maps.shown("A", need, Frame.whole((8, 8, 8)).pad(12))
    assert bool((padded[:, :2] == 0).all()) and bool((padded[0, 2:10, 2:10, 2:10] != 0).all())
    reduced = maps.shown("A", need, Frame.whole((8, 8, 8)).reduce((2, 2, 2)))
    np.testing.assert_allclose(reduced[0, :, 0, 0], [-3, 3, 9, 15])


def test_ignored_voxels_have_no_distance_and_a_case_without_object_is_no_mask() -> None:
    empty = torch.zeros(4, 4, 4, dtype=torch.uint8)
    empty[0] = 255
    need = MapNeed.of("3d", (1,), {})
    assert bool((case_map(need, empty, (1, 1, 1), 2) == 0).all())
    whole = case_map(need, torch.from_numpy(labels()), (1, 1, 1), 3)
    assert bool((whole[0, 6] == 0).all()) and whole[0].min() < 0 < whole[0].max()


def test_what_a_loss_measures_itself_is_measured_of_the_whole_case() -> None:
    masks = []

    def measure(gt: torch.Tensor, spacing_mm: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        masks.append(mask)
        return gt * spacing_mm[0, 2]

    need = MapNeed("target", (2,), measure=measure)
    found = case_map(need, torch.from_numpy(labels()), (1, 1, 2.5), 3)
    assert found.shape == (1, *SHAPE) and np.array_equal(found[0] == 2.5, labels() == 2)
    assert torch.equal(masks[0][0, 0], torch.from_numpy(labels() != 255))
    case_map(need, torch.zeros(2, 2, 2, dtype=torch.uint8), (1, 1, 2.5), 3)
    assert masks[1] is None


@pytest.mark.parametrize(("keep", "times"), [(True, 2), (False, 4)])
def test_maps_are_made_once_where_they_are_kept(keep: bool, times: int) -> None:
    made = []

    def make(case: str, need: MapNeed) -> torch.Tensor:
        made.append(case)
        return torch.zeros(1, *SHAPE)

    maps, need = CaseMaps(make, keep=keep), MapNeed.of("3d", (1,), {})
    for case in "ABAB":
        maps.shown(case, need, Frame.whole(SHAPE).box((0, 0, 0), (2, 2, 2)))
    assert len(made) == times


def test_a_quarter_of_the_memory_is_the_limit() -> None:
    assert fit_in_memory(1) and not fit_in_memory(1 << 60)
    assert fit_in_memory(1 << 60, share=2.0**30)
