"""Batches of whole volumes and points drawn of them: what is read at a point is what lies there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from wholes import write_whole

from boundary_loss import signed_distance
from boundary_loss.data import Augmentation, Batch, MapNeed
from boundary_loss.data.cases import ShownCases
from boundary_loss.data.point_samples import PointSamples
from boundary_loss.data.points import Points, touching, values_at
from boundary_loss.data.view import View
from boundary_loss.folders.whole import WholeFolder

CPU = torch.device("cpu")
NEED = MapNeed.of("own", (1,), {})


@pytest.fixture
def folder(tmp_path: Path) -> WholeFolder:
    return WholeFolder.open(write_whole(tmp_path))


def samples_of(
    folder: WholeFolder, which: str = "train", fit: str = "pad(4)", *augment: str, **options
) -> PointSamples:
    view = View.parse([fit], "points(40,border=0.5,each=3)", "")
    assert isinstance(view.sample, Points)
    cases = ShownCases(folder, which, view)
    options = {"needs": [NEED]} | options
    return PointSamples(cases, augmentation=Augmentation.parse(augment), **options)


def batches_of(samples: PointSamples, seed: int = 5, batch_size: int = 2) -> list[Batch]:
    return list(samples.batches(samples.shuffled(batch_size, seed), CPU, seed))


@pytest.mark.parametrize("fit", ["pad(4)", "stretch(9)", "reduce(2,2,1)"])
@pytest.mark.parametrize("augment", [(), ("flip(xyz)", "noise(0.1)")])
def test_labels_and_maps_are_those_at_the_points(folder: WholeFolder, fit: str, augment: tuple[str, ...]) -> None:
    samples = samples_of(folder, "train", fit, *augment)
    assert len(samples) == 6
    for batch in batches_of(samples):
        volumes, points = batch.inputs
        assert volumes.shape[:2] == (2, 2) and points.shape == (2, 40, 3) and volumes.dtype == torch.float32
        assert batch.dense is not None and batch.dense.shape[1:] == volumes.shape[2:]
        assert batch.gt.shape == batch.maps[NEED].shape == (2, 2, 40) and (batch.mask is None or batch.mask.all())
        for row in range(2):
            x, y, z = points[row].long().T
            assert torch.equal(batch.dense[row][x, y, z], batch.labels[row])
            assert torch.equal(batch.gt[row].argmax(0), batch.labels[row].long())
        assert not batch.maps[NEED][:, 0].any(), "the class that no loss reads is zero"
        assert batch.names == [samples.names[row] for row in batch.index.tolist()]


def test_what_is_drawn_follows_from_the_epoch_and_the_sample(folder: WholeFolder) -> None:
    drawn = {}
    for size in (1, 2, 6):
        samples = samples_of(folder, "train", "pad(8)", "flip(xyz)", "noise(0.1)")
        order = torch.cat(samples.shuffled(size, 5)).tolist()
        rows = [row for batch in batches_of(samples, batch_size=size) for row in zip(*batch.inputs, batch.labels)]
        for sample, row in zip(order, rows, strict=True):
            for one, other in zip(row, drawn.setdefault(sample, row), strict=True):
                assert torch.equal(one, other)
    assert len(drawn) == 6 and not torch.equal(drawn[0][1], drawn[1][1]), "each sample of a case has its own points"


def test_maps_are_those_of_the_whole_case_in_mm(folder: WholeFolder) -> None:
    samples = samples_of(folder)
    for batch in batches_of(samples):
        for row, case in enumerate(batch.names):
            labels = torch.from_numpy(np.array(folder.truth(case)))
            whole = signed_distance(labels, folder.spacing_3d(case), num_classes=2, ignore_index=255)[1]
            expected = values_at(samples.cases.frame(case).resample(whole, 1), batch.inputs[1][row].long())
            torch.testing.assert_close(batch.maps[NEED][row, 1], expected)


@pytest.mark.parametrize("band", ["0.9", "sobel"])
def test_half_of_the_points_lie_at_the_border(folder: WholeFolder, band: str) -> None:
    view = View.parse(["pad(8)"], f"points(16,border=0.5,band={band})", "")
    samples = PointSamples(ShownCases(folder, "train", view))
    for batch in batches_of(samples, batch_size=1):
        near = samples._band(batch.names[0], samples.cases.frame(batch.names[0]))
        assert near is not None
        index = np.ravel_multi_index(tuple(batch.inputs[1][0, :8].long().numpy().T), near.shape)
        assert np.isin(index, near.index).all()


def test_a_band_narrower_than_a_voxel_holds_the_voxels_at_the_boundary(folder: WholeFolder) -> None:
    view = View.parse([], "points(16,border=0.5,band=0.01)", "")
    samples = PointSamples(ShownCases(folder, "train", view))
    for case in samples.names:
        near = samples._band(case, samples.cases.frame(case))
        assert near is not None and len(near.index)
        assert np.array_equal(near.index, np.flatnonzero(touching(np.array(folder.truth(case) == 1))))


def test_validation_is_of_the_same_points_a_case_a_batch(folder: WholeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(folder, "val")
    order = samples.in_order(8, group=False)
    assert [rows.tolist() for rows in order] == [[0]]
    (whole,) = samples.batches(order, CPU, 3)
    assert whole.inputs[1].shape == (1, 8 * 8 * 8, 3), "all voxels, as there are few"
    assert torch.equal(whole.labels[0].view(8, 8, 8), whole.dense[0])
    monkeypatch.setattr("boundary_loss.data.point_samples.VALIDATED", 100)
    (few,), (again,) = (samples.batches(order, CPU, seed) for seed in (3, 4))
    assert few.inputs[1].shape == (1, 100, 3) and torch.equal(few.inputs[1], again.inputs[1])


def test_ignored_voxels_are_masked(folder: WholeFolder) -> None:
    for case in folder.content["cases"]:
        path = folder.path / "gt" / f"{case}.npy"
        labels = np.load(path)
        labels[0] = 255
        np.save(path, np.asfortranarray(labels))
    samples = samples_of(WholeFolder.open(folder.path))
    assert samples.has_ignored
    for batch in batches_of(samples):
        assert batch.mask is not None and torch.equal(batch.mask[:, 0], batch.labels != 255)
        assert not batch.gt[batch.mask.logical_not().expand_as(batch.gt)].any()


@pytest.mark.parametrize("augment", ["rotate(5)", "scale(0.9,1.1)", "shift(2)"])
def test_points_refuse_what_deforms(folder: WholeFolder, augment: str) -> None:
    with pytest.raises(ValueError, match="turns, enlarges, moves or bends"):
        samples_of(folder, "train", "pad(4)", augment)


@pytest.mark.parametrize("source", ["2d", "step"])
def test_points_refuse_maps_of_slices_and_steps(folder: WholeFolder, source: str) -> None:
    with pytest.raises(ValueError, match=f"map={source}"):
        samples_of(folder, needs=[MapNeed.of(source, (1,), {})])
