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
from boundary_loss.calltext import parse_call, parse_term
from boundary_loss.data import Augmentation
from boundary_loss.networks.distance_head import SUFFIX
from boundary_loss.schedule import Rate, Schedule, parse_rate, parse_schedule

PRECISIONS = ("off", "bf16", "fp16")
LAYOUTS = ("last", "first")
PREDICTIONS = ("png", "packed")


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
        """Which output of the network the loss takes: ``probs``, or ``distances``, those of a distance head."""
        return getattr(self.build(), "reads", "probs")


def _classes(text: str | None, num_classes: int, term: str) -> tuple[int, ...]:
    """``0,2-3`` -> (0, 2, 3)."""
    if text is None:
        return tuple(range(num_classes))
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ValueError(f"the classes of '{term}' read '{text}'; write them as 1 or 0,1 or 1-3")
        found += range(int(first), int(last if dash else first) + 1)
    if not found or max(found) >= num_classes or len(set(found)) < len(found):
        raise ValueError(f"'{term}' names classes {found}; the data has 0..{num_classes - 1}, each at most once")
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that shapes the result of one run."""

    terms: tuple[Term, ...]
    schedule: Schedule
    network: str
    """As the ledger has it: ``UNet(width=8)`` or ``package.module:Class``."""
    epochs: int
    batch_size: int
    learning_rate: float
    rate: Rate
    optimiser: str = "adam"
    """``adam``: betas 0.9, 0.99; ``sgd``: momentum 0.99, weight decay 5e-4."""
    temperature: float = 1.0
    """Of the softmax."""
    seed: int = 0
    group: bool = False
    """One validation batch a volume, as some losses and networks want; the metrics do not depend on it."""
    best: str = "volume"
    """The best epoch maximises Dice per ``volume``, or per ``slice`` as the original (see docs)."""
    save_train: bool = False
    """Also keep the predictions on the training slices."""
    predictions: str = "png"
    """How an epoch's predictions are kept: one of PREDICTIONS."""
    gradients: bool = False
    """Measure each term's gradient and propose weights; the training itself stays the same."""
    debug: bool = False
    """Ten slices a set."""
    augmentation: Augmentation | None = None
    """How the training slices are altered, anew in each epoch."""
    amp: str = "off"
    """Precision of the network's arithmetic: one of PRECISIONS; ``off`` is float32. The losses are float32 always."""
    layout: str = "last"
    """Where an image's channels stand in memory: ``last``, next to each other, or ``first``, plane by plane."""
    compiled: bool = False
    """The network through torch.compile."""
    deterministic: bool = False
    """Only algorithms that give the same bits every time; on a CPU they all do."""

    @classmethod
    def parse(
        cls,
        *,
        terms: Sequence[str],
        schedule: str,
        rate: str,
        num_classes: int,
        augment: Sequence[str] = (),
        **rest: Any,
    ) -> "Experiment":
        """From the texts of a ledger row and plain values; every fault is a ValueError that lists what is known."""
        parsed = tuple(Term.parse(text, num_classes) for text in terms)
        return cls(
            terms=parsed,
            schedule=parse_schedule(schedule, len(parsed)),
            rate=parse_rate(rate),
            augmentation=Augmentation.parse(augment),
            **rest,
        )

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        if self.save_train and self.augmentation is not None:
            raise ValueError("save_train keeps predictions on the slices as they are; it does not go with AUGMENT")
        for name, known in (("amp", PRECISIONS), ("layout", LAYOUTS), ("predictions", PREDICTIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got '{getattr(self, name)}'")

    @cached_property
    def distance_head(self) -> bool:
        """Whether a term reads a distance head, which the network then has."""
        return any(term.reads == "distances" for term in self.terms)

    @property
    def built_network(self) -> str:
        """The network's text, with the distance head that the terms need."""
        return self.network.removesuffix(SUFFIX) + SUFFIX if self.distance_head else self.network

    def weights(self, epoch: int, history: Sequence[float]) -> tuple[float, ...]:
        """Weight of each term during ``epoch``; ``history``: validation Dice of the epochs before."""
        return self.schedule.weights(epoch, tuple(term.weight for term in self.terms), history)
