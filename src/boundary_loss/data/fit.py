"""Reads what a ledger says a network is shown of whole volumes: ``pad(32)``, ``reduce(4,4,2)``, ``stretch(512)``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from boundary_loss.call_syntax import bind_named
from boundary_loss.data.frame import Frame


class Step(Protocol):
    """A step of the fit."""

    def __call__(self, frame: Frame) -> Frame:
        """Return the frame after this step, of the frame before it."""
        ...


@dataclass(frozen=True)
class Pad:
    """``pad(multiple)``: extend each side to a multiple of so many voxels, as networks that halve it need."""

    multiple: int

    def __post_init__(self) -> None:
        _at_least_1("pad", self.multiple)

    def __call__(self, frame: Frame) -> Frame:
        return frame.pad(self.multiple)


@dataclass(frozen=True, init=False)
class Reduce:
    """``reduce(x,y,z)``: show one voxel in place of so many along each axis."""

    by: tuple[int, ...]
    written_as: ClassVar[str] = "reduce(x,y,z)"

    def __init__(self, *by: int) -> None:
        if len(by) != 3:
            raise ValueError(f"reduce needs a number for each axis, as {self.written_as}, got {len(by)}")
        _at_least_1("reduce", *by)
        object.__setattr__(self, "by", by)

    def __call__(self, frame: Frame) -> Frame:
        return frame.reduce(self.by)


@dataclass(frozen=True)
class Stretch:
    """``stretch(side)``: stretch to a cube whose side is the longer one of a slice, at most so many voxels."""

    side: int

    def __post_init__(self) -> None:
        _at_least_1("stretch", self.side)

    def __call__(self, frame: Frame) -> Frame:
        return frame.stretch(self.side)


STEPS: dict[str, Callable[..., Step]] = {"pad": Pad, "reduce": Reduce, "stretch": Stretch}


@dataclass(frozen=True)
class Fit:
    """The steps of a row, applied in turn; without any, a volume is shown as it is."""

    steps: tuple[Step, ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Fit":
        """Return the Fit of ``["reduce(4,4,2)", "pad(16)"]``; of nothing, or ``["none"]``, one without steps.

        Raises:
            ValueError: an unknown or ill-formed step.
        """
        return cls() if list(texts) in ([], ["none"]) else cls(tuple(map(parse_step, texts)))

    def __call__(self, source: Sequence[int]) -> Frame:
        """Return the frame of a volume of this shape."""
        frame = Frame.whole(source)
        for step in self.steps:
            frame = step(frame)
        return frame


def parse_step(text: str) -> Step:
    """Return Pad(32) for ``pad(32)``; ValueError if unknown, ill-formed or below 1."""
    return bind_named(text, STEPS, "fit")[1]()


def _at_least_1(name: str, *numbers: int) -> None:
    if min(numbers) < 1:
        raise ValueError(f"{name}({','.join(map(str, numbers))}): the numbers must be at least 1")
