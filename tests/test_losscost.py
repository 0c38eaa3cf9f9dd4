"""boundary_loss.losscost: what the losses of a ledger's rows take in a step."""

import sys
from pathlib import Path

import pytest
from toys import write_sliced
from wholes import write_whole

from boundary_loss import losscost
from boundary_loss.command import Stop
from boundary_loss.contest.costs import StepCost, read_costs

ROWS = {"ce_dice": ["ce:1", "dice:1@1-"], "more": ["ce:1", "boundary:0.1@1-", "hausdorff:0.1@1-", "sdf:1"]}


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Measure ROWS on this data, as make would call it."""

    def run(data: Path, *more: str, rounds: int = 2) -> dict[str, StepCost]:
        words = ["--rounds", str(rounds), "--device", "cpu"]
        for name, terms in ROWS.items():
            words += ["--run", f"results/toy/{name}/seed0", "--data", str(data), "--losses", *terms, *more]
        monkeypatch.setattr(sys, "argv", ["losscost", str(tmp_path / "out"), *words])
        losscost.main()
        return read_costs(tmp_path / "out" / "step_cost.csv")

    return run


@pytest.mark.parametrize("write", [write_sliced, write_whole])
def test_every_row_is_measured_on_a_batch_of_the_study(measured, write, tmp_path: Path, capsys) -> None:
    batch = {write_sliced: "8x2x20x24", write_whole: "2x2x8x7x4"}[write]
    found = measured(
        write(tmp_path / "DATA"), "--network", "UNet(width=2)" if write is write_sliced else "UNet3D(width=2)"
    )
    assert list(found) == ["ce_dice", "more"] and {cost.batch for cost in found.values()} == {batch}
    base, more = found.values()
    assert base.times_of_first == 1 and more.milliseconds > 0 and base.low <= base.milliseconds <= base.high
    assert more.maps_milliseconds > base.maps_milliseconds and more.rounds == 2
    assert "step_cost.csv" in capsys.readouterr().out


def test_what_cannot_be_measured_is_refused(measured, tmp_path: Path) -> None:
    data = write_sliced(tmp_path / "DATA")
    with pytest.raises(Stop, match="--rounds 0"):
        measured(data, rounds=0)
    ROWS["aux"] = ["ce:1", "aux_ce:0.1"]
    try:
        with pytest.raises(ValueError, match=r"aux_ce:0\.1: what a further output"):
            measured(data)
    finally:
        del ROWS["aux"]
