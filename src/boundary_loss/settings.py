"""The settings of a training, each declared once.

A field of :class:`Settings` is an option of the command line, an entry of run.json, a line of the report and, where
rows differ in it, a remark on their comparison. What each of them needs to know stands in the field's :class:`Option`.
"""

import argparse
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

PRECISIONS = ("off", "bf16", "fp16")
LAYOUTS = ("last", "first")
PREDICTIONS = ("png", "packed")
DECISIONS = ("argmax", "dice")
DEBUG_SLICES = 10
DEBUG_CASES = 2

DATA = "data and losses"
NETWORK = "network and optimiser"
ARITHMETIC = "arithmetic of the network; the losses are computed in float32 always"
RUN = "the run"
GROUPS = (DATA, NETWORK, ARITHMETIC, RUN)
"""Headings of ``--help``, in its order."""

_MOST = 2**31 - 1
_SEEDS = 9 * 10**12  # torch's generators take 64 bits; an epoch's seed is a million times the run's


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a field's name, type and default do not say of a setting."""

    group: str
    """One of GROUPS."""
    help: str | None = None
    flag: str = ""
    """Of the command line; empty = the field's name."""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    make: str = ""
    """The variable of make, or of a ledger row, that gives this setting; only the others may stand in ``TRAIN``.

    A setting whose text can name code to import needs one: an archive's ``TRAIN`` is not searched for import paths.
    """
    recorded: str = ""
    """Its key in run.json; empty = the field's name."""
    words: str = ""
    """What a sentence of the report calls it; empty = its key, with spaces."""
    heading: str = ""
    """What a table of the report calls it; empty = its words."""
    studied: bool = False
    """Rows are there to differ in it."""
    shapes_result: bool = True
    """Whether rows that differ in it can be compared only with a remark."""


def _about(group: str, help: str | None = None, **more: Any) -> dict[str, Option]:
    return {"option": Option(group=group, help=help, **more)}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What shapes the result of a training, as it is given: numbers, switches and text."""

    losses: tuple[str, ...] = field(
        metadata=_about(
            DATA, "terms loss[(option=value)]:weight[@classes]", make="losses", recorded="terms", heading="losses",
            studied=True,
        )
    )  # fmt: skip
    augment: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            DATA, "altered training slices: flip rotate(15) ..., or none", make="AUGMENT", words="augmentation"
        ),
    )
    fit: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            DATA, "what is shown of whole volumes: pad(16) reduce(4,4,2) stretch(512), or none", make="FIT",
            words="fit of the volumes", heading="fit",
        ),
    )  # fmt: skip
    sample: str = field(
        default="",
        metadata=_about(
            DATA, "slices, whole, patch(x,y,z,object=0.3,each=1), points(n,border=0,band=6,each=1); else slices of "
            "sliced data, whole of whole volumes",
            make="SAMPLE", words="samples", heading="samples",
        ),
    )  # fmt: skip
    infer: str = field(
        default="",
        metadata=_about(
            DATA, "how patches become a whole: windows(overlap=0.5); of points: coarse(stride=4), dense, prior",
            make="INFER", words="inference",
            heading="inference",
        ),
    )  # fmt: skip
    boxes: Path | None = field(
        default=None, metadata=_about(DATA, "folder of the boxes that a locator found", words="boxes of a locator")
    )
    schedule: str = field(
        default="constant",
        metadata=_about(
            DATA, "rule of the terms' weights, as steal(0.01)", make="schedule", heading="schedule of the weights",
            studied=True,
        ),
    )  # fmt: skip
    network: str = field(
        default="UNet", metadata=_about(NETWORK, "name[(option=value)] or package.module:Class", make="NET")
    )
    initial_weights: Path | None = field(
        default=None,
        metadata=_about(NETWORK, "start from these weights (a best.pkl)", flag="weights", recorded="weights",
                        words="initial weights"),
    )  # fmt: skip
    epochs: int = field(
        default=100,
        metadata=_about(NETWORK, make="EPC", least=1, most=_MOST, words="number of epochs", heading="epochs"),
    )
    batch_size: int = field(default=8, metadata=_about(NETWORK, make="BS", least=1, most=_MOST))
    learning_rate: float = field(default=1e-3, metadata=_about(NETWORK, flag="lr", make="LR", least=1e-30, most=1e30))
    rate: str = field(
        default="plateau(20)",
        metadata=_about(NETWORK, "rule of the learning rate", make="RATE", words="rule of the learning rate"),
    )
    optimiser: str = field(default="adam", metadata=_about(NETWORK, choices=("adam", "sgd", "lookahead")))
    """``adam``: betas 0.9, 0.99; ``sgd``: momentum 0.99, weight decay 5e-4; ``lookahead``: each 5 steps of RAdam."""
    temperature: float = field(default=1.0, metadata=_about(NETWORK, "of the softmax", least=1e-30, most=1e30))
    seed: int = field(default=0, metadata=_about(NETWORK, make="SEED", least=-_SEEDS, most=_SEEDS, shapes_result=False))
    """Runs of one row differ in it, as they should."""
    amp: str = field(
        default="off",
        metadata=_about(ARITHMETIC, "16-bit floats where they are safe", choices=PRECISIONS, words="precision (AMP)"),
    )
    """Precision of the network's arithmetic; ``off`` is float32."""
    layout: str = field(
        default="last",
        metadata=_about(
            ARITHMETIC, "where an image's channels stand in memory", choices=LAYOUTS, words="memory layout"
        ),
    )
    """``last``: the channels of a pixel next to each other; ``first``: plane by plane."""
    compiled: bool = field(
        default=False,
        metadata=_about(ARITHMETIC, "torch.compile, with CUDA graphs on a GPU", flag="compile", words="compilation"),
    )
    deterministic: bool = field(
        default=False, metadata=_about(ARITHMETIC, "the same bits from the same GPU, every time")
    )
    """Only algorithms that give the same bits every time; on a CPU they all do, with as many threads."""
    group: bool = field(default=False, metadata=_about(RUN, "one validation batch a volume", shapes_result=False))
    """Some losses and networks want it; the metrics do not depend on it."""
    decision: str = field(
        default="argmax",
        metadata=_about(
            RUN, "the classes of whole volumes: the most probable, or those of the best expected Dice",
            choices=DECISIONS, words="decision of the classes", heading="decision",
        ),
    )  # fmt: skip
    best: str = field(
        default="volume",
        metadata=_about(
            RUN, "what the best epoch maximises", choices=("volume", "slice"), words="choice of the best epoch",
            heading="best epoch maximises Dice per",
        ),
    )  # fmt: skip
    """Dice per ``volume``, or per ``slice`` as the original."""
    save_train: bool = field(
        default=False, metadata=_about(RUN, "keep predictions on training slices too", shapes_result=False)
    )
    predictions: str = field(
        default="png",
        metadata=_about(RUN, "a PNG a slice, or a file an epoch", choices=PREDICTIONS, shapes_result=False),
    )
    keep: int = field(
        default=1,
        metadata=_about(
            RUN, "predictions of every so many epochs stay; 0: of the best and the last alone", least=0, most=_MOST,
            shapes_result=False,
        ),
    )  # fmt: skip
    gradients: bool = field(
        default=False,
        metadata=_about(RUN, "log each term's gradient norm and propose weights", shapes_result=False),
    )
    debug: bool = field(default=False, metadata=_about(RUN, f"{DEBUG_SLICES} slices a set, or {DEBUG_CASES} cases"))

    def __post_init__(self) -> None:
        for setting in declared():
            setting.check(getattr(self, setting.field.name))


@dataclass(frozen=True)
class Setting:
    """A field of :class:`Settings` with its :class:`Option`: its name in each place where it is named."""

    field: Field[Any]

    @property
    def option(self) -> Option:
        return self.field.metadata["option"]

    @property
    def flag(self) -> str:
        return f"--{self.option.flag or self.field.name}"

    @property
    def key(self) -> str:
        """Its key in run.json."""
        return self.option.recorded or self.field.name

    @property
    def words(self) -> str:
        return self.option.words or self.key.replace("_", " ")

    @property
    def heading(self) -> str:
        return self.option.heading or self.words

    @property
    def is_path(self) -> bool:
        return self.field.type == Path | None

    def check(self, value: Any) -> None:
        """Raise ValueError for a number out of range or a word that is not one of the choices."""
        least, most, choices = self.option.least, self.option.most, self.option.choices
        if least is not None and most is not None and not least <= value <= most:
            raise ValueError(f"{self.option.make or self.flag}={value} does not fit: it must be {least} to {most}")
        if choices and value not in choices:
            raise ValueError(f"{self.field.name} is one of {', '.join(choices)}, got '{value}'")

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Declare it as an option of the command line."""
        kind, default = self.field.type, self.field.default
        if kind is bool:
            parser.add_argument(self.flag, dest=self.field.name, action="store_true", help=self.option.help)
            return
        more: dict[str, Any] = {"required": True} if default is MISSING else {"default": default}
        if kind == tuple[str, ...]:
            more |= {"nargs": "+"} | ({} if default is MISSING else {"default": list(default)})
        else:
            more |= {"type": Path if self.is_path else kind, "choices": self.option.choices or None}
        if self.option.flag:
            more["metavar"] = self.option.flag.upper()
        parser.add_argument(self.flag, dest=self.field.name, help=self.option.help, **more)


@cache
def declared() -> tuple[Setting, ...]:
    """Every setting, in the order of ``--help``."""
    return tuple(Setting(own) for own in fields(Settings))


def add_options(groups: Mapping[str, argparse._ActionsContainer]) -> None:
    """Declare every setting as an option of its group."""
    for setting in declared():
        setting.add_to(groups[setting.option.group])


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings among the options of a command line, as arguments of :class:`Settings`."""
    values = {setting.field.name: getattr(args, setting.field.name) for setting in declared()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
