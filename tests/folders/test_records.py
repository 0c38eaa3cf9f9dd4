"""Fields of JSON files pass their checks or are named."""

from pathlib import Path
from typing import Any

import pytest

from boundary_loss.files import write_json
from boundary_loss.folders import records

FIELDS: dict[str, records.Check] = {
    "name": records.name,
    "size": records.length,
    "parts": records.list_of(records.record({"n": records.count}, needs=("n",))),
    "of": records.by_name(records.flag),
    "commit": records.commit,
}


def read(path: Path, content: Any) -> dict[str, Any]:
    write_json(path, content)
    return records.read_record(path, FIELDS, needs=("name",), remedy="remove it")


def test_what_fits_comes_as_it_is_and_other_fields_too(tmp_path: Path) -> None:
    content = {"name": "a", "size": 0.5, "parts": [{"n": 0}], "of": {"x": True}, "commit": "unknown", "more": [None]}
    assert read(tmp_path / "a.json", content) == content
    assert read(tmp_path / "a.json", {"name": "a", "size": None}) == {"name": "a", "size": None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds a list, expected an object with name"),
        (3, "holds a number"),
        ({}, "does not say 'name'"),
        ({"name": ["a"]}, "list, not text"),
        ({"name": "a", "size": float("inf")}, "'size' is inf, expected a finite number above 0"),
        ({"name": "a", "size": True}, "'size' is True, expected a number"),
        ({"name": "a", "parts": [{"n": 1}, {}]}, "'parts' does not say 'n'"),
        ({"name": "a", "parts": [{"n": True}]}, "'parts, n' is True, expected a whole number"),
        ({"name": "a", "of": {"../x": True}}, "slash"),
        ({"name": "a", "of": {"x": 1}}, "'of, x' is 1, expected true or false"),
        ({"name": "a", "commit": "HEAD; reboot"}, "expected a commit or 'unknown'"),
    ],
)
def test_what_does_not_fit_is_named_with_the_remedy(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"a\.json.*{message}.*; remove it$"):
        read(tmp_path / "a.json", content)


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.json is missing; remove it"):
        records.read_record(tmp_path / "a.json", FIELDS, remedy="remove it")
