import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_loss.preparation.split import draw_split, in_words, read_split

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


def test_a_text_file_lists_who_is_held_out(tmp_path):
    listed = tmp_path / "test.list"
    listed.write_text("\ufeffcase_7  # the held-out half\n\n  case_2\n# nobody else\n")
    split = read_split(listed, PATIENTS, fold=3)
    assert split.val == ["case_2", "case_7"]
    assert split.train == [name for name in PATIENTS if name not in split.val]
    assert in_words(listed, split) == f"split of {listed}: 2 held out, 8 to train on"


@pytest.mark.parametrize(
    "content, told",
    [
        (b"case_1\nnobody\n", "not in the data: nobody"),
        (b"case_1\ncase_1\n", "twice: case_1"),
        (b"# nobody\n\n", "names nobody"),
        (b"../case_1\n", "slash"),
        (b"\x93NUMPY\xff\xfe", "not text"),
        ("\n".join(PATIENTS).encode(), "nobody to train"),
    ],
)
def test_a_text_file_that_is_no_split(tmp_path, content, told):
    listed = tmp_path / "test.list"
    listed.write_bytes(content)
    with pytest.raises(ValueError, match=told):
        read_split(listed, PATIENTS)


def folds_of_nnunet(count):
    return [{"train": [name for name in PATIENTS if int(name[5:]) % count != fold],
             "val": [name for name in PATIENTS if int(name[5:]) % count == fold]} for fold in range(count)]  # fmt: skip


def test_the_folds_of_nnunet(tmp_path):
    path = write(tmp_path / "splits_final.json", folds_of_nnunet(3))
    splits = [read_split(path, PATIENTS, fold) for fold in range(3)]
    assert [split.val for split in splits] == [fold["val"] for fold in folds_of_nnunet(3)]
    assert [(split.fold, split.folds) for split in splits] == [(0, 3), (1, 3), (2, 3)]
    assert "fold 1 of 3, 3 held out, 7 to train on" in in_words(path, splits[1])
    with pytest.raises(ValueError, match="folds 0 to 2"):
        read_split(path, PATIENTS, 3)


def test_every_fold_is_checked(tmp_path):
    folds = folds_of_nnunet(3)
    folds[1]["val"].append("nobody")
    folds[2]["train"].append(folds[2]["val"][0])
    with pytest.raises(ValueError, match=r"fold 1: not in the data: nobody; fold 2: on both sides or twice: case_2"):
        read_split(write(tmp_path / "s.json", folds), PATIENTS)


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
        ([{"train": PATIENTS}], "val"),
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
        ("Training:\na\nTesting:\nb\n", "'Testing:' is neither Training: nor Validation:"),
        ("Training:\na\nb\n", "names nobody to hold out"),
        ("Training:\na\nValidation:\nb\nb\n", "on both sides or twice: b"),
        ("Training:\na\nc\nValidation:\nb\n", "not in the data: c"),
        ("Training:\na/b\nValidation:\nb\n", "a/b"),
    ],
)
def test_a_list_that_is_no_split_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "split.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match="split") as error:
        read_split(path, ["a", "b"])
    assert told in str(error.value)
