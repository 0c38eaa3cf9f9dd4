"""The terms of a ledger row at work: each gets the output, the target, the maps and the spacing that it needs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from boundary_loss.data import Batch, Slices
from boundary_loss.experiment import Experiment
from boundary_loss.files import write_array
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.losses import LOSSES, build
from boundary_loss.losses.head import HEADS
from boundary_loss.shapes import IGNORED
from boundary_loss.training.terms import ActiveTerm, activate


class Spread(torch.nn.Module):
    """A loss of the user's own that wants the spacing."""

    takes_spacing = True

    def forward(self, probs: torch.Tensor, one_hot: torch.Tensor, *, spacing_mm: torch.Tensor) -> torch.Tensor:
        return spacing_mm.prod(dim=1).mean() * (probs - one_hot).abs().mean()


def active(text: str) -> ActiveTerm:
    experiment = Experiment(
        losses=(text,), rate="constant", num_classes=2, network="Dimwit", epochs=1, batch_size=3,
        learning_rate=1e-3,
    )  # fmt: skip
    (term,) = activate(experiment)
    return term


def batch_of(sliced: Path, term: ActiveTerm) -> tuple[Batch, dict[str, torch.Tensor]]:
    """All training slices, whose spacing is 0.8 and 1.2 mm, and outputs of a network."""
    slices = Slices(SlicedFolder.open(sliced), "train", needs=[term.need] if term.need else [])
    batch = slices.batch(torch.arange(len(slices)))
    torch.manual_seed(0)
    head = torch.randn(batch.gt.shape)
    return batch, {"probs": head.softmax(dim=1), "distances": head}


@pytest.mark.parametrize("name", ["hausdorff", "sdf", "sdf_product", "foreground"])
def test_distances_are_in_mm_unless_voxels_are_asked_for(sliced: Path, name: str) -> None:
    counted = f"{name}({'norm=l1,' if name == 'sdf' else ''}unit=voxel):1@1"
    for text, spacing in ((f"{name}:1@1", [0.8, 1.2]), (counted, [1.0, 1.0])):
        term = active(text)
        batch, outputs = batch_of(sliced, term)
        options = {"norm": "l1"} if "l1" in text else {}
        loss = build(name, classes=[1], **options)
        expected = loss(outputs[term.reads], batch.gt, spacing_mm=spacing)
        torch.testing.assert_close(term(outputs, batch), expected)


def test_terms_that_take_maps_or_the_target_alone_get_no_spacing(sliced: Path) -> None:
    for text in ("gdl:1", "boundary:1@1", "boundary(map=step):1@1", "hausdorff_erosion:1", "toys:Brier:1"):
        term = active(text)
        assert not term.takes_spacing
        batch, outputs = batch_of(sliced, term)
        assert term(outputs, batch).isfinite()


def test_a_loss_of_ones_own_may_ask_for_the_spacing(sliced: Path) -> None:
    term = active(f"{__name__}:Spread:1")
    batch, outputs = batch_of(sliced, term)
    expected = 0.96 * (outputs["probs"] - batch.gt).abs().mean()
    torch.testing.assert_close(term(outputs, batch), expected)


@pytest.mark.parametrize("name", [*sorted(set(LOSSES) - {"diceloss", "surface"}), *HEADS])
def test_ignored_voxels_of_a_study_count_nowhere(sliced: Path, name: str) -> None:
    """Slices beside ignored columns are worth what the other columns are."""
    term = active(f"{name}:1")
    for which in ("train", "val"):
        for path in sorted((sliced / which / "gt_npy").glob("*.npy")):
            labels = np.load(path).copy()
            labels[:, :3] = IGNORED
            write_array(path, labels)
    batch, outputs = batch_of(sliced, term)
    maps = {need: maps[..., 3:] for need, maps in batch.maps.items()}
    cut = replace(batch, gt=batch.gt[..., 3:], maps=maps, mask=None)
    beside = {output: values[..., 3:] for output, values in outputs.items()}
    torch.testing.assert_close(term(outputs, batch), term(beside, cut))


def test_without_ignored_voxels_there_is_no_mask(sliced: Path) -> None:
    assert batch_of(sliced, active("gdl:1"))[0].mask is None


def test_whole_maps_are_meant_where_no_voxel_is_ignored(sliced: Path) -> None:
    """Maps of whole numbers are 0 in both classes beside the boundary, at a spacing below 1 mm."""
    term = active("boundary(convention=paper-int):1")
    batch, outputs = batch_of(sliced, term)
    maps = batch.maps[term.need]
    present = (maps != 0).flatten(2).any(2).all(1)
    assert (maps[present] == 0).all(dim=1).any()
    torch.testing.assert_close(term(outputs, batch), (outputs["probs"] * maps).mean())
