"""What brats.make and lits.make give to each row's training, and that training takes it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from standins import Done
from test_makerows import trained, value

from boundary_loss import train
from boundary_loss.experiment import Experiment
from boundary_loss.networks import build_network
from boundary_loss.settings import given

Make = Callable[..., Done]
CHANNELS = {"brats": 4, "lits": 1}
PARAMETERS = {
    "brats": {"onet": 6.89, "oss_a": 7.25, "oss_b": 7.25, "oss_c": 8.70, "oss_d": 8.71},
    "lits": {"onet": 9.06, "oss_a": 9.41, "oss_b": 9.41, "oss_c": 10.87, "oss_d": 10.87},
}
"""Millions, as published (Reich et al. 2021)."""


@pytest.mark.parametrize("study", CHANNELS)
def test_the_networks_have_the_published_numbers_of_parameters(make: Make, study: str) -> None:
    _, commands = make(f"RUNS={' '.join(PARAMETERS[study])}", study=study)
    networks = {Path(run).name: value(words, "--network")[0] for run, words in trained(commands).items()}
    assert set(networks) == set(PARAMETERS[study])
    for row, text in networks.items():
        net = build_network(text, CHANNELS[study], 2)
        assert sum(weight.numel() for weight in net.parameters()) / 1e6 == pytest.approx(
            PARAMETERS[study][row], abs=6e-3
        )


@pytest.mark.parametrize("study", CHANNELS)
@pytest.mark.parametrize("source", [[], ["SRC=phantom"]], ids=["challenge", "phantom"])
def test_every_row_is_one_that_training_reads(make: Make, study: str, source: list[str]) -> None:
    done, _ = make("help", "RUNS=oss_c", study=study)
    rows = [line.split(":")[0].lstrip(" *") for line in done.stdout.splitlines() if "ce:1" in line]
    assert len(rows) == 16, done.stdout
    _, commands = make(f"RUNS={' '.join(rows)}", *source, "--warn-undefined-variables", study=study)
    found = trained(commands)
    assert len(found) == 16
    for run, words in found.items():
        args = train.arguments([run, *words])
        experiment = Experiment(num_classes=2, of_volumes=True, **given(args))
        assert experiment.optimiser == ("adam" if source else "lookahead") and not experiment.keeps(0)
        assert experiment.view.of_points is ("oss" in run.rpartition("/")[2] or run.endswith("onet"))


def test_what_differs_between_the_studies_and_their_rows(make: Make) -> None:
    rows = "oss_c oss_c_uniform oss_c_border unet3d unet2d"
    brats, lits = (trained(make(f"RUNS={rows}", study=study)[1]) for study in CHANNELS)
    shown = {run: (value(words, "--fit"), value(words, "--sample")) for run, words in {**brats, **lits}.items()}
    assert shown == {
        "results/brats/oss_c": (["pad(32)"], ["points(16384)"]),
        "results/brats/oss_c_uniform": (["pad(32)"], ["points(16384)"]),
        "results/brats/oss_c_border": (["pad(32)"], ["points(16384,border=0.5)"]),
        "results/brats/unet3d": (["pad(32)"], ["patch(128,128,128)"]),
        "results/brats/unet2d": (["none"], ["slices"]),
        "results/lits/oss_c": (["stretch(512)"], ["points(16384,border=0.5)"]),
        "results/lits/oss_c_uniform": (["stretch(512)"], ["points(16384)"]),
        "results/lits/oss_c_border": (["stretch(512)"], ["points(16384,border=0.5)"]),
        "results/lits/unet3d": (["stretch(224)"], ["whole"]),
        "results/lits/unet2d": (["none"], ["slices"]),
    }
    assert value(brats["results/brats/oss_c"], "--losses") == ["ce:1", "aux_ce:0.1"]
    assert value(brats["results/brats/oss_c"], "--rate") == ["steps(20,30)"]


def test_the_left_atria_have_rows_of_points_too(make: Make) -> None:
    _, commands = make("RUNS=oss_c unet3d", study="atria")
    found = trained(commands)
    assert list(found) == ["results/atria/locator", "results/atria/oss_c", "results/atria/unet3d"]
    for run, words in found.items():
        experiment = Experiment(num_classes=2, of_volumes=True, **given(train.arguments([run, *words])))
        assert experiment.view.of_points is run.endswith("oss_c")
    assert value(found["results/atria/oss_c"], "--optimiser") == ["lookahead"]
    assert not value(found["results/atria/unet3d"], "--optimiser")


def test_surfaces_are_made_before_a_report_that_is_asked_with_them(make: Make) -> None:
    _, commands = make("report", "mesh", "RUNS=oss_c", study="brats")
    modules = [words[1] for words in commands if len(words) > 1]
    assert modules.index("boundary_loss.mesh") < modules.index("boundary_loss.report")
    _, alone = make("report", "RUNS=oss_c", study="brats")
    assert not any("boundary_loss.mesh" in words for words in alone)
