"""Archives of others: what they say of how they were made reaches make and the shell as data, or not at all."""

import argparse
import contextlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from toyruns import write_row
from toys import REPOSITORY

from boundary_loss import locate, train
from boundary_loss.archive import __main__ as archive
from boundary_loss.archive import settings
from boundary_loss.archive.rerun import MADE_WITH, Recipe, compare
from boundary_loss.archive.settings import (
    LOCATING_OPTIONS,
    PHANTOM_OPTIONS,
    PREPARING_OPTIONS,
    REPORT_OPTIONS,
    TRAINING_OPTIONS,
)
from boundary_loss.command import Stop
from boundary_loss.files import read_json, write_json
from boundary_loss.folders.run import RunFolder
from boundary_loss.phantom import __main__ as phantom
from boundary_loss.preparation import engine
from boundary_loss.report import options as report
from boundary_loss.settings import declared

HONEST = {
    "NET": "UNet(width=8)",
    "EPC": "1",
    "LR": "1e-3",
    "RUNS": "gdl",
    "TRAIN": "--best slice",
    "gdl.losses": "gdl:1",
}
LEDGER = "data report: ; @echo 'made NET=$(NET) LR=$(LR) TRAIN=$(TRAIN)'\n"
Rerun = Callable[..., None]


@pytest.fixture
def rerun(tmp_path: Path, call: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Rerun:
    """Pack a run whose archive says what is given, and rerun it in a checkout with one study, ``toy.make``."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "toy.make").write_text(LEDGER)
    (checkout / "pwn.py").write_text("open('mark', 'w')\n")
    monkeypatch.chdir(checkout)

    def run(
        *words: str, variables: Any = None, about: dict[str, Any] | None = None, name: str = "toy", **said: Any
    ) -> None:
        folder = tmp_path / name
        path = write_row(folder, "gdl", np.zeros(3))
        write_json(path / "run.json", read_json(path / "run.json") | (about or {}))
        variables = HONEST | (variables or {}) if not isinstance(variables, list) else variables
        content = {"ledger": "toy.make", "data": ["data/TOY"], "variables": variables}
        write_json(folder / MADE_WITH, content | said)
        call(archive.main, "pack", tmp_path / "archives", "--folder", folder, "--stamp", tmp_path / "stamp")
        call(archive.main, "rerun", (tmp_path / "stamp").read_text().strip(), *words)

    return run


def test_an_honest_archive_says_its_commands(rerun: Rerun, capsys: pytest.CaptureFixture[str]) -> None:
    rerun()
    said = capsys.readouterr().out
    assert "make -f toy.make 'NET=UNet(width=8)' EPC=1 LR=1e-3 RUNS=gdl 'TRAIN=--best slice'" in said
    assert "RD=results/toy-rerun" in said


@pytest.mark.parametrize("run", [[], ["--run"]], ids=["print", "run"])
@pytest.mark.parametrize(
    "variables",
    [
        {"NET": "$(shell touch mark)"},
        {"NET": "`touch mark`"},
        {"NET": "UNet\n\ttouch mark"},
        {"NET": "UNet(width=$(shell touch mark))"},
        {"LR": "$(eval $(shell touch mark))"},
        {"LR": "1e-3; touch mark"},
        {"EPC": "$(file >mark)"},
        {"EPC": "1 --eval=$(shell touch mark)"},
        {"RATE": "$(shell touch mark)"},
        {"AUGMENT": "flip $(shell touch mark)"},
        {"RUNS": "gdl $(shell touch mark)"},
        {"METRICS": "$(shell touch mark)"},
        {"TRAIN": "--network pwn:Net"},
        {"TRAIN": "--network=pwn:Net"},
        {"TRAIN": "--losses pwn:Loss:1"},
        {"TRAIN": "--weights /etc/passwd"},
        {"TRAIN": "--weights ../best.pkl"},
        {"TRAIN": "$(shell touch mark)"},
        {"TRAIN": "--best 'slice"},
        {"DEBUG": "`touch mark`"},
        {"PREPARE": "--split=/etc/passwd"},
        {"SLICE": "--split=/etc/passwd"},
        {"LOCATOR": "$(shell touch mark)"},
        {"LOCATE": "--device `touch mark`"},
        {"FIT": "reduce(2,2,2) $(shell touch mark)"},
        {"SAMPLE": "`touch mark`"},
        {"INFER": "windows;touch mark"},
        {"gdl.net": "$(shell touch mark)"},
        {"gdl.net": "pwn:Net"},
        {"gdl.epc": "1; touch mark"},
        {"gdl.rate": "$(shell touch mark)"},
        {"PHANTOM": "; touch mark"},
        {"REPORT": "--show"},
        {"gdl.losses": "gdl:1 $(shell touch mark)"},
        {"gdl.losses": "pwn:Loss:1"},
        {"gdl.schedule": "$(shell touch mark)"},
        {"gdl.options": "--device `touch mark`"},
        {"$(shell touch mark).losses": "gdl:1"},
        {"../gdl.losses": "gdl:1"},
        {"gdl.other": "x"},
        {"SHELL": "touch mark"},
        {".SHELLFLAGS": "-c 'touch mark'"},
        {"MAKEFLAGS": "--eval=$(shell touch mark)"},
        {"--eval": "$(shell touch mark)"},
        {"-f": "evil.make"},
        {"CC": "touch mark;"},
        {"LAUNCH": "touch mark;"},
        {"RD": "/tmp"},
        {"ZIPS": "/"},
        {"NET": ["UNet"]},
        {"NET": "pwn:Net"},
        {"NET": "pwn:Net(width=8)+distances"},
    ],
)  # fmt: skip
def test_what_would_run_is_refused_by_name(
    rerun: Rerun, capsys: pytest.CaptureFixture[str], variables: dict[str, str], run: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"refused|would import and call pwn:") as refusal:
        rerun(*run, variables=variables)
    assert str(refusal.value).isprintable()
    assert "make" not in capsys.readouterr().out.replace("archives", "") and not list(Path().glob("mark*"))


@pytest.mark.parametrize(
    "said",
    [
        {"ledger": "/tmp/evil.make"},
        {"ledger": "../evil.make"},
        {"ledger": "none.make"},
        {"ledger": "toy.make --eval=$(shell touch mark)"},
        {"ledger": "--eval=x.make"},
        {"ledger": 3},
        {"data": ["/etc"]},
        {"data": ["data/../../etc"]},
        {"data": [["data/TOY"]]},
        {"variables": ["NET=UNet"]},
        {"name": "to$(shell touch mark)y"},
        {"name": "to;touch mark"},
        {"name": "to\x1b[2Jy"},
    ],
)  # fmt: skip
def test_names_that_are_no_names_are_refused(rerun: Rerun, said: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as refusal:
        rerun("--run", **said)
    assert all(line.isprintable() for line in str(refusal.value).splitlines())
    assert not list(Path().glob("mark*"))


EVIL = "x\ntouch mark\x1b]0;\u202e"
"""A newline in a name would begin a command for the one who pastes; an escape code would rewrite the terminal."""


@pytest.mark.parametrize(
    "about",
    [
        {"commit": EVIL},
        {"data_checksum": EVIL},
        {"data_source": {"phantom": False, "archives": [{"name": EVIL, "algorithm": "md5", "checksum": "0"}]}},
    ],
)
def test_names_in_run_json_that_would_be_printed_are_refused(rerun: Rerun, about: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"run\.json: ") as refusal:
        rerun(about=about)
    assert all(line.isprintable() for line in str(refusal.value).splitlines())


def test_a_dollar_arrives_as_one(rerun: Rerun, capsys: pytest.CaptureFixture[str]) -> None:
    """Pasted into a shell, through make: what a reader lets pass stands there letter for letter."""
    rerun(variables={"NET": "UNet(name='a$HOME;`$x')"})
    command = capsys.readouterr().out.splitlines()[-1]
    Path("toy.make").write_text("export NET\nall: ; @printenv NET\n")
    shell = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # not within a make
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=shell)
    assert done.stdout == "UNet(name='a$HOME;`$x')\n"


def test_code_by_import_path_must_be_trusted(rerun: Rerun, capsys: pytest.CaptureFixture[str]) -> None:
    rerun("--trust_code", variables={"NET": "mypackage.nets:TinyNet", "gdl.losses": "mypackage.losses:Mine(a=2):1@1"})
    said = capsys.readouterr().out
    assert "imports, from this checkout's Python path: mypackage.nets:TinyNet, mypackage.losses:Mine" in said
    assert "NET=mypackage.nets:TinyNet" in said


def test_a_variable_of_ones_own_replaces_the_archives(rerun: Rerun, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((Stop, FileNotFoundError)):  # the toy ledger slices nothing
        rerun(
            "--run",
            "--make",
            "TRAIN=--weights '/my $weights'",
            "LR=1",
            variables={"TRAIN": "--weights /abs", "LR": "2"},
        )
    assert "made NET=UNet(width=8) LR=1 TRAIN=--weights" in capfd.readouterr().out.replace("'", "")


def options(arguments: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The options that a command reads."""
    found: list[argparse.ArgumentParser] = []

    def keep(parser: argparse.ArgumentParser, words: object = None) -> None:
        found.append(parser)
        raise SystemExit

    with monkeypatch.context() as patched, contextlib.suppress(SystemExit):
        patched.setattr(argparse.ArgumentParser, "parse_args", keep)
        arguments()
    return {text for action in found[0]._actions for text in action.option_strings if text.startswith("--")}


def test_every_option_that_shapes_a_result_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are for this machine, set by make, or have a variable of their own, of which code may be imported."""
    own_variables = {setting.flag for setting in declared() if setting.option.make}
    for arguments, known, others in (
        (train.arguments, TRAINING_OPTIONS, {"--data", *own_variables, *train.BESIDE}),
        (locate.arguments, LOCATING_OPTIONS, {"--data", "--found_by", *locate.BESIDE}),
        (phantom.arguments, PHANTOM_OPTIONS, {"--study"}),
        (report.arguments, REPORT_OPTIONS, {"--study", "--metrics", *report.BESIDE}),
    ):
        assert options(arguments, monkeypatch) - others - {"--help", "--fresh"} == set(known)
    preparing = set()
    for kind in ("slices", "volumes"):
        study = SimpleNamespace(name="toy", kind=kind, expects="", shape=None, normalise="zscore", modalities=("ct",))
        preparing |= options(lambda study=study: engine.arguments(study, []), monkeypatch)
    assert preparing - {"--source", "--retain", "--fold", "--link", "--help", "--fresh"} == set(PREPARING_OPTIONS)


@pytest.mark.parametrize("study", ["isles", "wmh", "acdc", "atria"])
def test_what_make_packs_can_be_read(study: str) -> None:
    """Every variable that an archive of a study says, with the study's own values and every row of its ledger."""
    packed = "packed: ; @printf '%s\\0' $(made_with)"
    words = ["make", "-s", "-f", f"{study}.make", "--eval", packed, "packed", "RUNS=$(rows)"]
    said = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    variables = dict(word.split("=", 1) for word in said.split("\0") if word)
    assert len(variables) > 20 and settings.read_variables(variables) == (variables, [])


def arrays(folder: Path, changes: dict[str, list[float]]) -> RunFolder:
    """A run that holds the same five arrays but for the changes; a change to [] leaves an array out."""
    folder.mkdir(parents=True)
    names = ("tra_loss", "val_3d_dsc", "val_3d_assd_mesh", "val_3d_hd95_surfel", "val_ejection_error")
    for name, values in ({name: [1.0, np.nan, 3.0] for name in names} | changes).items():
        if values:
            np.save(folder / f"{name}.npy", np.array(values, np.float32))
    return RunFolder(folder)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "5 arrays are the same"),
        ({"val_3d_assd_mesh": [1.0, np.nan, 3.5]}, "5 arrays are different, by 0.5 at most"),
        ({"val_ejection_error": [1.0, np.nan, 7.0]}, "5 arrays are different, by 4 at most"),
        ({"val_3d_hd95_surfel": [1.0, 0.0, 3.0]}, "5 arrays are different, by inf at most"),
        ({"val_3d_assd_mesh": []}, "4 arrays are the same; not measured again: val_3d_assd_mesh (give METRICS)"),
    ],
)
def test_every_array_of_the_archive_is_compared(tmp_path: Path, changes: dict[str, list[float]], line: str) -> None:
    before, after = arrays(tmp_path / "archive/isles/gdl", {}), arrays(tmp_path / "results/gdl", changes)
    recipe = SimpleNamespace(runs=(before,))
    write_json(after.path / "rows.json", {})
    assert compare(cast(Recipe, recipe), tmp_path / "results") == [f"gdl: {line}"]
