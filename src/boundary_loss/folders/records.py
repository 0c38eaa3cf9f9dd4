"""Read JSON files and check every field; errors name the file, what was found and what to do."""

import re
import reprlib
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from boundary_loss.files import read_json
from boundary_loss.folders.naming import checked_stem
from boundary_loss.names import checked_name, checked_names

_MOST = 2**63 - 1
_SHORTENED = reprlib.Repr()
_SHORTENED.maxstring = _SHORTENED.maxother = 60
Check = Callable[[Any, str, Path], object]
"""Takes a field's value, its name and the file; raises ValueError if the value cannot be used."""


def read_record(path: Path, fields: Mapping[str, Check], *, needs: tuple[str, ...] = (), remedy: str) -> dict[str, Any]:
    """Read a JSON object and check its fields; those without a check are returned as they are.

    Args:
        fields: a check for each known field; one that is absent or null is not checked.
        needs: the fields that must be there.
        remedy: what the user can do about a spoilt file; ends every message.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or a field is missing or fails its check.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {remedy}")
    try:
        return checked_record(read_json(path), path, fields, needs=needs)
    except ValueError as error:
        raise ValueError(f"{error}; {remedy}") from None


def read_entries(path: Path, check: Check, what: str, *, remedy: str) -> dict[str, Any]:
    """Read a JSON object whose keys are names of things called ``what``, and whose values pass ``check``.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_record`.
    """
    content = read_record(path, {}, remedy=remedy)
    try:
        by_name(check)(content, what, path)
    except ValueError as error:
        raise ValueError(f"{error}; {remedy}") from None
    return content


def checked_record(content: Any, path: Path, fields: Mapping[str, Check], *, needs: tuple[str, ...] = ()) -> dict:
    """Return ``content`` if it is an object whose fields pass their checks, see :func:`read_record`."""
    if not isinstance(content, dict):
        expected = f" with {', '.join(needs or fields)}" if needs or fields else ""
        raise ValueError(f"{path} holds {kind_of(content)}, expected an object{expected}")
    for key in needs:
        if content.get(key) is None:
            raise ValueError(f"{path} does not say '{key}'")
    for key, check in fields.items():
        if content.get(key) is not None:
            check(content[key], key, path)
    return content


def kind_of(value: object) -> str:
    """Name the JSON type of a value, for messages."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def text(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a string."""
    _expect(isinstance(value, str), "text", value, key, path)


def number(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a number, or is an integer beyond 64 bits; NaN and infinities pass."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    _expect(is_number and not (isinstance(value, int) and abs(value) > _MOST), "a number", value, key, path)


def finite(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a finite number."""
    number(value, key, path)
    _expect(isfinite(value), "a finite number", value, key, path)


def length(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a finite number above 0."""
    number(value, key, path)
    _expect(0 < value < float("inf"), "a finite number above 0", value, key, path)


def lengths(axes: int) -> Check:
    """Return a check for finite numbers above 0, one an axis."""

    def check(value: Any, key: str, path: Path) -> None:
        list_of(length)(value, key, path)
        if len(value) != axes:
            raise ValueError(f"{path}: '{key}' is {value!r:.60}, expected {axes} lengths")

    return check


def temperature(value: Any, key: str, path: Path) -> None:
    """Refuse what cannot be the temperature of a softmax: anything but a number from 1e-30 to 1e30."""
    number(value, key, path)
    _expect(1e-30 <= value <= 1e30, "a number from 1e-30 to 1e30", value, key, path)


def commit(value: Any, key: str, path: Path) -> None:
    """Refuse what is neither a git commit nor ``unknown``, because it becomes part of a command."""
    fits = isinstance(value, str) and re.fullmatch(r"[0-9a-f]{7,64}|unknown", value)
    _expect(bool(fits), "a commit or 'unknown'", value, key, path)


def count(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a whole number of 0 or more that fits into 64 bits."""
    _expect(type(value) is int and 0 <= value <= _MOST, "a whole number of 0 or more", value, key, path)


def whole(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a whole number that fits into 64 bits."""
    _expect(type(value) is int and abs(value) <= _MOST, "a whole number", value, key, path)


def flag(value: Any, key: str, path: Path) -> None:
    """Refuse what is neither true nor false."""
    _expect(isinstance(value, bool), "true or false", value, key, path)


def mapping(value: Any, key: str, path: Path) -> None:
    """Refuse what is not an object."""
    _expect(isinstance(value, dict), "an object", value, key, path)


def name(value: Any, key: str, path: Path) -> None:
    """Refuse what cannot be a name."""
    checked_name(value, key, path)


def names(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a list of names."""
    checked_names(value, key, path)


def distinct_names(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a list of names without repeats."""
    found = checked_names(value, key, path)
    if len(set(found)) < len(found):
        twice = next(item for item in found if found.count(item) > 1)
        raise ValueError(f"{path}: '{key}' lists {twice} twice")


def one_of(known: tuple[str, ...]) -> Check:
    """Return a check of words that are one of these."""

    def check(value: Any, key: str, path: Path) -> None:
        _expect(value in known, f"one of {', '.join(known)}", value, key, path)

    return check


def slices(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a list of slices' names without repeats."""
    distinct_names(value, key, path)
    for item in value:
        checked_stem(item, path)


def list_of(check: Check) -> Check:
    """Return a check of lists whose items pass ``check``."""

    def each(value: Any, key: str, path: Path) -> None:
        _expect(isinstance(value, list | tuple), "a list", value, key, path)
        for item in value:
            check(item, key, path)

    return each


def record(fields: Mapping[str, Check], *, needs: tuple[str, ...] = ()) -> Check:
    """Return a check of objects with these fields."""

    def each(value: Any, key: str, path: Path) -> None:
        mapping(value, key, path)
        for name in needs:
            if value.get(name) is None:
                raise ValueError(f"{path}: '{key}' does not say '{name}'")
        for name, check in fields.items():
            if value.get(name) is not None:
                check(value[name], f"{key}, {name}", path)

    return each


def by_name(check: Check) -> Check:
    """Return a check of objects whose keys are names and whose values pass ``check``."""

    def each(value: Any, key: str, path: Path) -> None:
        mapping(value, key, path)
        for item, content in value.items():
            checked_name(item, key, path)
            check(content, f"{key}, {item}", path)

    return each


texts = list_of(text)
"""Refuses what is not a list of strings."""


def _expect(fits: bool, expected: str, value: Any, key: str, path: Path) -> None:
    if not fits:
        shown = _SHORTENED.repr(value)  # a file may hold a value of any length
        shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
        raise ValueError(f"{path}: '{key}' is {shown}, expected {expected}")
