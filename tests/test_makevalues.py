"""How values reach commands through make: a stand-in for Python notes the words that each command is given."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from standins import follows
from toys import REPOSITORY

EVIL = "a`touch mark`; touch mark; $$(touch mark) 'b c' > mark & \"$$HOME\" | touch mark (#\\`\ntouch mark"
AS_WORD = EVIL.replace("$$", "$").replace("\n", " ")
AS_OPTIONS = shlex.split(AS_WORD)


@pytest.mark.parametrize(
    ("name", "option"),
    {
        "NET": "--network", "LR": "--lr", "RATE": "--rate", "AMP": "--amp", "PREDICTIONS": "--predictions",
        "KEEP": "--keep", "DEVICE": "--device", "GPUS": "--gpus", "SAVE_MINUTES": "--save_minutes", "TRACK": "--track",
        "LINEAGE": "--lineage", "ZIPS": "--zips", "gdl.schedule": "--schedule", "MODALITY": "--modality",
        "EPOCH": "--epoch", "SAVE": "--save", "CASES": "--source", "ARCHIVE": "verify",
    }.items(),
)  # fmt: skip
def test_a_value_is_one_word(make, checkout: Path, name: str, option: str) -> None:
    goals = {"EPOCH": ["view", "pred"], "SAVE": ["view"], "CASES": ["predict"], "ARCHIVE": ["verify"]}.get(
        name, ["all"]
    )
    _, commands = make(f"{name}={EVIL}", "-k", *goals)
    assert AS_WORD in [words[0] for words in follows(commands, option)]
    assert not list(checkout.rglob("*mark*"))


@pytest.mark.parametrize(
    ("name", "before"),
    {
        "PHANTOM": "isles", "PREPARE": "0", "TRAIN": "0", "DEBUG": "0", "gdl.options": "0", "PLOT": "isles",
        "BOXPLOT": "isles", "HIST": "isles", "REPORT": "default", "VIEW": "mtt", "RERUN": "x.tar.gz",
        "PREDICT": "data/isles-phantom/TESTING", "AUGMENT": "--augment", "SLICES": "--slices", "gdl.losses": "--losses",
    }.items(),
)  # fmt: skip
def test_of_options_each_is_a_word(make, checkout: Path, name: str, before: str) -> None:
    goals = {"VIEW": ["view"], "SLICES": ["view"], "PREDICT": ["predict"], "RERUN": ["rerun", "ARCHIVE=x.tar.gz"]}
    _, commands = make("SRC=phantom", f"{name}={EVIL}", "-k", *goals.get(name, ["all"]))
    expected = AS_WORD.split() if name in ("AUGMENT", "SLICES", "gdl.losses") else AS_OPTIONS
    assert any(words[: len(expected)] == expected for words in follows(commands, before))
    assert not list(checkout.rglob("*mark*"))


@pytest.mark.parametrize(
    "name", ["RD", "SRC", "RUNS", "METRICS", "RETAIN", "FOLD", "FOLDS", "EPC", "BS", "SEED", "SEEDS", "NPROC"]
)
@pytest.mark.parametrize("value", [EVIL, "-x%'"])
def test_what_names_files_or_counts_is_checked_first(make, checkout: Path, name: str, value: str) -> None:
    done, commands = make(f"{name}={value}")
    assert done.returncode == 2 and f"{name}" in done.stderr and done.stderr.count("***") == 1
    assert not commands and not list(checkout.rglob("*mark*"))


@pytest.mark.parametrize(
    "folder", ["", "/", ".", "..", "results/", "./results", "results/x/..", "src/x", "data", "~", "a:b", "{here}"]
)
def test_results_go_to_a_folder_of_their_own(make, checkout: Path, folder: str) -> None:
    done, commands = make(f"RD={folder.format(here=checkout)}")
    assert done.returncode == 2 and "RD='" in done.stderr and "must be a folder of its own" in done.stderr
    assert not commands


def test_results_may_be_elsewhere(make, tmp_path: Path) -> None:
    _, commands = make(f"RD={tmp_path}/out/", "check-ledger")
    assert follows(commands, "--run")[0][0] == f"{tmp_path}/out/gdl"
    done, commands = make("RD=results/my try", "check-ledger")
    assert (
        follows(commands, "--run")[0][0] == "results/my_try/gdl" and "the results go to results/my_try" in done.stderr
    )


def test_what_make_prints_can_be_pasted(make, checkout: Path) -> None:
    words = [f"NET={EVIL}", f"TRAIN={EVIL}", f"ZIPS={EVIL}", f"REPORT={EVIL}"]
    printed = make("-n", *words)[0].stdout
    _, made = make(*words)
    (checkout / "words").unlink()
    subprocess.run(["bash", "-u"], input=printed, text=True, cwd=checkout, capture_output=True)
    pasted = (checkout / "words").read_text().split("\n\0")[:-1]
    assert [command.split("\0")[:-1] for command in pasted] == made and len(made) > 5
    assert not list(checkout.rglob("*mark*"))


@pytest.mark.parametrize(
    "goal", ["`touch mark`", "results/$$(touch mark)", "results/isles/`touch mark`.gif", "data/;touch mark", "reprot"]
)
def test_a_goal_that_is_none_is_named(make, checkout: Path, goal: str) -> None:
    done, commands = make(goal)
    assert done.returncode == 2 and not commands
    assert "error: nothing makes " in done.stderr or "No rule to make target" in done.stderr
    assert not list(checkout.rglob("mark"))


def test_all_is_made_anew_and_no_makefile(make) -> None:
    done, _ = make("-n", "-B", "train")
    assert done.returncode == 0 and done.stdout.count("boundary_loss.train ") == 1 and "--fresh" in done.stdout


def test_settings_do_not_come_from_the_environment(make) -> None:
    others = dict.fromkeys(
        ["NET", "EPC", "BS", "LR", "SEED", "SEEDS", "RUNS", "RETAIN", "RD", "CASES", "CC", "curves"], "7"
    )
    expected = make("-n")[0].stdout
    assert make("-n", **others)[0].stdout == expected and "--seed 0" in expected


@pytest.mark.parametrize("seeds", ["00 0", "0 0", "+1", "1.0", "01", "0 1 ١"])
def test_a_seed_has_one_spelling(make, seeds: str) -> None:
    done, _ = make(f"SEEDS={seeds}")
    assert done.returncode == 2 and "SEEDS=" in done.stderr


def test_python_may_have_a_space_in_its_path_or_be_several_words(make, checkout: Path) -> None:
    (checkout / "my env").mkdir()
    shutil.copy(checkout / "python", checkout / "my env" / "python")
    for given in ("my env/python", "env A=1 ./python"):
        _, commands = make(f"CC={given}", "-o", "data/isles", "check-ledger")
        assert follows(commands, "-m")


@pytest.mark.parametrize(
    ("python", "says"),
    [("/no/such/python", "No such file"), ("true", "it is no Python"), ("{here}/lacking", "it lacks no_such_package")],
)
def test_a_python_that_cannot_work_is_refused_before_it_is_called(make, checkout: Path, python: str, says: str) -> None:
    shutil.copy(REPOSITORY / "src" / "check_python.py", checkout / "src")
    (checkout / "lacking").write_text(f'#!/bin/sh\nexec {sys.executable} "$@" no_such_package\n')
    (checkout / "lacking").chmod(0o755)
    done, _ = make(f"CC={python.format(here='.')}", "data")
    assert done.returncode == 2 and says in done.stderr and "CC=/path/to/python names one" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_module_that_hides_pythons_own_is_named(make, checkout: Path) -> None:
    shutil.copy(REPOSITORY / "src" / "check_python.py", checkout / "src")
    (checkout / "my tools").mkdir()
    (checkout / "my tools" / "signal.py").touch()
    path = f"/nowhere:{checkout}/my tools"
    done, _ = make(f"CC={sys.executable}", "-n", "data", PYTHONPATH=path)
    assert done.returncode == 2 and "signal.py hides Python's own module signal" in done.stderr
    (checkout / "my tools" / "signal.py").rename(checkout / "my tools" / "nets.py")
    done, _ = make(f"CC={sys.executable}", "-n", "data", PYTHONPATH=path)
    assert done.returncode == 0 and 'PYTHONPATH=src:"$PYTHONPATH"' in done.stdout


def test_from_another_folder_the_right_one_is_named(checkout: Path, tmp_path: Path) -> None:
    for name in ("isles.make", "wmh.make", "acdc.make", "atria.make", "Makefile"):
        words = ["make", "-f", str(checkout / name), "help"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2 and f"works in the folder of {checkout / name}: cd there first" in done.stderr


def test_what_a_wrong_clock_dated_is_made_once_more(make, checkout: Path) -> None:
    results = checkout / "results" / "isles"
    (results / "gdl").mkdir(parents=True)
    arrays = [results / "gdl" / f"{name}.npy" for name in ("val_dice", "tra_loss")]
    plot = results / "val_dice.png"
    for path in (*arrays, plot):
        path.touch()
    os.utime(arrays[0], (4e9, 4e9))
    os.utime(plot, (4e9, 4e9))
    assert "dated in the future" in make("-n", "help")[0].stderr and plot.stat().st_mtime == 4e9
    make("help")
    assert plot.stat().st_mtime < arrays[1].stat().st_mtime <= arrays[0].stat().st_mtime < 3e9
    assert "dated in the future" not in make("help")[0].stderr
