"""boundary_loss.cost: the tables and plots of a ledger's rows."""

import csv
import sys
from pathlib import Path

import pytest
import torch
from toys import write_sliced

from boundary_loss import cost
from boundary_loss.costing import bench as benches
from boundary_loss.costing.measuring import Measured
from boundary_loss.costing.published import BRATS, GIGABYTES, Mark
from boundary_loss.folders.prepared import PreparedFolder


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_rows_and_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = str(write_sliced(tmp_path / "DATA"))
    words = ["--sizes", "8", "16x16x8", "--seconds", "60", "--device", "cpu"]
    for name, network in (("a", "UNet(width=2)"), ("b", "UNet(width=4)")):
        words += ["--run", f"results/toy/{name}", "--data", data, "--losses", "gdl:1", "--network", network]
    monkeypatch.setattr(sys, "argv", ["cost", str(tmp_path / "out"), *words])
    cost.main()
    memory, runtime = (table(tmp_path / "out" / f"{name}.csv") for name in ("memory", "runtime"))
    sizes = ["8x8x8", "16x16x8", "20x24x4"]  # and the study's own
    kept = {(r["row"], r["size"]): int(r["bytes"]) for r in memory if r["way"] == "kept"}
    assert sorted(kept) == sorted((row, size) for row in "ab" for size in sizes)
    assert all(kept["b", size] > 1.5 * kept["a", size] for size in sizes)
    assert all("counted" in r["how"] for r in memory if r["way"] in ("kept", "held"))
    assert [(r["row"], r["way"]) for r in runtime] == [(row, "slices") for row in "ab" for _ in sizes]
    assert all(float(r["seconds"]) > 0 and "measured on cpu" in r["how"] for r in runtime)
    for name in ("memory", "runtime"):
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 5000


@pytest.mark.parametrize("word", ["0", "4", "64x64", "axbxc", "64x", "-8"])
def test_sizes_that_are_none_are_refused(word: str, tmp_path: Path) -> None:
    data = PreparedFolder.open(write_sliced(tmp_path / "DATA"))
    with pytest.raises(ValueError, match=r"--sizes"):
        cost.sizes_of(data, [word])


def number(side: int, way: str = "whole") -> benches.Number:
    return benches.Number("dice", (side, side, side), "inference", way, None, "")


def test_what_would_take_too_long_or_too_much_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(benches, "measured", lambda call, device: begun.append(call) or Measured(1.0, 1 << 20))
    bench = benches.Bench(torch.device("cpu"), seconds=20, memory=1 << 24)
    small, _ = bench(number(64), len)
    assert small.value == 1 << 20 and small.how.startswith("measured on cpu")
    assert bench(number(256), len)[1].how == "not measured: it would take about 64 s"
    assert bench(number(512), len)[1].how == "not measured: a smaller size was not"
    assert bench(number(64, "windows"), len, guess=1 << 31)[0].how == "not measured: it would take about 2 GiB"
    slow = benches.Bench(torch.device("cpu"), seconds=1e9, memory=1 << 22)
    slow(number(64), len)
    assert "GiB" in slow(number(128), len)[0].how
    assert len(begun) == 2


def test_what_a_larger_size_takes_goes_on_from_two_smaller_ones() -> None:
    assert benches._continued([], 100) == 0
    assert benches._continued([(1000, 3.0)], 10**6) == 0  # too few voxels to say
    assert benches._continued([(1000, 3.0), (2000, 4.0)], 10_000) == pytest.approx(12)
    assert benches._continued([(64**3, 2.0)], 128**3) == pytest.approx(16)


def test_published_numbers_stand_beside_ours() -> None:
    ours = [benches.Number("oss_c", (n, n, n), "training", "kept", n * 1e6, "counted, float32") for n in (64, 128, 256)]
    figure = cost.draw("memory", "GB", ours, GIGABYTES, 1e9)
    (axes,) = figure.axes
    stars = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "*"]
    assert stars == [(BRATS, 2.59), (512.0, 5.19)]
    figure.canvas.draw()
    assert {"1", "10"} & {label.get_text() for label in axes.get_yticklabels()}
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert not [m for m in GIGABYTES if not isinstance(m, Mark) or m.value <= 0]
