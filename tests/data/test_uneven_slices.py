"""Planes of whole volumes that differ in size, as slices."""

from pathlib import Path

import numpy as np
import pytest
import torch
from wholes import write_whole

from boundary_loss.data import MapNeed, Slices
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.shapes import IGNORED


@pytest.fixture
def folder(tmp_path: Path) -> WholeFolder:
    """Cases of 6 x 7, 8 x 5 and 6 x 7 pixels a plane: the first two are trained on."""
    return WholeFolder.open(write_whole(tmp_path / "whole"))


def test_a_batch_has_the_size_of_its_largest_and_the_rest_is_ignored(folder):
    slices = Slices(folder, "train")
    batch = slices.batch(torch.tensor([0, 5]))  # of either case
    assert batch.inputs[0].shape == (2, 2, 8, 7) and batch.mask is not None
    for row, stem in enumerate(batch.names):
        x, y = folder.labels("train", stem).shape
        np.testing.assert_array_equal(batch.labels[row, :x, :y], folder.labels("train", stem))
        np.testing.assert_array_equal(batch.inputs[0][row, :, :x, :y], folder.image("train", stem))
        outside = torch.ones(8, 7, dtype=torch.bool)
        outside[:x, :y] = False
        assert (batch.labels[row][outside] == IGNORED).all() and not batch.inputs[0][row][:, outside].any()
        assert torch.equal(batch.mask[row, 0], batch.labels[row] != IGNORED)
        assert not batch.gt[row][:, outside].any()


def test_slices_of_one_case_are_as_they_are(folder):
    slices = Slices(folder, "train")
    batch = slices.batch(torch.tensor([4, 5, 6]))
    assert batch.inputs[0].shape == (3, 2, 8, 5)
    assert not (batch.labels == IGNORED).any()


@pytest.mark.parametrize("group", [False, True])
def test_batches_in_order_are_of_one_size(folder, group):
    slices = Slices(folder, "train")
    batches = slices.in_order(3, group=group)
    assert torch.equal(torch.cat(batches), torch.arange(7))
    assert [rows.tolist() for rows in batches] == (
        [[0, 1, 2, 3], [4, 5, 6]] if group else [[0, 1, 2], [3], [4, 5], [6]]
    )
    for batch in slices.batches(batches, torch.device("cpu")):
        assert {folder.labels("train", stem).shape for stem in batch.names} == {tuple(batch.labels.shape[1:])}


def test_maps_inside_are_those_of_the_plane_alone(folder):
    need = MapNeed("2d", (0, 1))
    uneven = Slices(folder, "train", needs=[need]).batch(torch.tensor([1, 5]))
    for row, number in enumerate((1, 5)):
        alone = Slices(folder, "train", needs=[need]).batch(torch.tensor([number]))
        x, y = alone.labels.shape[1:]
        torch.testing.assert_close(uneven.maps[need][row, :, :x, :y], alone.maps[need][0])


def test_a_part_of_a_batch_has_the_size_of_the_batch(folder):
    slices = Slices(folder, "train")
    (part,) = slices.batches([torch.tensor([0])], torch.device("cpu"), whole=[torch.tensor([0, 5])])
    assert part.labels.shape == (1, 8, 7)
