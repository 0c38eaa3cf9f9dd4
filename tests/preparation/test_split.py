import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_loss.preparation.split import draw_split, read_split

PATIENTS = [f"case_{i}" for i in range(10)]


@given(n=st.integers(2, 40), data=st.data(), seed=st.integers(0, 5))
def test_folds_partition_the_patients(n, data, seed):
    retain = data.draw(st.integers(1, n - 1))
    patients = [f"p{i}" for i in range(n)]
    first = draw_split(patients, retain=retain, fold=0, seed=seed)
    splits = [draw_split(patients, retain=retain, fold=fold, seed=seed) for fold in range(first.folds)]
    assert sorted(name for split in splits for name in split.val) == sorted(patients)
    for split in splits:
        assert sorted(split.train + split.val) == sorted(patients)
        assert split.train
        assert split.val


def test_the_seed_decides_and_the_order_given_does_not():
    a = draw_split(PATIENTS, retain=3, fold=0, seed=0)
    assert a == draw_split(PATIENTS[::-1], retain=3, fold=0, seed=0)
    assert a != draw_split(PATIENTS, retain=3, fold=0, seed=1)


@pytest.mark.parametrize("retain", [0, 10, 11, -1])
def test_a_bad_number_to_retain(retain):
    with pytest.raises(ValueError, match="10 patients"):
        draw_split(PATIENTS, retain=retain, fold=0, seed=0)


@pytest.mark.parametrize("fold", [4, -1])
def test_a_fold_out_of_range(fold):
    with pytest.raises(ValueError, match="0 to 3"):
        draw_split(PATIENTS, retain=3, fold=fold, seed=0)


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_a_split_is_reused(tmp_path):
    drawn = draw_split(PATIENTS, retain=3, fold=1, seed=4)
    assert read_split(write(tmp_path / "s.json", drawn.as_json()), PATIENTS) == drawn
    own = read_split(write(tmp_path / "s.json", {"train": PATIENTS[1:], "val": PATIENTS[:1]}), PATIENTS)
    assert own.val == ["case_0"]
    assert own.seed is None


@pytest.mark.parametrize(
    "content, told",
    [
        ({"train": PATIENTS[1:], "val": ["case_0", "nobody"]}, "not in the data: nobody"),
        ({"train": PATIENTS[2:], "val": ["case_0"]}, "neither side: case_1"),
        ({"train": PATIENTS, "val": ["case_0"]}, "twice: case_0"),
        ({"train": PATIENTS}, "not a split"),
        ({"train": PATIENTS, "val": []}, "not a split"),
        ({"train": PATIENTS[1:], "val": [0]}, "not a split"),
        ([], "not a split"),
        ({"train": PATIENTS[1:], "val": PATIENTS[:1], "seed": "4"}, "'seed' is '4', expected a whole number"),
        ({"train": PATIENTS[1:], "val": PATIENTS[:1], "fold": -1}, "'fold' is -1"),
        ({"train": PATIENTS[1:], "val": ["../case_0"]}, "slash"),
    ],
)
def test_a_split_that_does_not_fit(tmp_path, content, told):
    with pytest.raises(ValueError, match=told):
        read_split(write(tmp_path / "s.json", content), PATIENTS)
    with pytest.raises(FileNotFoundError):
        read_split(tmp_path / "none.json", PATIENTS)


def test_a_list_of_names_below_headings_is_a_split(tmp_path: Path) -> None:
    path = tmp_path / "split.txt"
    path.write_text("Training:\n    b\n    c\n\nValidation:\n    a\n")
    found = read_split(path, ["a", "b", "c"])
    assert (found.train, found.val, found.seed) == (["b", "c"], ["a"], None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\nTraining:\nb\n", "line 1: 'a' is below neither Training: nor Validation:"),
        ("Training:\na\nTesting:\nb\n", "line 3: 'Testing:' is below neither"),
        ("Training:\na\nb\n", "names nobody to train or to hold out"),
        ("", "names nobody"),
        ("Training:\na\nValidation:\nb\nb\n", "on both sides or twice: b"),
        ("Training:\na/b\nValidation:\nb\n", "a/b"),
    ],
)
def test_a_list_that_is_no_split_is_refused_by_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "split.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match="split") as error:
        read_split(path, ["a", "b"])
    assert told in str(error.value)
