"""2D or 3D, and what fits the sizes."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_loss.own.plan import MULTIPLE, PATCH_VOXELS, Sizes, as_make, choose_dim, patch_of, plan_of


def sizes(shape, spacing=(1.0, 1.0, 1.0), count=20):
    return Sizes([shape] * count, [spacing] * count)


@pytest.mark.parametrize(
    ("shape", "spacing", "dim"),
    [
        ((35, 50, 36), (1, 1, 1), 3),
        ((512, 512, 300), (0.8, 0.8, 1.5), 3),
        ((256, 256, 10), (1.5, 1.5, 10), 2),
        ((256, 256, 31), (1, 1, 3.1), 2),
        ((256, 256, 32), (1, 1, 3.1), 3),
        ((256, 256, 11), (1, 1, 1), 2),
        ((256, 256, 12), (1, 1, 3), 3),
        ((512, 512, 1), (1, 1, 1), 2),
    ],
)
def test_planes_and_their_thickness_decide(shape, spacing, dim):
    found, why = choose_dim(sizes(shape, spacing))
    assert found == dim and ("one plane" in why or f"{shape[2]} planes" in why)


@given(shape=st.tuples(*[st.integers(1, 700)] * 3))
def test_a_patch_is_within_the_volume_and_the_budget(shape):
    patch = patch_of(shape)
    assert prod(patch) <= PATCH_VOXELS or min(patch) == MULTIPLE
    for size, side in zip(shape, patch, strict=True):
        assert side % MULTIPLE == 0 and MULTIPLE <= side < size + MULTIPLE
    longest = max(patch)
    assert all(side >= longest - MULTIPLE or side + MULTIPLE > size for side, size in zip(patch, shape, strict=True))


def test_small_volumes_are_shown_whole_and_large_ones_in_patches():
    small, large = plan_of(sizes((35, 50, 36))), plan_of(sizes((512, 512, 300)))
    assert small.sample == "whole" and small.fit == "pad(8)"
    assert large.sample == "patch(96,96,112,object=0.33)" and large.fit == "none"


def test_slices_that_do_not_fit_in_memory_are_left_to_the_user():
    assert plan_of(sizes((240, 240, 155), count=20)).slices_fit
    assert not plan_of(sizes((512, 512, 300), count=20)).slices_fit
    assert "BESIDE_3D := \n" in as_make(
        plan_of(sizes((512, 512, 300))), classes=["background", "liver"], channels=["CT"], held_out=4
    )


def test_few_cases_are_shown_more_often():
    epochs = [plan_of(sizes((35, 50, 36), count=count)).epochs for count in (5, 50, 200, 1000)]
    assert epochs == [200, 80, 20, 20]


def test_a_choice_of_one_s_own_is_said():
    plan = plan_of(sizes((35, 50, 36)), dim=2)
    assert plan.dim == 2 and plan.why.startswith("as asked, though 36 planes")
