"""Trainers for ``nnUNetv2_train ... -tr NAME``. For other settings write a class like these in a folder of your own."""

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.training_length.nnUNetTrainer_Xepochs import (
    nnUNetTrainer_5epochs,
    nnUNetTrainer_100epochs,
    nnUNetTrainer_250epochs,
)

from boundary_loss.integrations.nnunet.mixins import BoundaryTerm, HausdorffTerm


class nnUNetTrainerBoundary(BoundaryTerm, nnUNetTrainer):
    """Boundary loss, whose weight grows from 0 to 0.1 over the training."""


class nnUNetTrainerBoundary_5epochs(BoundaryTerm, nnUNetTrainer_5epochs):
    """The same in 5 epochs, to try it."""


class nnUNetTrainerBoundary_100epochs(BoundaryTerm, nnUNetTrainer_100epochs):
    """The same in 100 epochs."""


class nnUNetTrainerBoundary_250epochs(BoundaryTerm, nnUNetTrainer_250epochs):
    """The same in 250 epochs."""


class nnUNetTrainerBoundaryConstant(BoundaryTerm, nnUNetTrainer):
    """Boundary loss of weight 0.01 throughout."""

    schedule = "constant"
    initial_weights = (1.0, 0.01)


class nnUNetTrainerBoundarySteal(BoundaryTerm, nnUNetTrainer):
    """Boundary loss that takes 0.001 an epoch from the own loss, which keeps 0.1 from epoch 900 on."""

    schedule = "steal(0.001)"


class nnUNetTrainerBoundaryRebalance(BoundaryTerm, nnUNetTrainer):
    """Boundary loss of weight α, own loss of 1 - α; α grows by 0.001 an epoch to 0.9 (MedIA 2021)."""

    schedule = "rebalance(0.001, 0.9)"


class nnUNetTrainerBoundaryAfter(BoundaryTerm, nnUNetTrainer):
    """Boundary loss of weight 0.1 once the pseudo Dice has exceeded 0.5."""

    schedule = "after(dice>0.5)"
    initial_weights = (1.0, 0.1)


class nnUNetTrainerHausdorff(HausdorffTerm, nnUNetTrainer):
    """Hausdorff loss, whose weight grows from 0 to 0.01 over the training."""


class nnUNetTrainerHausdorff_5epochs(HausdorffTerm, nnUNetTrainer_5epochs):
    """The same in 5 epochs, to try it."""


class nnUNetTrainerHausdorff_250epochs(HausdorffTerm, nnUNetTrainer_250epochs):
    """The same in 250 epochs."""
