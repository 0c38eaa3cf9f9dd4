"""What contest.make gives to the studies' makefiles, with a stand-in for Python."""

import re
from pathlib import Path

import pytest
from standins import run_make
from toys import REPOSITORY

CONTEST = (REPOSITORY / "src" / "contest_rows.mk").read_text(encoding="utf-8")


def contest(checkout: Path, *words: str, **environment: str) -> tuple[int, str, list[list[str]]]:
    """Run make; status, what it said, and the words of each command."""
    done, commands = run_make(checkout, words, study="contest", environment=environment)
    return done.returncode, done.stdout + done.stderr, commands


def trained(commands: list[list[str]]) -> dict[str, list[str]]:
    return {words[2]: words[3:] for words in commands if words[1:2] == ["boundary_loss.train"]}


def option(words: list[str], name: str) -> list[str]:
    after = words[words.index(name) + 1 :] if name in words else []
    return after[: next((i for i, word in enumerate(after) if word.startswith("--")), len(after))]


def test_the_first_seed_of_every_set_comes_first(checkout: Path) -> None:
    _, _, commands = contest(checkout, "SRC=phantom", "ROWS=ce_gdl", "SEEDS=0 1")
    places = [place.removeprefix("results/contest-phantom/") for place in trained(commands)]
    assert places == [f"{name}/{row}/seed{seed}" for seed in (0, 1) for name in ("atria", "acdc")
                      for row in ("ce_dice", "ce_gdl")]  # fmt: skip
    assert commands[-1][1:3] == ["boundary_loss.contest", "results/contest-phantom"]
    assert option(commands[-1], "--rows") == ["ce_dice", "ce_gdl"]


def test_rows_are_the_same_in_all_sets_and_each_set_has_its_settings(checkout: Path) -> None:
    _, _, commands = contest(checkout, "SRC=phantom", "SEEDS=0")
    runs = trained(commands)
    common = re.search(r"^contest := ((?:.*\\\n)*.*)$", CONTEST, re.MULTILINE)
    assert common is not None
    for row in common[1].replace("\\", " ").split():
        own = [runs[f"results/contest-phantom/{name}/{row}/seed0"] for name in ("acdc", "atria")]
        assert option(own[0], "--losses") == option(own[1], "--losses")
        assert option(own[0], "--network") != option(own[1], "--network")
    boundary = option(runs["results/contest-phantom/acdc/ce_dice_boundary/seed0"], "--schedule")
    epochs = option(runs["results/contest-phantom/acdc/ce_dice_boundary/seed0"], "--epochs")
    assert boundary == [f"linear(0.01,0.1,{epochs[0]})"]
    assert [place for place in runs if "boundary_alone" in place] == [
        "results/contest-phantom/acdc/boundary_alone/seed0"
    ]


def test_the_command_line_wins_over_the_set_and_nothing_else_reaches_a_study(checkout: Path) -> None:
    words = (
        "SRC=phantom",
        "SETS=acdc",
        "ROWS=ce_gdl",
        "SEEDS=3",
        "EPC=7",
        "acdc.small=NET='UNet(width=2)'",
        "RUNS=gdl",
    )
    status, _, commands = contest(checkout, *words, EPC="99", NET="ENet")
    assert status == 0
    runs = trained(commands)
    assert list(runs) == [f"results/contest-phantom/acdc/{row}/seed3" for row in ("ce_dice", "ce_gdl")]
    for own in runs.values():
        assert option(own, "--epochs") == ["7"] and option(own, "--network") == ["UNet(width=2)"]
        assert option(own, "--data") == ["data/contest_acdc-phantom"]


def test_a_second_make_trains_nothing_and_a_seed_more_only_that(checkout: Path) -> None:
    words = ("SRC=phantom", "SETS=acdc", "ROWS=ce_gdl")
    contest(checkout, *words, "SEEDS=0")
    folders = {}
    for run in checkout.glob("results/contest-phantom/acdc/*/seed0"):
        folders[run] = run.stat().st_mtime_ns
    assert len(folders) == 2
    _, _, commands = contest(checkout, *words, "SEEDS=0")
    assert trained(commands) == {}
    _, _, commands = contest(checkout, *words, "SEEDS=0 1")
    assert [Path(place).name for place in trained(commands)] == ["seed1", "seed1"]


def test_full_scale_has_folders_of_its_own(checkout: Path) -> None:
    _, _, commands = contest(checkout, "SRC=phantom", "SCALE=full", "SETS=acdc", "ROWS=ce_dice", "SEEDS=0")
    ((place, words),) = trained(commands).items()
    assert place == "results/contest-full-phantom/acdc/ce_dice/seed0"
    assert option(words, "--data") == ["data/contest_acdc-full-phantom"] and option(words, "--amp") == ["bf16"]


def test_sets_without_data_are_left_out_and_said_or_refused_by_name(checkout: Path, tmp_path: Path) -> None:
    archives = tmp_path / "my archives"
    archives.mkdir()
    (archives / "own.lineage").touch()
    status, said, commands = contest(
        checkout, f"ACDC={archives}", "ROWS=ce_dice", "SEEDS=0", "acdc.note=spacing is lost"
    )
    assert status == 0 and "left out: hippocampus3d (no HIPPOCAMPUS=path)" in said and "atria (no ATRIA=path)" in said
    unpacked = next(words for words in commands if words[1:2] == ["boundary_loss.unpack"])
    assert option(unpacked, "--zips") == [str(archives)] and option(unpacked, "--lineage") == [
        f"{archives}/own.lineage"
    ]
    assert option(commands[-1], "--set") == ["acdc"] and option(commands[-1], "--note") == ["spacing is lost"]
    for words in ((f"ACDC={archives}", "SETS=atria"), ("atria",), ("atria.seed0",)):
        status, said, commands = contest(checkout, *words)
        assert status == 2 and "error: atria has no data" in said and "ATRIA=folder" in said and trained(commands) == {}
    status, said, _ = contest(checkout)
    assert status == 2 and "no set has data" in said and "HIPPOCAMPUS=path ATRIA=path ACDC=path" in said


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("SETS=brains", "no set of the contest: brains. The sets are: hippocampus3d hippocampus2d atria acdc"),
        ("ROWS=dice", "no row of src/contest_rows.mk: dice. The rows are: boundary_alone"),
        ("BASE=dice", "no row of src/contest_rows.mk: dice"),
        ("SEEDS=0 one", "SEEDS are whole numbers"),
        ("SCALE=large", "SCALE=large is unknown"),
    ],
)
def test_what_is_misspelt_is_refused_with_what_is_known(checkout: Path, word: str, says: str) -> None:
    status, said, commands = contest(checkout, "SRC=phantom", word)
    assert status == 2 and says in said and commands == []


def test_a_study_takes_rows_of_a_file(checkout: Path) -> None:
    words = ("SRC=phantom", "LEDGER=src/contest_rows.mk", "RUNS=ce_dice_sdf", "train")
    done, commands = run_make(checkout, words, study="isles", environment={})
    assert done.returncode == 0 and list(trained(commands)) == ["results/isles-phantom/ce_dice_sdf"]
    done, _ = run_make(checkout, ("LEDGER=none.mk",), study="isles", environment={})
    assert done.returncode == 2 and "LEDGER='none.mk' is no file" in done.stderr


def test_the_page_names_every_row_and_set() -> None:
    page = (REPOSITORY / "docs" / "contest.md").read_text(encoding="utf-8")
    makefile = (REPOSITORY / "contest.make").read_text(encoding="utf-8")
    names = re.findall(r"^(\w+)\.losses", CONTEST, re.MULTILINE) + re.findall(r"^(\w+)\.study", makefile, re.MULTILINE)
    assert len(names) > 14 and not [name for name in names if f"`{name}`" not in page]
