"""The rule for names that files bring: classes, cases, slices, modalities, runs, studies."""

from pathlib import PurePath

MAX_NAME = 200
"""Bytes of a name in UTF-8: with an ending it stays below the 255 that file systems take."""
MAX_PART = 255
"""Bytes of a component of a path, on most file systems."""
_SHOWN = 60  # characters of a refused name in a message


def fault_of_part(text: str) -> str | None:
    """Return why ``text`` cannot be one component of a path that every system takes, or None if it can."""
    if not text:
        return "is empty"
    if text in (".", ".."):
        return f"is '{text}'"
    if "/" in text or "\\" in text:
        return "contains a slash or a backslash"
    if not text.isprintable():
        return "contains a character that cannot be printed"
    size = len(text.encode())
    return f"has {size} bytes, more than {MAX_PART}" if size > MAX_PART else None


def fault_of_name(text: object) -> str | None:
    """Return why ``text`` cannot be a name, or None if it can: the rule of :func:`checked_name`."""
    if not isinstance(text, str):
        return f"is {type(text).__name__}, not text"
    fault = fault_of_part(text)
    if fault is not None:
        return fault
    if text[0] in ".-":
        return f"begins with '{text[0]}'"
    if text != text.strip():
        return "begins or ends with a space"
    size = len(text.encode())
    return f"has {size} bytes, more than {MAX_NAME}" if size > MAX_NAME else None


def checked_name(text: object, what: str, file: PurePath | str) -> str:
    """Return ``text`` if it can safely be part of a path, a command and a page: one component, printable, no option.

    Call it where a file is read, before the name is used.

    Args:
        text: what the file holds: the name of a class, slice, volume, patient, modality, run or study.
        what: what it names, for the message: ``class``, ``slice``.
        file: the file that brought it, for the message.

    Raises:
        ValueError: it cannot; the message names the file, what was found and what a name may be.
    """
    fault = fault_of_name(text)
    if fault is not None:
        raise ValueError(
            f"{file}: the {what} name {_shortened(text)} {fault}; a name is 1 to {MAX_NAME} printable bytes without / "
            "and \\, and begins with neither . nor - nor a space. Do not use the file unless you know who made it"
        )
    assert isinstance(text, str)
    return text


def checked_names(texts: object, what: str, file: PurePath | str) -> list[str]:
    """Return the list ``texts`` if it is one and each of its names passes :func:`checked_name`."""
    if not isinstance(texts, list | tuple):
        raise ValueError(f"{file}: expected a list of {what} names, found {_shortened(texts)}")
    return [checked_name(text, what, file) for text in texts]


def _shortened(text: object) -> str:
    shown = ascii(text) if isinstance(text, str) and not text.isprintable() else repr(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
