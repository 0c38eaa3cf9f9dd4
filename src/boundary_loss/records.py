"""JSON files read with suspicion: what is missing or of another type is said with the file and the way out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from boundary_loss.files import read_json
from boundary_loss.naming import checked_name, checked_names

Check = Callable[[Any, str, Path], object]
"""Takes a field's value, its name and the file; raises ValueError where the value cannot be used."""


def read_record(path: Path, fields: Mapping[str, Check], *, needs: tuple[str, ...] = (), remedy: str) -> dict[str, Any]:
    """Read a JSON object whose fields have passed their checks; fields without a check come as they are.

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
        content = read_json(path)
        if not isinstance(content, dict):
            raise ValueError(f"{path} holds {kind_of(content)}, expected an object with {', '.join(needs or fields)}")
        for key in needs:
            if content.get(key) is None:
                raise ValueError(f"{path} does not say '{key}'")
        for key, check in fields.items():
            if content.get(key) is not None:
                check(content[key], key, path)
    except ValueError as error:
        raise ValueError(f"{error}; {remedy}") from None
    return content


def kind_of(value: object) -> str:
    """Name the JSON type of a value, for messages."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def text(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a string."""
    _expect(isinstance(value, str), "text", value, key, path)


def number(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a finite number."""
    finite = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    _expect(finite, "a finite number", value, key, path)


def count(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a whole number of 0 or more."""
    _expect(type(value) is int and value >= 0, "a whole number of 0 or more", value, key, path)


def flag(value: Any, key: str, path: Path) -> None:
    """Refuse what is neither true nor false."""
    _expect(isinstance(value, bool), "true or false", value, key, path)


def mapping(value: Any, key: str, path: Path) -> None:
    """Refuse what is not an object."""
    _expect(isinstance(value, dict), "an object", value, key, path)


def texts(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a list of strings."""
    _expect(
        isinstance(value, list) and all(isinstance(item, str) for item in value), "a list of texts", value, key, path
    )


def name(value: Any, key: str, path: Path) -> None:
    """Refuse what cannot be a name."""
    checked_name(value, key, path)


def names(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a list of names."""
    checked_names(value, key, path)


def distinct_names(value: Any, key: str, path: Path) -> None:
    """Refuse what is not a list of names, and a name that comes twice."""
    found = checked_names(value, key, path)
    if len(set(found)) < len(found):
        twice = next(item for item in found if found.count(item) > 1)
        raise ValueError(f"{path}: '{key}' lists {twice} twice")


def by_name(check: Check) -> Check:
    """Return a check of objects whose keys are names and whose values pass ``check``."""

    def each(value: Any, key: str, path: Path) -> None:
        mapping(value, key, path)
        for item, content in value.items():
            checked_name(item, key, path)
            check(content, f"{key}, {item}", path)

    return each


def _expect(fits: bool, expected: str, value: Any, key: str, path: Path) -> None:
    if not fits:
        shown = repr(value)
        shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
        raise ValueError(f"{path}: '{key}' is {shown}, expected {expected}")
