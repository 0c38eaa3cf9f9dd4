"""Read ``name(option=value, ...)`` as users write it in a ledger or in ``NET=``: no eval, no Python."""

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import Parameter
from typing import Any, Literal, TypeVar, get_args, get_origin

from boundary_loss.owncode import explained

Value = int | float | bool | str
Made = TypeVar("Made")

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
_READABLE = (bool, int, float, str, Literal, Sequence)


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


def bind(
    function: Callable[..., Made],
    options: Mapping[str, Any],
    kind: str,
    *,
    name: str,
    filled: Collection[str] = (),
    numbered: bool = False,
) -> partial[Made]:
    """Give ``function`` these options, read as its annotations or, without those, its defaults say.

    Args:
        function: a function or class whose parameters are the options; with ``**`` it takes any.
        options: as :func:`parse_call` returns them; text is read as what is wanted, ``"3"`` as a number.
        kind: what is made, for the message: ``loss``, ``schedule``.
        name: what the user calls it, for the message.
        filled: parameters that the caller fills in when it calls the result.
        numbered: whether values may come without a name, in the order of the parameters.

    Raises:
        ValueError: an option that is unknown, lacking, given twice or of the wrong type; it says how a call is written.
    """
    try:
        positional, named = _assigned(function, options, filled, numbered=numbered)
    except ValueError as error:
        raise ValueError(f"{kind} '{name}'{error}; it is written {usage(name, function, filled)}") from None
    return partial(function, *positional, **named)


def bind_named(
    text: str, known: Mapping[str, Callable[..., Made]], kind: str, *, unknown: str = ""
) -> tuple[str, partial[Made]]:
    """Take a call apart and give its values, with names or without, to the function that it names.

    Args:
        known: the functions by name.
        kind: what is made, for messages.
        unknown: what a message calls a name that is none of these; the kind, if not given.

    Raises:
        ValueError: a name that is unknown (the known ones are listed as they are written), or as of :func:`bind`.
    """
    name, options = parse_call(text)
    if name not in known:
        listed = ", ".join(usage(own, function) for own, function in known.items())
        raise ValueError(f"unknown {unknown or kind} '{text}'; known: {listed}")
    return name, bind(known[name], options, kind, name=name, numbered=True)


def options_of(function: Callable[..., Any], filled: Collection[str] = ()) -> dict[str, Parameter]:
    """The options of ``function`` with their types and defaults: its parameters but those ``filled`` and ``**``."""
    parameters = inspect.signature(function).parameters.items()
    return {name: p for name, p in parameters if name not in filled and p.kind is not p.VAR_KEYWORD}


def usage(name: str, function: Callable[..., Any], filled: Collection[str] = ()) -> str:
    """How a call is written: ``poly(epochs, power=0.9)``.

    A class that is written otherwise than its parameters say has ``written_as``.
    """
    words = [
        f"{p.name}..." if p.kind is p.VAR_POSITIONAL else p.name if p.default is p.empty else f"{p.name}={p.default}"
        for p in options_of(function, filled).values()
    ]
    return getattr(function, "written_as", None) or (f"{name}({', '.join(words)})" if words else name)


def _assigned(
    function: Callable[..., Any], options: Mapping[str, Any], filled: Collection[str], *, numbered: bool
) -> tuple[list[Any], dict[str, Any]]:
    """The values of ``function``'s ``*`` parameter, and those of the others by name."""
    known = options_of(function, filled)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    repeated = {name: known.pop(name) for name, p in list(known.items()) if p.kind is p.VAR_POSITIONAL}
    unnamed = [key for key in options if numbered and key.isdigit()] if repeated else []
    positional = [_read(parameter, options[key]) for parameter in repeated.values() for key in unnamed]
    rest = {key: value for key, value in options.items() if key not in unnamed}
    order = [name for name, p in known.items() if numbered and p.kind is not p.KEYWORD_ONLY]
    named: dict[str, Any] = {}
    for option, value in _by_name(rest, order):
        if option in named:
            raise ValueError(f" is given {option} twice")
        if option not in known and (option in filled or not takes_any):
            raise ValueError(f" has no option '{option}'")
        named[option] = _read(known[option], value) if option in known else value
    for option, parameter in known.items():
        if parameter.default is Parameter.empty and option not in named:
            raise ValueError(f" needs the option '{option}'")
    return positional, named


def _by_name(options: Mapping[str, Any], order: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The options with their names; value number i is that of ``order[i]``."""
    for key, value in options.items():
        if key.isdigit() and int(key) >= len(order):
            raise ValueError(f" has no place for the value {value}")
        yield (order[int(key)] if key.isdigit() else key), value


def _read(parameter: Parameter, value: Any) -> Any:
    """A value as its parameter wants it, from the value itself or from its text."""
    kind = _kind(parameter)
    if kind is None:
        return value
    wanted = _without_none(kind)
    if wanted is not kind and value in (None, "none", "None"):
        return None
    outer = get_origin(wanted) or wanted
    if outer is bool and str(value) in ("True", "true", "False", "false"):
        return str(value).lower() == "true"
    if outer is Sequence and isinstance(value, list | tuple):
        return value
    if outer in (int, float) and isinstance(value, str | int | outer) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            return outer(value)
    taken_as_is = str if outer is Literal else outer if outer is str or outer not in _READABLE else ()
    if isinstance(value, taken_as_is):  # a function says by itself which words a Literal has
        return value
    expected = " or ".join(map(repr, get_args(wanted))) if outer is Literal else outer.__name__
    raise ValueError(f": {parameter.name}={value!r} does not fit; expected {expected}")


def _kind(parameter: Parameter) -> Any:
    """The type that a parameter wants: of its annotation if that can be read, else of its default, else None."""
    wanted = _without_none(parameter.annotation)
    if (get_origin(wanted) or wanted) in _READABLE:
        return parameter.annotation
    return None if parameter.default in (None, Parameter.empty) else type(parameter.default)


def _without_none(annotation: Any) -> Any:
    """``float | None`` -> ``float``; others as they are."""
    members = get_args(annotation)
    if type(None) not in members or len(members) != 2:
        return annotation
    return members[0] if members[1] is type(None) else members[1]
