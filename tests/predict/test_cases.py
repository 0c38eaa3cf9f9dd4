"""Which new cases are found, and what is said where they are not."""

from pathlib import Path

import pytest
from toys import load_study

from boundary_loss.predict.cases import cases_in, given_cases, shared_name
from boundary_loss.preparation.layout import find_new_cases
from boundary_loss.preparation.shown import Preparation


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def preparation(layout: dict[str, str]) -> Preparation:
    return Preparation(shape=None, pictures=False, label_values=(0, 1), layout=layout, orientations=())


def found(folder: Path, study: str) -> dict[str, list[list[str]]]:
    cases = find_new_cases(folder, load_study(study).layout)
    return {case.volume: [[path.name for path in files.found] for files in case.images] for case in cases}


def test_the_testing_set_of_isles(tmp_path: Path) -> None:
    names = [f"case_{n}/SMIR.Brain.XX.O.{kind}.{n}/x.nii" for n in (2, 10) for kind in ("CT", "CT_CBF", "CT_CBV")]
    touch(tmp_path, *names, "case_10/SMIR.Brain.XX.O.CT_MTT.1/x.nii", "case_10/SMIR.Brain.XX.O.CT_Tmax.1/x.nii")
    assert found(tmp_path, "isles") == {"case_10": [["x.nii"]] * 5, "case_2": [["x.nii"]] * 3 + [[]] * 2}


def test_wmh_and_acdc(tmp_path: Path) -> None:
    touch(tmp_path / "w", "7/pre/FLAIR.nii.gz", "7/pre/T1.nii.gz", "7/wmh.nii.gz")
    assert found(tmp_path / "w", "wmh") == {"7": [["FLAIR.nii.gz"], ["T1.nii.gz"]]}
    names = [f"patient101/patient101_{end}.nii.gz" for end in ("frame01", "frame14", "frame01_gt", "4d")]
    touch(tmp_path / "a", *names)
    frames = ["patient101_frame01", "patient101_frame14"]
    assert found(tmp_path / "a", "acdc") == {frame: [[f"{frame}.nii.gz"]] for frame in frames}


def test_what_a_mac_hides_is_no_case(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    touch(tmp_path, "7/pre/FLAIR.nii.gz", "7/pre/._FLAIR.nii.gz", "__MACOSX/pre/T1.nii.gz", ".Trash/pre/T1.nii.gz")
    assert found(tmp_path, "wmh") == {"7": [["FLAIR.nii.gz"], []]}
    assert capsys.readouterr().out == ""
    touch(tmp_path, "A_0.nii", "._A_0.nii")
    assert [case.volume for case in find_new_cases(tmp_path, {"ct": "<*>_0.nii"})] == ["A"]


def test_names_with_wildcards_and_a_folder_without_files(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    touch(tmp_path, "[1]_0000.nii.gz", "[1]_0001.nii.gz", "1_0000.nii.gz", "1_0001.nii.gz")
    cases = find_new_cases(tmp_path, {"ct": "<*>_0000.nii.gz", "mr": "<*>_0001.nii.gz"})
    assert [(case.volume, [len(files.found) for files in case.images]) for case in cases] == [
        ("1", [1, 1]),
        ("[1]", [1, 1]),
    ]
    (tmp_path / "w" / "8").mkdir(parents=True)
    touch(tmp_path / "w", "7/pre/FLAIR.nii.gz")
    assert list(found(tmp_path / "w", "wmh")) == ["7"]
    assert "warning: 8: its folder has no file of any modality" in capsys.readouterr().out


def test_no_folder_no_case_no_layout(tmp_path: Path) -> None:
    layout = load_study("wmh").layout
    with pytest.raises(FileNotFoundError, match="no folder"):
        cases_in(tmp_path / "none", preparation(layout), ["flair", "t1"])
    with pytest.raises(FileNotFoundError, match=r"no case in .*expected <\*>/pre/FLAIR"):
        cases_in(tmp_path, preparation(layout), ["flair", "t1"])
    with pytest.raises(ValueError, match="columns case,flair,t1"):
        cases_in(tmp_path, preparation({}), ["flair", "t1"])
    with pytest.raises(ValueError, match="angle brackets"):
        find_new_cases(tmp_path, {"ct": "*/ct.nii"})


def test_a_list(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii", "sub/b.nii")
    path = tmp_path / "list.csv"
    path.write_text("\ufeffcase,t1,flair\nA 1,sub/b.nii,a.nii\nB,a.nii,none.nii\n", encoding="utf-8")
    first, second = cases_in(path, preparation({}), ["flair", "t1"])
    assert first.volume == "A 1" and first.labels is None
    assert [files.found for files in first.images] == [(tmp_path / "a.nii",), (tmp_path / "sub/b.nii",)]
    assert [files.found for files in second.images] == [(), (tmp_path / "a.nii",)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("case,flair\nA,a.nii\n", "has the columns case,flair; expected case,flair,t1"),
        ("", "has the columns ; expected"),
        ("case,flair,t1\n", "lists no case"),
        ("case,flair,t1\nA,a.nii\n", "line 2: expected 3 entries"),
        ("case,flair,t1\nA,a.nii,b.nii,c.nii\n", "line 2: expected 3 entries"),
        ("case,flair,t1\nA,a.nii,\n", "line 2: expected 3 entries"),
        ("case,flair,t1\n../A,a.nii,b.nii\n", r"line 2: the case name '../A' contains a slash"),
        ("case,flair,t1\n.A,a.nii,b.nii\n", r"case name '.A' begins with '.'"),
        ("case,flair,t1\nA,a,b\nA,c,d\n", "more than one case is called A"),
    ],
)
def test_a_list_with_a_fault(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=told):
        cases_in(tmp_path / "list.csv", preparation({}), ["flair", "t1"])


def test_no_list(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no list"):
        cases_in(tmp_path / "list.csv", preparation({}), ["flair", "t1"])


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (["caseA_ct.nii.gz", "caseA_cbf.nii.gz"], "caseA"),
        (["A_1_ct.nii", "A_1_cbf.nii", "A_1_mtt.nii"], "A_1"),
        (["SMIR.Brain.XX.O.CT.350010.nii", "SMIR.Brain.XX.O.CT_CBF.350011.nii"], "SMIR.Brain.XX.O.CT"),
        (["FLAIR.nii.gz", "T1.nii.gz"], "FLAIR"),
        (["brain.nii.gz"], "brain"),
        (["a/x.nii", "b/x.nii"], "x"),
        (["case-7.nii", "case-8.nii"], "case"),
        (["A/lgemri.nrrd"], "lgemri"),
        (["A_ct.nhdr", "A_mr.h5"], "A"),
    ],
)
def test_a_case_is_named_by_what_its_files_share(names: list[str], shared: str) -> None:
    assert shared_name([Path(name) for name in names]) == shared


def test_the_wrong_number_of_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 files, but the network reads 2: flair, t1"):
        given_cases([[Path("a.nii")]], ["flair", "t1"])
    with pytest.raises(ValueError, match="more than one case is called a"):
        given_cases([[Path("a_1.nii"), Path("a_2.nii")], [Path("a_3.nii"), Path("a_4.nii")]], ["flair", "t1"])
