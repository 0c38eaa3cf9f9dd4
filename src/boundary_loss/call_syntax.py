"""Read ``name(option=value, ...)`` as users write it in a ledger or in ``NET=``: no eval, no Python."""

import inspect
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from boundary_loss.owncode import explained

Value = int | float | bool | str

_NAME = r"[A-Za-z_][\w.]*(?::[A-Za-z_]\w*)?"
_CALL = re.compile(rf"\s*({_NAME})\s*(?:\((.*)\))?\s*", re.DOTALL)
_ARGUMENT = re.compile(
    r"""\s*(?:(?P<key>[A-Za-z_]\w*)\s*=(?!=)\s*)?           # option =
        (?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\s,'"()=]+))\s*  # value
        (?P<end>,|$)""",
    re.VERBOSE,
)
_INT = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_TERM = re.compile(r"(?P<call>.+):(?P<weight>[-+]?[\d.]+(?:[eE][-+]?\d+)?)(?:@(?P<classes>[\d,-]+))?")
_BOOLS = {"true": True, "false": False}


def parse_call(text: str) -> tuple[str, dict[str, Value]]:
    """Take a call apart: ``'UNet(width=8)'`` -> ``('UNet', {'width': 8})``.

    A name is a word, a dotted path or an import path (``mypackage.nets:TinyNet``). Values are integers, decimal
    numbers, ``true``/``false`` and words, in quotes or not. Values without a name are numbered:
    ``'steal(0.01)'`` -> ``('steal', {'0': 0.01})``.

    Raises:
        ValueError: the text is not such a call, or names an option twice.
    """
    match = _CALL.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' cannot be read; write name or name(option=value, ...)")
    name, inside = match.groups()
    options: dict[str, Value] = {}
    position, ended = 0, not (inside and inside.strip())
    while not ended:
        argument = _ARGUMENT.match(inside, position)
        if argument is None:
            raise ValueError(f"'{inside[position:].strip()}' in '{text}' cannot be read; write option=value, ...")
        key = argument["key"] or str(len(options))
        if key in options:
            raise ValueError(f"'{text}' gives {key} twice")
        options[key] = _value(argument)
        position, ended = argument.end(), argument["end"] != ","
    return name, options


def parse_term(text: str) -> tuple[str, str, str | None]:
    """Take a loss term of a ledger apart: ``boundary(map=3d):0.01@1`` -> its call, its weight, its classes if any.

    Raises:
        ValueError: the text is not ``loss[(option=value,...)]:weight[@classes]``.
    """
    match = _TERM.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a loss term; write loss[(option=value,...)]:weight[@classes], as gdl:1")
    return match["call"], match["weight"], match["classes"]


def _value(argument: re.Match[str]) -> Value:
    bare = argument["bare"]
    if bare is None:
        return argument["single"] if argument["single"] is not None else argument["double"]
    if _INT.fullmatch(bare):
        return int(bare)
    if _FLOAT.fullmatch(bare):
        return float(bare)
    return _BOOLS.get(bare.lower(), bare)


def import_named(path: str, what: str) -> Callable[..., Any]:
    """The class or function at an import path, ``mypackage.nets:TinyNet``; ValueError if it leads nowhere.

    Args:
        what: what is looked for, for the message: ``network``, ``loss``.
    """
    module, _, name = path.partition(":")
    with explained(f"{what} '{path}' cannot be imported"):
        try:
            imported = import_module(module)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"{error}; is its folder in PYTHONPATH?") from error
    found = getattr(imported, name, None)
    if found is None:
        raise ValueError(f"{what} '{path}': module {module} has no {name}")
    if not callable(found):
        raise ValueError(f"{what} '{path}' is not a class")
    return found


def check_options(
    name: str, function: Callable[..., Any], options: Mapping[str, Value], given: int = 0, filled: str = ""
) -> None:
    """Refuse options that ``function`` does not have or lacks, or whose type differs from its default's.

    Args:
        name: what the user calls it, for the message.
        function: a function or class; its parameters after the first ``given`` are the options.
        options: as :func:`parse_call` returns them.
        given: how many leading parameters the caller fills in.
        filled: the name of another that the caller fills in.
    """
    parameters = list(inspect.signature(function).parameters.values())[given:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = {p.name: p.default for p in parameters if p.kind is not p.VAR_POSITIONAL}
    empty = inspect.Parameter.empty
    for key, default in known.items():
        if default is empty and key not in options and key != filled:
            raise ValueError(f"{name} needs the option '{key}', as {name}({key}=...)")
    for key, value in options.items():
        if key not in known:
            listing = ", ".join(f"{option}={default}" for option, default in known.items()) or "none"
            raise ValueError(f"unknown option '{key}' of {name}; known: {listing}")
        default = known[key]
        if default is None or default is empty:
            continue
        fits = isinstance(value, (int, float) if isinstance(default, float) else type(default))
        if not fits or isinstance(value, bool) != isinstance(default, bool):
            raise ValueError(f"{name}({key}={value}): expected {type(default).__name__}, as {key}={default}")
