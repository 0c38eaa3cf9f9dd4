"""A ledger row, parsed once: text -> frozen dataclasses.

A row is a list of terms, ``loss[(option=value,...)]:weight[@classes]``, as ``gdl:1 boundary(map=3d):0.01@1``,
with a rule for the weights over the epochs, as ``steal(0.01)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from boundary_loss import losses
from boundary_loss.call_syntax import parse_call, parse_term
from boundary_loss.data import Augmentation, View
from boundary_loss.data.augmentation.transforms import written as transform_text
from boundary_loss.networks.distance_head import DISTANCES, SUFFIX
from boundary_loss.schedule import Rate, Schedule, parse_rate, parse_schedule, written
from boundary_loss.settings import Settings, declared

_HEAVIEST = 1e30  # weights beyond it leave float32


@dataclass(frozen=True, kw_only=True)
class Term:
    """One summand of the training loss."""

    text: str
    """As the ledger has it."""
    name: str
    options: dict[str, Any]
    weight: float
    """At epoch 0; the schedule may move it."""
    classes: tuple[int, ...]
    """The channels that the loss sees; all of them unless the row says otherwise."""

    @classmethod
    def parse(cls, text: str, num_classes: int) -> "Term":
        """``boundary(map=3d):0.01@1`` -> Term; ValueError says what is wrong and what is known."""
        call, weight_text, class_text = parse_term(text)
        try:
            weight = float(weight_text)
        except ValueError:
            raise ValueError(f"the weight of '{text}' is not a number: '{weight_text}'") from None
        name, options = parse_call(call)
        classes = _classes(class_text, num_classes, text)
        term = cls(text=text, name=name, options=options, weight=weight, classes=classes)
        term.build()  # a misspelt loss or option stops here, before any data is read
        return term

    def build(self) -> nn.Module:
        return losses.build(self.name, classes=self.classes, **self.options)

    @property
    def reads(self) -> str:
        """The name of the output that the loss takes: ``probs``, or another of the network's, as ``distances``."""
        return getattr(self.build(), "reads", "probs")


def _classes(text: str | None, num_classes: int, term: str) -> tuple[int, ...]:
    """``0,2-3`` -> (0, 2, 3); ``1-`` -> 1 and every class after it, whatever the data has."""
    if text is None:
        return tuple(range(num_classes))
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise ValueError(f"the classes of '{term}' read '{text}'; write them as 1 or 0,1 or 1-3 or 1-")
        end = last or num_classes - 1 if dash else first
        found += range(int(first), min(int(end), num_classes) + 1)
    if not found or max(found) >= num_classes or len(set(found)) < len(found):
        raise ValueError(f"'{term}' names classes {found}; the data has 0..{num_classes - 1}, each at most once")
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Experiment(Settings):
    """The settings of one run, read for data of ``num_classes`` classes; every fault is a ValueError."""

    num_classes: int
    of_volumes: bool = False
    """Whether the data is of whole volumes; what is shown, if the row does not say it, follows from this."""

    @cached_property
    def view(self) -> View:
        """What the network is shown."""
        return View.parse(self.fit, self.sample or ("whole" if self.of_volumes else "slices"), self.infer)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        return tuple(Term.parse(text, self.num_classes) for text in self.losses)

    @cached_property
    def weight_rule(self) -> Schedule:
        return parse_schedule(self.schedule, len(self.terms))

    @cached_property
    def rate_rule(self) -> Rate:
        return parse_rate(self.rate)

    @cached_property
    def augmentation(self) -> Augmentation | None:
        """How the training slices are altered, anew in each epoch."""
        return Augmentation.parse(self.augment)

    def __post_init__(self) -> None:
        _ = self.view, self.terms, self.weight_rule, self.rate_rule, self.augmentation  # ValueError for each's text
        super().__post_init__()
        self._check_weights()
        if self.save_train and self.augmentation is not None:
            raise ValueError("save_train keeps predictions on the slices as they are; it does not go with AUGMENT")

    def _check_weights(self) -> None:
        """Refuse weights that train nothing, maximise a loss or leave float32.

        The rules only rise or only fall, so that the first and the last epoch show all; for a rule that waits for a
        Dice, 1 is the Dice that comes.
        """
        last = self.epochs - 1
        for epoch in (0, last):
            weights = self.weights(epoch, (1.0,))
            for term, weight in zip(self.terms, weights, strict=True):
                if not 0 <= weight <= _HEAVIEST:
                    raise ValueError(
                        f"'{term.text}' weighs {weight:g} in epoch {epoch}; weights must be 0 to {_HEAVIEST:g}. Below "
                        "0 a loss would be maximised: mend the term or the schedule"
                    )
            if epoch == last and not any(weights):
                raise ValueError(
                    f"all losses ({' '.join(term.text for term in self.terms)}) weigh 0 in epoch {epoch}, which leaves "
                    "nothing to train on: mend the weights or the schedule"
                )

    @cached_property
    def distance_head(self) -> bool:
        """Whether a term reads a distance head, which the network then has."""
        return any(term.reads == DISTANCES for term in self.terms)

    @property
    def built_network(self) -> str:
        """The network's text, with the distance head that the terms need."""
        return self.network.removesuffix(SUFFIX) + SUFFIX if self.distance_head else self.network

    def settings(self) -> dict[str, Any]:
        """Return every setting as run.json records it; rules and transforms as text, with all of their numbers."""
        return {setting.key: getattr(self, setting.field.name) for setting in declared()} | {
            "terms": [term.text for term in self.terms],
            "schedule": written(self.weight_rule),
            "rate": written(self.rate_rule),
            "network": self.built_network,
            "augment": _transforms(self.augmentation),
            "weights": str(self.initial_weights) if self.initial_weights else None,
            **self.view.words,
            "infer": self.view.words["infer"] if self.infer else None,
            "boxes": str(self.boxes) if self.boxes else None,
        }

    def keeps(self, epoch: int) -> bool:
        """Whether the predictions of an epoch stay on the disk, be they neither the best nor the last."""
        return self.keep > 0 and (epoch + 1) % self.keep == 0

    def weights(self, epoch: int, history: Sequence[float]) -> tuple[float, ...]:
        """Weight of each term during ``epoch``; ``history``: validation Dice of the epochs before."""
        return self.weight_rule.weights(epoch, tuple(term.weight for term in self.terms), history)


def _transforms(augmentation: Augmentation | None) -> list[str]:
    """``["flip(x)", "rotate(15)"]``, in one order whatever the ledger's."""
    if augmentation is None:
        return []
    return [transform_text(name, transform) for name, transform in vars(augmentation).items() if transform is not None]
