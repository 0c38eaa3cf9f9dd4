"""A ledger row, parsed once: text -> frozen dataclasses.

A row is a list of terms, ``loss[(option=value,...)]:weight[@classes]``, as ``gdl:1 boundary(map=3d):0.01@1``,
with a rule for the weights over the epochs, as ``steal(0.01)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from torch import nn

from boundary_loss import losses
from boundary_loss.call_syntax import parse_call, parse_term
from boundary_loss.data import Augmentation
from boundary_loss.networks.distance_head import SUFFIX
from boundary_loss.schedule import Rate, Schedule, parse_rate, parse_schedule, written

PRECISIONS = ("off", "bf16", "fp16")
LAYOUTS = ("last", "first")
PREDICTIONS = ("png", "packed")

_MOST = 2**31 - 1
_SEEDS = 9 * 10**12  # torch's generators take 64 bits; an epoch's seed is a million times the run's
_RANGES = {
    "epochs": ("EPC", 1, _MOST),
    "batch_size": ("BS", 1, _MOST),
    "learning_rate": ("LR", 1e-30, 1e30),
    "temperature": ("--temperature", 1e-30, 1e30),
    "seed": ("SEED", -_SEEDS, _SEEDS),
}
"""What a user calls a setting, its least and its greatest value."""
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
        found += range(int(first), min(int(last if dash else first), num_classes) + 1)
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
    """Only algorithms that give the same bits every time; on a CPU they all do, with as many threads."""

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
        for name, (given_as, least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{given_as}={getattr(self, name)} does not fit: it must be {least} to {most}")
        self._check_weights()
        if self.save_train and self.augmentation is not None:
            raise ValueError("save_train keeps predictions on the slices as they are; it does not go with AUGMENT")
        for name, known in (("amp", PRECISIONS), ("layout", LAYOUTS), ("predictions", PREDICTIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got '{getattr(self, name)}'")

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
        return any(term.reads == "distances" for term in self.terms)

    @property
    def built_network(self) -> str:
        """The network's text, with the distance head that the terms need."""
        return self.network.removesuffix(SUFFIX) + SUFFIX if self.distance_head else self.network

    def settings(self) -> dict[str, Any]:
        """Return every field as run.json records it; rules and transforms as text, with all of their numbers."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "augmentation"}
        return plain | {
            "terms": [term.text for term in self.terms],
            "schedule": written(self.schedule),
            "rate": written(self.rate),
            "network": self.built_network,
            "augment": _transforms(self.augmentation),
        }

    def weights(self, epoch: int, history: Sequence[float]) -> tuple[float, ...]:
        """Weight of each term during ``epoch``; ``history``: validation Dice of the epochs before."""
        return self.schedule.weights(epoch, tuple(term.weight for term in self.terms), history)


def _transforms(augmentation: Augmentation | None) -> list[str]:
    """``["flip(x)", "rotate(15.0)"]``, in the order in which they are applied."""
    if augmentation is None:
        return []
    used = [(name, transform) for name, transform in vars(augmentation).items() if transform is not None]
    return [f"{name}({','.join(map(str, vars(transform).values()))})" for name, transform in used]
