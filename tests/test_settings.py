"""A setting is declared once: each field of Settings is followed from the command line to every place that names it."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from toyruns import write_row

from boundary_loss import train
from boundary_loss.archive.settings import read_variables
from boundary_loss.experiment import Experiment
from boundary_loss.files import read_json, write_json
from boundary_loss.report import provenance_section
from boundary_loss.report.findings import differences
from boundary_loss.report.seen import Unavailable
from boundary_loss.report.table import collect
from boundary_loss.settings import GROUPS, Setting, declared, given
from boundary_loss.statistics.alike import BESIDE, STUDIED
from boundary_loss.statistics.comparison import find_runs

GRAMMAR = {
    "losses": "ce:1",
    "augment": "flip",
    "fit": "pad(16)",
    "sample": "patch(16,16,8)",
    "infer": "windows(0.25)",
    "schedule": "linear(1,0.5,3)",
    "network": "ENet",
    "rate": "cosine(3)",
}
"""Another value of the settings that are read as a call; of the others the type or the choices give one."""

each_setting = pytest.mark.parametrize("setting", declared(), ids=lambda setting: setting.flag)


def other_words(setting: Setting) -> list[str]:
    """The option with a value that is not its default."""
    kind, default, choices = setting.field.type, setting.field.default, setting.option.choices
    if kind is bool:
        return [setting.flag]
    if choices:
        return [setting.flag, next(word for word in choices if word != default)]
    if kind in (int, float):
        return [setting.flag, str(2 * default + 1)]
    return [setting.flag, "best.pkl" if setting.is_path else GRAMMAR[setting.field.name]]


def experiment_of(*words: str) -> Experiment:
    """As training reads it from the command line; of a setting given twice the last counts."""
    args = train.arguments(["results/toy/gdl", "--data", "data/TOY", "--losses", "gdl:1", *words])
    return train.read_experiment(args, 2)


def recorded(folder: Path, name: str, experiment: Experiment) -> Path:
    run = write_row(folder, name, np.zeros(3))
    write_json(run / "run.json", read_json(run / "run.json") | experiment.settings())
    return run


@each_setting
def test_it_reaches_the_experiment_and_its_record(setting: Setting) -> None:
    plain, changed = experiment_of(), experiment_of(*other_words(setting))
    assert getattr(plain, setting.field.name) != getattr(changed, setting.field.name)
    before, after = plain.settings(), changed.settings()
    assert {key for key in before if before[key] != after[key]} == {setting.key}
    if setting.field.name not in GRAMMAR:
        assert str(after[setting.key]) == str(getattr(changed, setting.field.name))


@each_setting
def test_it_reaches_the_report(setting: Setting, tmp_path: Path) -> None:
    plain, changed = experiment_of(), experiment_of(*other_words(setting))
    runs = find_runs([recorded(tmp_path, "a", plain), recorded(tmp_path, "b", changed)])
    page = provenance_section.html(collect(runs, ["val_3d_dsc"]), Unavailable("none"))
    (line,) = (line for line in page.split("<tr>") if f'<th scope="row">{setting.heading}</th>' in line)
    assert line.count("<td>") == 2  # one cell a row: they differ
    said = differences(runs)
    if setting.key in STUDIED | BESIDE:
        assert said == []
    else:
        assert len(said) == 1 and said[0].startswith(f"The runs differ in {setting.words} (")


@each_setting
def test_an_archive_takes_it_among_the_options_or_by_its_own_variable(setting: Setting) -> None:
    words = other_words(setting)
    options = {"gdl.losses": "gdl:1", "TRAIN": shlex.join(words)}
    if not setting.option.make:
        assert read_variables(options)[0] == options
        return
    with pytest.raises(ValueError, match=f"'{setting.flag}' is not one of"):
        read_variables(options)
    make = setting.option.make
    variables = {"gdl.losses": "gdl:1"} | {make if make.isupper() else f"gdl.{make}": words[1]}
    assert read_variables(variables)[0] == variables


def test_a_file_outside_the_checkout_is_refused_of_every_path() -> None:
    for setting in declared():
        if setting.is_path:
            with pytest.raises(ValueError, match="outside this checkout"):
                read_variables({"TRAIN": f"{setting.flag} ../secret"})


@each_setting
def test_choices_and_ranges_are_checked_without_a_command_line(setting: Setting) -> None:
    option, valid = setting.option, given(train.arguments(["gdl", "--data", "x", "--losses", "gdl:1"]))
    wrong = "none of them" if option.choices else option.most and option.most * 10
    if wrong:
        with pytest.raises(ValueError, match=r"is one of|does not fit"):
            Experiment(num_classes=2, **valid | {setting.field.name: wrong})


def test_groups_are_those_of_help() -> None:
    assert {setting.option.group for setting in declared()} == set(GROUPS)
