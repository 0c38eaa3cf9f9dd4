"""What make gives to each row's training: settings of the row, its families or the study, and the locator's boxes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from standins import Done, follows

from boundary_loss.networks import build_network

Make = Callable[..., Done]
RD, DATA, CROP = "results/atria", "data/ATRIA", "data/ATRIA_CROP"


@pytest.fixture
def atria(make: Make, checkout: Path) -> Make:
    """Run make for the row dice of atria.make, from the start."""

    def run(*words: str, **environment: str) -> Done:
        shutil.rmtree(checkout / "results", ignore_errors=True)
        return make("RUNS=dice", *words, study="atria", **environment)

    return run


def trained(commands: list[list[str]]) -> dict[str, list[str]]:
    """The words of each training by its folder, in the order of their start."""
    return {words[2]: words[3:] for words in commands if words[1:2] == ["boundary_loss.train"]}


def value(words: list[str], option: str) -> list[str]:
    """What an option of a training was given; nothing if it was not."""
    if option not in words:
        return []
    after = words[words.index(option) + 1 :]
    return after[: next((i for i, word in enumerate(after) if word.startswith("--")), len(after))]


@pytest.mark.parametrize(
    ("given", "network"),
    [
        ([], "UNet"),
        (["gdl.net=ENet"], "ENet"),
        (["families=gdl", "gdl.net=ENet"], "ENet"),
        (["NET=Dimwit"], "Dimwit"),
        (["NET=Dimwit", "gdl.net=ENet"], "ENet"),
    ],
)
def test_what_the_command_line_says_of_a_row_comes_before_what_it_says_of_all(make: Make, given, network) -> None:
    _, commands = make(*given)
    assert value(trained(commands)["results/isles/gdl"], "--network") == [network]


def test_a_row_comes_before_its_families_and_they_before_the_study(atria: Make, checkout: Path) -> None:
    ledger = checkout / "atria.make"
    more = "a_b_c.losses := ce:1\na_b_d.losses := ce:1\na_e.losses := ce:1\na_b_c.lr := 1\na_b.lr := 2\na.lr := 3\n"
    ledger.write_text(ledger.read_text().replace("families := ", f"{more}families := a_b a "))
    _, commands = atria("RUNS=a_b_c a_b_d a_e dice")
    rates = {run: value(words, "--lr") for run, words in trained(commands).items()}
    expected = {"locator": "1e-4", "a_b_c": "1", "a_b_d": "2", "a_e": "3", "dice": "3e-4"}
    assert rates == {f"{RD}/{row}": [rate] for row, rate in expected.items()}
    _, commands = atria("RUNS=a_b_c a_e", "LR=9", "a_b.lr=8")
    assert [value(words, "--lr") for words in trained(commands).values()] == [["9"], ["8"], ["9"]]


@pytest.mark.parametrize(
    ("part", "option", "given"),
    [
        ("fit", "--fit", "reduce(2,2,1) pad(16)"), ("sample", "--sample", "patch(8,8,8)"),
        ("infer", "--infer", "windows(overlap=0.1)"), ("augment", "--augment", "flip(z) rotate(9)"),
        ("net", "--network", "VNet(width=2)"), ("epc", "--epochs", "7"), ("bs", "--batch_size", "2"),
        ("lr", "--lr", "5e-5"), ("rate", "--rate", "constant"),
    ],
)  # fmt: skip
def test_a_row_says_every_setting_of_its_own(atria: Make, part: str, option: str, given: str) -> None:
    of_row, of_all = (
        trained(
            atria(
                f"{name}={given}",
            )[1]
        )
        for name in (f"dice.{part}", part.upper())
    )
    assert value(of_row[f"{RD}/dice"], option) == given.split()
    assert value(of_row[f"{RD}/locator"], option) != given.split()
    assert all(value(words, option) == given.split() for words in of_all.values()) and len(of_all) == 2


def test_the_locator_is_trained_first_and_its_boxes_are_what_the_others_are_shown(atria: Make) -> None:
    _, commands = atria("RUNS=dice hybrid", "-j4")
    order = [words[2] for words in commands if words[1] in ("boundary_loss.train", "boundary_loss.locate")]
    assert order[:2] == [f"{RD}/locator", CROP] and set(order[2:]) == {f"{RD}/dice", f"{RD}/hybrid"}
    runs = trained(commands)
    assert value(runs[f"{RD}/locator"], "--boxes") == [] and value(runs[f"{RD}/locator"], "--fit") == ["reduce(4,4,2)"]
    assert value(runs[f"{RD}/dice"], "--boxes") == value(runs[f"{RD}/hybrid"], "--boxes") == [CROP]
    located = follows(commands, "boundary_loss.locate")[0]
    assert located[1:5] == ["--run", f"{RD}/locator", "--data", DATA]
    assert located[5].startswith(f"--found_by=--data {DATA} ") and "--fit reduce(4,4,2)" in located[5]
    packed = next(words for words in commands if "pack" in words)
    assert packed[packed.index("--runs") :][:4] == ["--runs", f"{RD}/dice", f"{RD}/hybrid", f"{RD}/locator"]


def test_a_row_on_slices_sees_whole_planes(atria: Make) -> None:
    _, commands = atria("RUNS=dice focal", "focal.sample=slices", "predict", "CASES=x")
    runs = trained(commands)
    assert value(runs[f"{RD}/dice"], "--boxes") == [CROP] and value(runs[f"{RD}/focal"], "--boxes") == []
    assert value(runs[f"{RD}/focal"], "--sample") == ["slices"]
    located = {words[2].split("/")[2]: "--locator" in words for words in commands if words[1].endswith("predict")}
    assert located == {"dice": True, "focal": False}


def test_the_record_of_boxes_is_what_make_compares(atria: Make, checkout: Path) -> None:
    """Boxes that say how they were found are not found again; other settings of the locator find them anew."""
    _, commands = atria()
    folder = checkout / CROP
    folder.mkdir(parents=True)
    words = follows(commands, "boundary_loss.locate")[0][3:]
    words = words[: words.index("--device")]
    folder.joinpath("arguments.txt").write_text(" ".join(f"'{word}'" for word in words) + "\n")
    assert not follows(atria()[1], "boundary_loss.locate")
    assert not follows(atria("dice.lr=1", "BS=1", "locator.bs=5")[1], "boundary_loss.locate")
    for other in ("locator.lr=1", "LOCATE=--least 5", "SEED=1"):
        assert follows(atria(other)[1], "boundary_loss.locate"), other


def test_each_fold_has_boxes_of_its_own_found_by_its_first_seed(atria: Make) -> None:
    _, commands = atria("FOLDS=0 2", "SEEDS=5 6")
    runs = trained(commands)
    for fold, suffix in (("0", ""), ("2", "-fold2")):
        for seed in "56":
            assert value(runs[f"{RD}/dice/fold{fold}_seed{seed}"], "--boxes") == [CROP + suffix]
        located = next(words for words in follows(commands, "boundary_loss.locate") if words[0] == CROP + suffix)
        assert located[1:5] == ["--run", f"{RD}/locator/fold{fold}_seed5", "--data", DATA + suffix]
    assert {run for run in runs if "locator" in run} == {f"{RD}/locator/fold{fold}_seed5" for fold in "02"}
    _, commands = atria("FOLD=1", "DEBUG=--debug", "SRC=phantom")
    run = "results/atria-phantom-debug-fold1/dice"
    assert value(trained(commands)[run], "--boxes") == ["data/ATRIA_CROP-phantom-debug-fold1"]


def test_folds_of_whole_volumes_link_the_arrays_of_one(atria: Make, checkout: Path) -> None:
    def linked(*words: str) -> dict[str, list[str]]:
        commands = [words for words in atria("data", *words)[1] if words[0].startswith("preprocess/prepare")]
        return {words[1]: value(words, "--link") for words in commands}

    assert linked() == {DATA: []} and linked("FOLD=3") == {f"{DATA}-fold3": []}
    assert linked("FOLDS=2 0 1", "-j3") == {
        f"{DATA}-fold2": [],
        DATA: [f"{DATA}-fold2"],
        f"{DATA}-fold1": [f"{DATA}-fold2"],
    }
    (checkout / DATA).mkdir(parents=True)
    (checkout / DATA / "arguments.txt").write_text("x")
    assert linked("FOLD=3") == {f"{DATA}-fold3": [DATA]}


@pytest.mark.parametrize(
    ("source", "networks", "rates", "augment"),
    [
        (
            [],
            ["VNet", "VNet", "VNet(attention=serial,dilation=4)", "VNet(layers=2)"],
            ["1e-4", "3e-4", "2.5e-4", "1.5e-4"],
            ["flip(y)", "rotate(3)", "shift(3)", "noise(1)"],
        ),
        (
            ["SRC=phantom"],
            [
                "VNet(kernel=3,width=8,norm=instance,levels=1-2-2)",
                "VNet(kernel=3,width=8,norm=instance,levels=1-2-2)",
                "VNet(kernel=3,width=8,norm=instance,levels=1-2-2,attention=serial,dilation=4)",
                "VNet(kernel=3,width=8,norm=instance,levels=1-3-3)",
            ],
            ["1e-2"] * 4,
            ["flip(y)", "noise(0.1)"],
        ),
    ],
    ids=["challenge", "phantom"],
)
def test_networks_are_the_published_ones_and_small_for_a_phantom(
    make: Make, source: list[str], networks: list[str], rates: list[str], augment: list[str]
) -> None:
    """Of the locator, then of the rows."""
    found = list(trained(make("RUNS=dice bam4_hybrid wide", *source, study="atria")[1]).values())
    assert [value(words, "--network") for words in found] == [[name] for name in networks]
    assert [value(words, "--lr") for words in found] == [[rate] for rate in rates]
    assert value(found[0], "--augment") == ["none"] and value(found[1], "--augment") == augment
    for name in networks:
        build_network(name, 1, 2)


def test_without_a_locator_all_of_a_volume_is_shown(atria: Make) -> None:
    _, commands = atria(
        "LOCATOR=",
    )
    runs = trained(commands)
    assert list(runs) == [f"{RD}/dice"] and "--boxes" not in runs[f"{RD}/dice"]
    assert not follows(commands, "boundary_loss.locate")
    _, commands = atria("RUNS=locator")
    assert list(trained(commands)) == [f"{RD}/locator"]


def test_new_cases_are_located_as_those_of_the_training(atria: Make) -> None:
    words = ("CASES=x", "predict", "FOLDS=0 1", "SEEDS=3 4")
    predicted = {
        words[2]: words for words in atria("LOCATE=--least 2 --buffer 8", *words)[1] if words[1].endswith("predict")
    }
    assert len(predicted) == 4
    for fold in "01":
        told = predicted[f"{RD}/dice/fold{fold}_seed4/pred_x"]
        assert value(told, "--locator") == [f"{RD}/locator/fold{fold}_seed3/best.pkl"] and value(told, "--least") == [
            "2"
        ]
    (plain,) = (words for words in atria("LOCATOR=", "CASES=x", "predict")[1] if words[1].endswith("predict"))
    assert not {"--locator", "--least"} & {*plain}
    commands = atria("CASES=x", "predict", "locator.net=my.nets:Net")[1]
    trusting = [words[1].split(".")[1] for words in commands if "--trust_network" in words]
    assert trusting == ["locate", "predict"]


def test_the_locator_is_among_the_rows_that_are_checked(atria: Make) -> None:
    _, commands = atria(f"{RD}/focal")
    checked = next(words for words in commands if words[1] == "boundary_loss.goals")
    assert value(checked, "--rows") == ["dice"] and value(checked, "--locator") == ["locator"]
    assert [words[0] for words in follows([checked], "--run")] == [f"{RD}/dice"]
    assert [checked[i + 1] for i, word in enumerate(checked) if word == "--run"] == [
        f"{RD}/{row}" for row in ("dice", "focal", "locator")
    ]


@pytest.mark.parametrize(
    ("words", "study", "says"),
    [
        (["SLICE=--n_augment 2"], "isles", "SLICE is called PREPARE now"),
        (["SLICED_AS=X"], "atria", "SLICED_AS in a study's file PREPARED_AS"),
        (["RUNS=dice", "LOCATOR=nobody"], "atria", "LOCATOR='nobody' is one row of the ledger"),
        (["RUNS=dice", "LOCATOR=dice focal"], "atria", "LOCATOR='dice focal' is one row of the ledger"),
        (["LOCATOR=gdl"], "isles", "in whole volumes"),
        (["RUNS=dice", "dice.bs=0.5"], "atria", "dice.bs='0.5' must be a whole number"),
        (["RUNS=dice", "dice.epc=1 2"], "atria", "dice.epc='1 2' must be a whole number"),
        (["RUNS=dice", "METRICS=val_boundary"], "atria", "METRICS names nothing that atria has: val_boundary"),
        (["RUNS=dice", "KIND=points"], "atria", "KIND=points is unknown; use slices or volumes"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(make: Make, words: list[str], study: str, says: str) -> None:
    done, commands = make(*words, study=study)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("***") == 1 and not commands


def test_the_environment_says_nothing(atria: Make) -> None:
    told = {"FIT": "none", "SAMPLE": "slices", "LOCATOR": "dice", "KIND": "slices", "SLICE": "x", "families": "dice"}
    assert trained(atria()[1]) == trained(atria(**told)[1])
