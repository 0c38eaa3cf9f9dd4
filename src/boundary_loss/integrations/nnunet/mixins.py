"""What an nnU-Net trainer inherits to train with a distance term; nnU-Net itself is not imported here.

    class nnUNetTrainerMine(BoundaryTerm, nnUNetTrainer):
        schedule = "steal(0.002)"

Settings are class attributes, because nnU-Net's command line passes none, and a prediction finds the trainer again by
its name alone. The weights of an epoch follow from its number and from the scores before it, which nnU-Net keeps in its
checkpoints, so a resumed training has those of an uninterrupted one.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from boundary_loss.integrations.nnunet.loss import FULL_RESOLUTION, WithTerm, boundary_term, hausdorff_term
from boundary_loss.losses import FromLabels
from boundary_loss.schedule import parse_schedule

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer as Trainer
else:
    Trainer = object


class DistanceTerm(Trainer):
    """Adds a distance term to whatever loss the trainer beside it builds; the first of a class's bases."""

    schedule: ClassVar[str] = "linear(0, 0.1, {epochs})"
    """Of the weights (own loss, term), as in a ledger: ``constant``, ``steal(s)``, ``rebalance(s, most)``,
    ``linear(from, to, epochs)``, ``add(s, t)``, ``after(dice>x)``. ``{epochs}`` stands for the trainer's number."""
    initial_weights: ClassVar[tuple[float, float]] = (1.0, 0.0)
    """That the schedule starts from."""
    level_weights: ClassVar[Sequence[float]] = FULL_RESOLUTION
    """Of the term at the outputs of deep supervision, the finest first; missing ones are 0."""

    def make_term(self, **options: Any) -> FromLabels:
        """Return the term; ``options`` are the first arguments of :func:`~.loss.boundary_term`."""
        raise NotImplementedError("inherit BoundaryTerm or HausdorffTerm")

    def _build_loss(self) -> nn.Module:
        self._rule = parse_schedule(self.schedule.format(epochs=self.num_epochs), num_terms=2)
        labels = self.label_manager
        term = self.make_term(
            heads=labels.num_segmentation_heads, regions=labels.has_regions, ignore_label=labels.ignore_label,
            spacing_mm=self.configuration_manager.spacing, level_weights=self.level_weights,
        )  # fmt: skip
        self.print_to_log_file(
            f"{type(term.loss).__name__} beside the trainer's own loss, schedule {self.schedule} from "
            f"{self.initial_weights}; spacing {list(self.configuration_manager.spacing)} mm"
        )
        return WithTerm(super()._build_loss(), term, self.weights_at(self.current_epoch))

    def weights_at(self, epoch: int) -> tuple[float, float]:
        """Return the weights of own loss and term during an epoch, 0 the first, whose scores before are known."""
        scores = self.logger.get_value("mean_fg_dice", step=None)
        own, term = self._rule.weights(epoch, self.initial_weights, [float(score) for score in scores])
        return own, term

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.loss.weights = self.weights_at(self.current_epoch)
        self.loss.measure_next = True
        own, term = self.loss.weights
        self.print_to_log_file(f"Weight of the trainer's own loss: {own:.6g}, of {self._named()}: {term:.6g}")

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        super().on_train_epoch_end(train_outputs)
        if self.loss.measured is not None:
            own, term = self.loss.measured.tolist()
            alike = f"equal at weight {own / term:.3g}" if term else "its patches had no boundary"
            both = f"own loss {own:.3g}, {self._named()} {term:.3g}"
            self.print_to_log_file(f"Gradients in the first step, unweighted: {both}; {alike}")

    def _named(self) -> str:
        return type(self.loss.term.loss).__name__


class BoundaryTerm(DistanceTerm):
    """Trains with the boundary loss (Kervadec et al., MIDL 2019) beside the trainer's own.

    By default its weight grows from 0 to 0.1 over the training. Distances are in mm, so a false voxel 30 mm away weighs
    3 at the end, and the edge itself next to nothing.
    """

    map_options: ClassVar[Mapping[str, Any]] = {}
    """Of the maps: convention, absent, normalise, max_distance, see :func:`boundary_loss.signed_distance`."""

    def make_term(self, **options: Any) -> FromLabels:
        return boundary_term(**options, **self.map_options)


class HausdorffTerm(DistanceTerm):
    """Trains with the Hausdorff loss by distance transforms (Karimi & Salcudean, TMI 2020) beside the trainer's own.

    It weighs squared errors by squared distances (mm²), hence the smaller weight.
    """

    schedule: ClassVar[str] = "linear(0, 0.01, {epochs})"
    loss_options: ClassVar[Mapping[str, Any]] = {}
    """Of :class:`boundary_loss.HausdorffLoss`: sides, alpha, unit, absent."""

    def make_term(self, **options: Any) -> FromLabels:
        return hausdorff_term(**options, **self.loss_options)
