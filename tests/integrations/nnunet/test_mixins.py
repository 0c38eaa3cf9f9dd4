"""What a trainer inherits, beside a trainer that has only what the mixins ask nnU-Net's for."""

import ast
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from boundary_loss.integrations.nnunet import catalogue
from boundary_loss.integrations.nnunet.mixins import BoundaryTerm, DistanceTerm, HausdorffTerm

LABELS = torch.zeros(1, 1, 8, 6, dtype=torch.int16)
LABELS[..., 2:5, 1:4] = 1


class Logger:
    def __init__(self):
        self.scores = []

    def get_value(self, key, step):
        assert key == "mean_fg_dice" and step is None
        return self.scores


class Trainer:
    """What nnU-Net's has of the same names."""

    def __init__(self, num_epochs=10):
        self.num_epochs, self.current_epoch, self.said = num_epochs, 0, []
        self.label_manager = SimpleNamespace(num_segmentation_heads=2, has_regions=False, ignore_label=None)
        self.configuration_manager = SimpleNamespace(spacing=[1.5, 0.7])
        self.logger = Logger()

    def initialize(self):
        self.loss = self._build_loss()
        return self

    def _build_loss(self):
        return Base()

    def on_train_epoch_start(self):
        self.said.append(f"Epoch {self.current_epoch}")

    def on_train_epoch_end(self, train_outputs):
        pass

    def print_to_log_file(self, text):
        self.said.append(text)


class Base(nn.Module):
    def forward(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets[:, 0].long())


def trainer_of(mixin=BoundaryTerm, num_epochs=10, **settings):
    return type("nnUNetTrainerMine", (mixin, Trainer), settings)(num_epochs).initialize()


def weights_at(trainer, epoch, scores=()):
    trainer.current_epoch, trainer.logger.scores = epoch, list(scores)
    trainer.on_train_epoch_start()
    return trainer.loss.weights


@pytest.mark.parametrize(
    ("schedule", "initial", "expected"),
    [
        ("linear(0, 0.1, {epochs})", (1.0, 0.0), {0: (1, 0), 5: (1, 0.05), 10: (1, 0.1)}),
        ("constant", (1.0, 0.01), {0: (1, 0.01), 9: (1, 0.01)}),
        ("steal(0.1)", (1.0, 0.0), {0: (1, 0), 4: (0.6, 0.4), 10: (0.1, 1.0)}),
        ("rebalance(0.1, 0.9)", (1.0, 0.1), {0: (0.9, 0.1), 3: (0.6, 0.4), 10: (0.1, 0.9)}),
        ("add(0, 0.02)", (1.0, 0.0), {0: (1, 0), 5: (1, 0.1)}),
    ],
)
def test_each_epoch_has_the_weights_of_its_number(schedule, initial, expected):
    trainer = trainer_of(schedule=schedule, initial_weights=initial)
    for epoch, weights in expected.items():
        assert weights_at(trainer, epoch) == pytest.approx(weights)
        assert trainer.said[-1] == (
            f"Weight of the trainer's own loss: {weights[0]:g}, of BoundaryLoss: {weights[1]:g}"
        )


def test_a_term_may_wait_for_the_scores_that_a_checkpoint_restores():
    settings = {"schedule": "after(dice>0.5)", "initial_weights": (1.0, 0.1)}
    trainer = trainer_of(**settings)
    assert weights_at(trainer, 1, [0.4]) == (1.0, 0.0)
    assert weights_at(trainer, 3, [0.4, 0.6, float("nan")]) == (1.0, 0.1)
    resumed = trainer_of(**settings)
    assert weights_at(resumed, 3, [0.4, 0.6, float("nan")]) == (1.0, 0.1)


@pytest.mark.parametrize(("mixin", "named"), [(BoundaryTerm, "BoundaryLoss"), (HausdorffTerm, "HausdorffLoss")])
def test_the_log_says_how_long_the_gradients_are(mixin, named):
    trainer = trainer_of(mixin)
    assert named in trainer.said[0] and "[1.5, 0.7] mm" in trainer.said[0]
    weights_at(trainer, 2)
    logits = torch.randn(1, 2, 8, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    trainer.loss(logits, LABELS).backward()
    trainer.on_train_epoch_end([])
    own, term = trainer.loss.measured.tolist()
    assert own > 0 and term > 0
    assert f"{named} {term:.3g}; equal at weight {own / term:.3g}" in trainer.said[-1]


def test_patches_without_a_boundary_have_no_gradient_to_compare():
    trainer = trainer_of()
    weights_at(trainer, 0)
    trainer.loss(torch.zeros(1, 2, 8, 6, requires_grad=True), torch.zeros_like(LABELS))
    trainer.on_train_epoch_end([])
    assert "its patches had no boundary" in trainer.said[-1]


def test_settings_reach_the_term():
    trainer = trainer_of(map_options={"convention": "interface"}, level_weights=(0.5, 0.5))
    assert trainer.loss.term.map_options == {"convention": "interface"}
    assert trainer.loss.term.level_weights == [0.5, 0.5]
    assert trainer.loss.term.spacing_mm.tolist() == [1.5, 0.7]
    assert trainer_of(HausdorffTerm, loss_options={"sides": "both"}).loss.term.loss.sides == "both"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "stele(0.1)"}, "unknown schedule 'stele"),
        ({"schedule": "add(0.1)"}, "is for 1 losses, the run has 2"),
        ({"map_options": {"convention": "papre"}}, "papre"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        trainer = trainer_of(**settings)
        trainer.loss.term(torch.zeros(1, 2, 8, 6), LABELS)


def test_a_term_without_a_kind_is_refused():
    with pytest.raises(NotImplementedError, match="BoundaryTerm"):
        trainer_of(DistanceTerm)


def test_the_catalogue_lists_every_trainer_of_the_folder():
    listed = dict(catalogue.trainers())
    assert {"nnUNetTrainerBoundary", "nnUNetTrainerHausdorff"} <= listed.keys() and all(listed.values())
    for path in catalogue.FOLDER.glob("*.py"):  # nnU-Net imports every module in it: only trainers may stand there
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            allowed = (ast.Expr, ast.ImportFrom, ast.ClassDef)
            assert isinstance(node, allowed), f"{path.name}:{node.lineno}"
