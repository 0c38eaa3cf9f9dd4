"""Loss weights and learning rates at an epoch: pure functions of the epoch and of the scores before it.

Nothing here remembers anything, so a resumed run gets exactly what an uninterrupted one would.
Rules are written as in a ledger: ``steal(0.01)``, ``after(dice>0.5)``, ``plateau(20)``.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from boundary_loss.call_syntax import bind, parse_call, usage

Weights = tuple[float, ...]
_ENDLESS = 1e300
_DICE = re.compile(r"\(\s*dice\s*>\s*")


class Schedule(Protocol):
    """How the weights of the losses move over the epochs."""

    def weights(self, epoch: int, initial: Weights, val_dice_history: Sequence[float]) -> Weights:
        """The weights used during ``epoch`` (0 = the first); the history holds one score for each epoch before it."""
        ...


class Rate(Protocol):
    """How the learning rate moves over the epochs."""

    def at(self, epoch: int, base: float, history: Sequence[float]) -> float:
        """The rate used during ``epoch`` (0 = the first); the history holds one score for each epoch before it."""
        ...


@dataclass(frozen=True)
class Constant:
    """``constant``: as they are."""

    def weights(self, epoch: int, initial: Weights, val_dice_history: Sequence[float]) -> Weights:
        return initial

    def at(self, epoch: int, base: float, history: Sequence[float]) -> float:
        return base


@dataclass(frozen=True)
class Steal:
    """``steal(step)``: (a, b) -> (max(0.1, a − step·e), b + step·e); the original's recommendation, step 0.01."""

    step: float
    terms: ClassVar[int] = 2

    def weights(self, epoch: int, initial: Weights, val_dice_history: Sequence[float]) -> Weights:
        a, b = initial
        return max(0.1, a - self.step * epoch), b + self.step * epoch


@dataclass(frozen=True, init=False)
class Add:
    """``add(step, step, ...)``: each weight grows by its own step an epoch, or shrinks, at most to 0."""

    steps: tuple[float, ...]

    def __init__(self, *steps: float) -> None:
        if not steps:
            raise ValueError("add needs one step for each loss, as add(0, 0.01)")
        object.__setattr__(self, "steps", steps)

    def weights(self, epoch: int, initial: Weights, val_dice_history: Sequence[float]) -> Weights:
        return tuple(max(0.0, w + step * epoch) for w, step in zip(initial, self.steps, strict=True))


@dataclass(frozen=True)
class Rebalance:
    """``rebalance(step, most)``: α = min(most, b + step·e) for the last loss and 1 − α for the first.

    Kervadec et al., MedIA 2021, section 3: (1 − α) L_region + α L_boundary with growing α. Losses in between keep
    their ratio to the first, whose own weight plays no part beside one other.
    """

    step: float = 0.01
    most: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.most <= 1:
            raise ValueError(f"rebalance: most={self.most:g} must be 0 to 1")

    def weights(self, epoch: int, initial: Weights, val_dice_history: Sequence[float]) -> Weights:
        first, *between, last = initial
        if between and first == 0:
            raise ValueError("rebalance keeps the losses' ratios to the first one, whose weight must not be 0")
        alpha = min(self.most, last + self.step * epoch)
        return 1 - alpha, *((1 - alpha) * weight / first for weight in between), alpha


@dataclass(frozen=True)
class Linear:
    """``linear(start, end, epochs)``: the last weight goes from start to end in that many epochs, then stays."""

    start: float
    end: float
    epochs: int

    def __post_init__(self) -> None:
        at_least("linear: epochs", self.epochs, 1)

    def weights(self, epoch: int, initial: Weights, val_dice_history: Sequence[float]) -> Weights:
        share = min(1.0, epoch / self.epochs)
        return *initial[:-1], (1 - share) * self.start + share * self.end


@dataclass(frozen=True)
class After:
    """``after(dice>x)``: the last loss joins once the best validation Dice so far exceeds x; until then it weighs 0."""

    dice: float
    written_as: ClassVar[str] = "after(dice>x)"

    def __post_init__(self) -> None:
        if self.dice >= 1:
            raise ValueError(f"after(dice>{self.dice:g}) never comes: a Dice is at most 1")

    def weights(self, epoch: int, initial: Weights, val_dice_history: Sequence[float]) -> Weights:
        reached = any(score > self.dice for score in val_dice_history[:epoch])
        return initial if reached else (*initial[:-1], 0.0)


@dataclass(frozen=True)
class Plateau:
    """``plateau(patience, factor)``: times ``factor`` when the best epoch is ``patience`` epochs old.

    Counted again after each time. The rule that the papers state (patience 20, halved); the default.
    """

    patience: int = 20
    factor: float = 0.5

    def __post_init__(self) -> None:
        at_least("plateau: patience", self.patience, 1)
        if not 0 < self.factor <= 1:
            raise ValueError(f"plateau: factor={self.factor:g} must be above 0, and 1 at most")

    def at(self, epoch: int, base: float, history: Sequence[float]) -> float:
        best, since, rate = -math.inf, 0, base
        for past, score in enumerate(history[:epoch]):
            if score > best:
                best, since = score, past
            if past - since >= self.patience:
                rate, since = rate * self.factor, past
        return rate


@dataclass(frozen=True)
class HalveWhenDue:
    """``halve_when_due``: halve at the end of each epoch that (best epoch + 20) divides, epoch 0 included.

    What the original's code does, kept for comparison with it.
    """

    patience: int = 20

    def __post_init__(self) -> None:
        at_least("halve_when_due: patience", self.patience, 1)

    def at(self, epoch: int, base: float, history: Sequence[float]) -> float:
        best, best_epoch, rate = -math.inf, 0, base
        for past, score in enumerate(history[:epoch]):
            if score > best:
                best, best_epoch = score, past
            if past % (best_epoch + self.patience) == 0:
                rate /= 2
        return rate


@dataclass(frozen=True)
class Cosine:
    """``cosine(epochs)``: half a cosine from the base rate to 0 (Loshchilov & Hutter, ICLR 2017, without restarts)."""

    epochs: int

    def __post_init__(self) -> None:
        at_least("cosine: epochs", self.epochs, 1)

    def at(self, epoch: int, base: float, history: Sequence[float]) -> float:
        return base * (1 + math.cos(math.pi * min(1.0, epoch / self.epochs))) / 2


@dataclass(frozen=True)
class Poly:
    """``poly(epochs, power)``: base · (1 − e / epochs)^power, as nnU-Net (power 0.9)."""

    epochs: int
    power: float = 0.9

    def __post_init__(self) -> None:
        at_least("poly: epochs", self.epochs, 1)
        at_least("poly: power", self.power, 0)

    def at(self, epoch: int, base: float, history: Sequence[float]) -> float:
        return base * max(0.0, 1 - epoch / self.epochs) ** self.power


@dataclass(frozen=True, init=False)
class Steps:
    """``steps(epoch, epoch, ...)``: a tenth of the rate from each of these epochs on, as OSS-Net: steps(20,30)."""

    epochs: tuple[int, ...]

    def __init__(self, *epochs: int) -> None:
        if not epochs or list(epochs) != sorted({*epochs}) or epochs[0] < 1:
            raise ValueError("steps needs one epoch or more, from 1 on and rising, as steps(20,30)")
        object.__setattr__(self, "epochs", epochs)

    def at(self, epoch: int, base: float, history: Sequence[float]) -> float:
        return base * 0.1 ** sum(step <= epoch for step in self.epochs)


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "steal": Steal,
    "add": Add,
    "rebalance": Rebalance,
    "linear": Linear,
    "after": After,
}
RATES: dict[str, type[Rate]] = {
    "constant": Constant,
    "plateau": Plateau,
    "halve_when_due": HalveWhenDue,
    "cosine": Cosine,
    "poly": Poly,
    "steps": Steps,
}


def parse_schedule(text: str, num_terms: int) -> Schedule:
    """A rule for the weights, ``steal(0.01)``; ValueError if unknown, ill-formed or unfit for this number of losses."""
    schedule = _parse(text, SCHEDULES, "schedule")
    if isinstance(schedule, After) and num_terms < 2:
        raise ValueError(f"schedule '{text}' would leave a run with one loss nothing to train on; give it another loss")
    if isinstance(schedule, Rebalance) and num_terms < 2:
        raise ValueError(f"schedule '{text}' is for 2 losses or more, the run has {num_terms}")
    needed = len(schedule.steps) if isinstance(schedule, Add) else getattr(schedule, "terms", num_terms)
    if needed != num_terms:
        raise ValueError(f"schedule '{text}' is for {needed} losses, the run has {num_terms}")
    return schedule


def parse_rate(text: str) -> Rate:
    """A rule for the learning rate, ``plateau(20)``; ValueError if unknown or ill-formed."""
    return _parse(text, RATES, "learning-rate rule")


Rule = TypeVar("Rule")


def _parse(text: str, rules: dict[str, type[Rule]], kind: str) -> Rule:
    name, options = parse_call(_DICE.sub("(", text))
    if name not in rules:
        raise ValueError(f"unknown {kind} '{text}'; known: {', '.join(usage(n, r) for n, r in rules.items())}")
    make = bind(rules[name], options, kind, name=name, numbered=True)
    if not all(abs(number) < _ENDLESS for number in (*make.args, *make.keywords.values())):
        raise ValueError(f"{kind} '{text}' needs finite numbers, below {_ENDLESS:g}")
    return make()


def written(rule: Schedule | Rate) -> str:
    """The text that gives this rule, with all of its numbers: ``plateau(20)``, also where ``plateau`` was written."""
    name = next(name for name, known in {**SCHEDULES, **RATES}.items() if type(rule) is known)
    numbers = [number for value in vars(rule).values() for number in (value if isinstance(value, tuple) else [value])]
    text = ",".join(f"{number:.12g}" for number in numbers)
    return f"after(dice>{text})" if isinstance(rule, After) else f"{name}({text})" if text else name


def at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise ValueError(f"{name}={value} must be at least {least}")
