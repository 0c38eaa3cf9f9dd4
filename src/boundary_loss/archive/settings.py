"""Check the variables of make that an archive was made with.

They come from whoever packed the archive, and make and the shell would execute what they contain. Therefore only the
variables that shape a result are accepted, each value is parsed as a training parses it, and all others are refused.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from boundary_loss.call_syntax import parse_call, parse_term
from boundary_loss.metric_definitions import METRIC_SETS, METRICS
from boundary_loss.schedule import parse_rate, parse_schedule
from boundary_loss.settings import PRECISIONS, PREDICTIONS, declared

PLAIN = re.compile(r"\w[\w.-]*")
"""A name of a row, a file or a folder, without characters that mean something to make or the shell."""
SWITCH = ("", "0", "no", "off", "false", "1", "yes", "on", "true")

TRAINING_OPTIONS = tuple(setting.flag for setting in declared() if not setting.option.make)
PREPARING_OPTIONS = (
    *("--seed", "--split", "--shape", "--n_augment", "--discard_negatives", "--ignore", "--spacing"),
    *("--trust_affine", "--normalise", "--modalities", "--workers"),
)
LOCATING_OPTIONS = ("--least", "--buffer", "--multiple")
PHANTOM_OPTIONS = ("--cases", "--size", "--seed")
REPORT_OPTIONS = ("--columns", "--test", "--baseline", "--alpha")
PATHS = ("--split", *(setting.flag for setting in declared() if setting.is_path))
"""Options that name a file, which must be inside the checkout."""


def read_variables(variables: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Check the variables of an archive: ``{"EPC": "100", "gdl.losses": "gdl:1", ...}``.

    Returns:
        The variables, and the import paths (``mypackage.nets:TinyNet``) that a training with them would import.

    Raises:
        ValueError: an unknown variable, or a value that a study's variable of this name cannot have.
    """
    imports: list[str] = []
    for name, value in variables.items():
        reader = _reader(name, variables)
        if reader is None:
            raise ValueError(f"the archive sets {shown(name)}, which is no variable that shapes a result; refused")
        if not isinstance(value, str) or not (value.isprintable() or not value):
            raise ValueError(f"the archive's {shown(name)} is not one line of text; refused")
        try:
            imports += [called for called in reader(value) or () if ":" in called]
        except ValueError as error:
            raise ValueError(f"the archive sets {name} to what cannot be read: {error}; refused") from None
    unknown = [row for row in variables.get("RUNS", "").split() if f"{row}.losses" not in variables]
    if unknown:
        raise ValueError(f"the archive names rows in RUNS that it does not define: {', '.join(unknown)}; refused")
    return dict(variables), list(dict.fromkeys(imports))


def shown(text: object) -> str:
    """Return text of an archive for a terminal, with unprintable characters such as escape codes spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


Reader = Callable[[str], list[str] | None]
"""Raises ValueError for a value that cannot be parsed; may return the networks and losses that it names."""


def _reader(name: str, variables: Mapping[str, Any]) -> Reader | None:
    row, dot, part = name.rpartition(".")
    if not dot:
        return _READERS.get(name)
    if not PLAIN.fullmatch(row):
        return None
    if part == "schedule":
        return partial(_schedule, len(str(variables.get(f"{row}.losses")).split()))
    return _ROW_READERS.get(part)


def _whole(text: str) -> None:
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError(f"'{text}' is not a whole number")


def _whole_or_none(text: str) -> None:
    if text:
        _whole(text)


def _file(text: str) -> None:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or text.startswith("~"):
        raise ValueError(f"{text} is a file outside this checkout")


def _number(text: str) -> None:
    float(text)


def _spacing(text: str) -> None:
    sizes = [float(word) for word in re.split(r"[,\s]+", text.strip()) if word]
    if len(sizes) not in (0, 3) or not all(0 < size < float("inf") for size in sizes):
        raise ValueError(f"'{text}' is not three voxel sizes in mm, as 0.9,0.9,5")


def _one_of(known: tuple[str, ...], text: str) -> None:
    if text not in known:
        raise ValueError(f"'{text}' is not one of {', '.join(filter(None, known))}")


def _each(reader: Reader, text: str) -> list[str]:
    return [called for word in text.split() for called in reader(word) or ()]


def _row(text: str) -> None:
    if not PLAIN.fullmatch(text):
        raise ValueError(f"'{text}' is not the name of a row")


def _row_or_none(text: str) -> None:
    if text:
        _row(text)


def _call(text: str) -> list[str]:
    return [parse_call(text)[0]]


def _call_or_none(text: str) -> list[str]:
    return _call(text) if text else []


def _network(text: str) -> list[str]:
    return _call(text.removesuffix("+distances"))


def _term(text: str) -> list[str]:
    return _call(parse_term(text)[0])


def _schedule(num_terms: int, text: str) -> None:
    parse_schedule(text, num_terms)


def _rate(text: str) -> None:
    parse_rate(text)


def _options(known: tuple[str, ...], text: str) -> None:
    option = ""
    for word in shlex.split(text):
        if word.startswith("-") and not re.fullmatch(r"-[\d.]+", word):
            option, _, word = word.partition("=")
            if option not in known:
                raise ValueError(f"'{option}' is not one of {', '.join(known)}")
        elif not option:
            raise ValueError(f"'{word}' belongs to no option")
        path = PurePosixPath(word)
        if option in PATHS and (path.is_absolute() or ".." in path.parts):
            raise ValueError(f"{option} {word} is a file outside this checkout")


_READERS: dict[str, Reader] = {
    "SRC": partial(_one_of, ("challenge", "phantom")),
    "PHANTOM": partial(_options, PHANTOM_OPTIONS),
    **dict.fromkeys(("RETAIN", "FOLD", "EPC", "BS", "SEED"), _whole),
    "LOCATOR": _row_or_none,
    "LOCATE": partial(_options, LOCATING_OPTIONS),
    "FIT": partial(_each, _call),
    **dict.fromkeys(("SAMPLE", "INFER"), _call_or_none),
    **dict.fromkeys(("FOLDS", "SEEDS"), partial(_each, _whole)),
    "SPACING": _spacing,
    "SPLIT": _file,
    **dict.fromkeys(("PREPARE", "SLICE"), partial(_options, PREPARING_OPTIONS)),
    "NET": _network,
    "LR": _number,
    "RATE": _rate,
    "TRAIN": partial(_options, TRAINING_OPTIONS),
    "DEBUG": partial(_options, TRAINING_OPTIONS),
    "AUGMENT": partial(_each, _call),
    "AMP": partial(_one_of, ("", *PRECISIONS)),
    **dict.fromkeys(("COMPILE", "DETERMINISTIC", "SKIP_NAN"), partial(_one_of, SWITCH)),
    "PREDICTIONS": partial(_one_of, ("", *PREDICTIONS)),
    "KEEP": _whole_or_none,
    "RUNS": partial(_each, _row),
    "METRICS": partial(_each, partial(_one_of, (*METRIC_SETS, *METRICS))),
    "REPORT": partial(_options, REPORT_OPTIONS),
}
OF_A_ROW = ("fit", "sample", "infer", "augment", "net", "epc", "bs", "lr", "rate")
"""What a row may say for itself, as ``gdl.net``; in capitals, what the study says."""
_ROW_READERS: dict[str, Reader] = {
    "losses": partial(_each, _term),
    "options": partial(_options, TRAINING_OPTIONS),
    **{part: _READERS[part.upper()] for part in OF_A_ROW},
}
