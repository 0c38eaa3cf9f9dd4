"""Every row is checked before the first is trained: what is found, that all is said at once, that nothing changes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from trainings import train_here

from boundary_loss import ledgercheck
from boundary_loss.command import Stop
from boundary_loss.data import MapNeed, Slices
from boundary_loss.files import read_json, write_json
from boundary_loss.folders.sliced import SlicedFolder

Call = Callable[..., None]
GOOD = ("--losses", "gdl:1")


@pytest.fixture
def check(call: Call, tmp_path: Path, data: Path) -> Callable[..., str]:
    """Check the rows, ``name=(words...)``; what is said of them, or nothing."""

    def run(**rows: tuple[str, ...]) -> str:
        words: list[str | Path] = []
        for name, own in rows.items():
            words += ["--run", tmp_path / "toy" / name, "--data", data, "--network", "Dimwit", *own]
        try:
            call(ledgercheck.main, *words)
        except Stop as error:
            return str(error)
        return ""

    return run


def test_good_rows_are_said_to_be_good(check: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert not check(gdl=GOOD, head=("--losses", "gdl:1", "sdf:1"), flipped=(*GOOD, "boundary:1", "--augment", "flip"))
    assert capsys.readouterr().out == "checked: gdl, head, flipped\n"


def test_all_faults_are_said_at_once_each_with_its_rows(check: Callable[..., str]) -> None:
    deformed = ("--losses", "gdl:1", "boundary(map=3d):1", "--augment", "rotate(5)")
    said = check(
        misspelt=("--losses", "gld:1"),
        one=deformed,
        other=deformed,
        weights=(*GOOD, "--schedule", "steal(0.1)"),
        words=(*GOOD, "--optimizer", "adam"),
        net=(*GOOD, "--network", "UNot"),
        good=(*GOOD, "boundary(map=step):1", "--augment", "rotate(5)"),
    )
    assert said.startswith("6 of 7 rows cannot be trained, and nothing was begun:\n")
    for line in (
        "  misspelt: unknown loss 'gld'; known: boundary, boundary_dou, cbdice",
        "  one, other: a map computed beforehand (map=3d) does not fit",
        "  weights: ",
        "  words: unrecognized arguments: --optimizer adam",
        "  net: unknown network 'UNot'",
    ):
        assert said.count(f"\n{line}") == 1, said
    assert said.count("\n") == 6 and said.endswith("RUNS='good' trains the others.")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--losses", "boundary(convention=papre):1"), "unknown convention 'papre'; known: 'paper'"),
        (("--losses", "boundary(absent=near):1"), "unknown absent 'near'"),
        (("--losses", "hausdorff(unit=cm):1"), "unit='cm' is unknown; known: 'mm', 'voxel'"),
        (("--losses", "gdl:1@2"), r"the data has 0\.\.1"),
        (("--losses", "boundary(map=3d,convention=symmetric):1", "--debug"), "leave DEBUG out"),
        ((*GOOD, "--augment", "turn(3)"), r"unknown augmentation 'turn\(3\)'"),
        ((*GOOD, "--augment", "flip", "--save_train"), "does not go with AUGMENT"),
        ((*GOOD, "--rate", "cosine(0)"), "cosine"),
        ((*GOOD, "--weights", "none.pkl"), "none.pkl"),
        ((*GOOD, "--data", "data/none"), "no sliced data or whole volumes at data/none"),
    ],
)
def test_what_is_found_without_reading_a_slice(check: Callable[..., str], words: tuple[str, ...], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        assert not check(row=words)


def test_runs_made_with_other_settings_are_found_and_left_alone(tmp_path: Path, data: Path, call: Call) -> None:
    done = tmp_path / "toy" / "gdl"
    words = ["--data", str(data), *GOOD, "--network", "Dimwit", "--epochs", "1"]
    assert train_here(done, data, *words[2:]).status == 0
    shutil.copytree(done, tmp_path / "toy" / "begun_tmp")
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))

    def check(*more: str) -> None:
        rows = [word for name in ("gdl", "begun") for word in ("--run", str(tmp_path / "toy" / name), *words, *more)]
        call(ledgercheck.main, *rows)

    check()
    check("--epochs", "2")  # goes on
    check("--lr", "0.1", "--fresh")
    with pytest.raises(Stop, match=r"2 of 2 rows[\s\S]*gdl was made with[\s\S]*0\.1[\s\S]*begun_tmp was made with"):
        check("--lr", "0.1")
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
    about = read_json(tmp_path / "toy" / "begun_tmp" / "run.json")
    write_json(tmp_path / "toy" / "begun_tmp" / "run.json", about | {"data_checksum": "1" * 64})
    with pytest.raises(Stop, match=r"1 of 2 rows[\s\S]*began on other data"):
        check()


def test_what_goes_wrong_in_a_users_own_code_names_the_row(check: Callable[..., str]) -> None:
    said = check(gdl=GOOD, own=("--losses", "builtins:len(obj=1):1"))
    assert "\n  own: loss 'builtins:len' cannot be built: TypeError: " in said


def test_a_list_of_words_that_is_none_is_refused(call: Call) -> None:
    for words in ([], ["results/isles/gdl"]):
        with pytest.raises(Stop, match="begin each training with --run"):
            call(ledgercheck.main, *words)


def test_volume_maps_that_slicing_did_not_save_are_computed(sliced: Path) -> None:
    """As ACDC's: `boundary(map=3d)` needs the volumes alone, and says so where there are not all slices."""
    folder, need = SlicedFolder.open(sliced), MapNeed("3d", (1,))
    other = MapNeed("3d", (1,), (("convention", "symmetric"),))
    saved = Slices(folder, "val", needs=[need, other]).maps
    for which in ("train", "val"):
        shutil.rmtree(sliced / which / "3d_distmap")
    computed = Slices(folder, "val", needs=[need]).maps[need]
    outside = saved[other] > 0
    assert computed.shape == saved[need].shape and (computed[outside] == saved[other][outside]).all()
    with pytest.raises(ValueError, match="leave DEBUG out, or write boundary"):
        Slices(folder, "val", needs=[need], limit=3)
