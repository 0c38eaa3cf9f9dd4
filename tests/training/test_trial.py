"""Networks and losses that cannot be trained on the study's slices are refused in one message, and nothing is left."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from toys import write_sliced
from trainings import same_run, train_here

from boundary_loss import ledgercheck
from boundary_loss.command import Stop
from boundary_loss.files import read_json, write_json

GOOD = ["--losses", "gdl:1", "--network", "Dimwit", "--batch_size", "3", "--epochs", "1"]
NETWORKS = {
    "UNet3D(width=1)": "batch of 2 x 2 x 8 x 8: ValueError: this network takes 3D images",
    "Dimwit3D": "ValueError: this network takes 3D images",
    "toys:Odd(kind=building)": "cannot be built: RuntimeError: no such kind (toys.py, line ",
    "toys:Odd(kind=calling)": "training batch of 2 x 2 x 20 x 24: RuntimeError: cannot be called (toys.py, line ",
    "toys:Odd(kind=validating)": "fails on a validation batch of 1 x 2 x 20 x 24: KeyError: 'only in training'",
    "toys:Odd(kind=half)": "of shape (2, 2, 20, 12), expected logits (2, 2, 20, 24)",
    "toys:Odd(kind=classes)": "of shape (2, 1, 20, 24), expected logits (2, 2, 20, 24)",
    "toys:Odd(kind=nan)": "it gives NaN or infinite logits before any training",
    "toys:Odd(kind=tuple)": "it gives a tuple, not a tensor of logits",
    "toys:Odd(kind=unnamed)": "it gives the dictionary {'aux': Tensor}, not a tensor of logits (B, K, ...), nor a",
    "toys:Odd(kind=empty)": "it gives the dictionary {}, not a tensor of logits",
    "toys:Odd(kind=pooling)": "it takes 24 x 24, as PREPARE='--shape 24 24' gives",
    "toys:number": "cannot be built: TypeError: number() takes 0 positional arguments but 2 were given",
    "toys:Nothing": "module toys has no Nothing",
    "torch.nn:Identity": "network 'torch.nn:Identity' has no weights to train",
    "torch.nn:Linear": "fails on a training batch",
    "broken:Net": "cannot be imported: SyntaxError: ",
    "leaving:Net": "cannot be imported: SystemExit: 0 (leaving.py, line 2)",
    f"Dimwit(width={10**30})": f"network 'Dimwit(width={10**30})' cannot be built: ",
}
LOSSES = {
    "toys:Peculiar(kind=building):1": "loss 'toys:Peculiar' cannot be built: ZeroDivisionError: of nothing (toys.py, ",
    "toys:Peculiar(kind=calling):1": "fails on the training slice case_2_00_0002: IndexError: out of range (toys.py, ",
    "toys:Peculiar(kind=float):1": "it gives float, expected a tensor of one number",
    "toys:Peculiar(kind=items):1": "it gives shape (3,), expected a tensor of one number",
    "builtins:len(obj=1):1": "loss 'builtins:len' cannot be built: TypeError",
    "toys:Rim:1": "it has no output 'rim', which 'toys:Rim:1' reads; it has logits",
    "torch.nn:CTCLoss:1": "loss 'torch.nn:CTCLoss:1' fails on the training slice",
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that cannot be imported."""
    (tmp_path / "broken.py").write_text("class Net(\n    pass\n")
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [("--network", *pair) for pair in NETWORKS.items()] + [("--losses", *pair) for pair in LOSSES.items()],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    data: Path, tmp_path: Path, call: Callable[..., None], option: str, text: str, says: str
) -> None:
    before = sorted(data.parent.rglob("*"))
    words = ["--data", data, *GOOD, option, text]
    with pytest.raises(Stop) as checked:
        call(ledgercheck.main, "--run", tmp_path / "results" / "run", *words)
    assert says in str(checked.value)
    stopped = train_here(tmp_path / "results" / "run", data, *GOOD, option, text)
    assert stopped.status == 2 and stopped.err.startswith("error: ") and stopped.err.count("\n") == 1, stopped.err
    assert says in stopped.err and text.split("(")[0] in stopped.err
    assert not list((tmp_path / "results").iterdir()) and sorted(data.parent.rglob("*")) == before


def test_with_debug_the_traceback_is_shown(data: Path, tmp_path: Path) -> None:
    stopped = train_here(tmp_path / "run", data, *GOOD, "--network", "toys:Odd(kind=calling)", "--debug")
    assert (
        stopped.status == 2 and "Traceback" in stopped.err and 'raise RuntimeError("cannot be called")' in stopped.err
    )
    assert stopped.err.splitlines()[-1].startswith("error: network 'toys:Odd(kind=calling)' fails")


@pytest.mark.parametrize("network", ["toys:Odd", "toys:Dropper"])
def test_a_trial_leaves_no_trace(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    """Neither in the norms' running statistics, nor in what dropout draws."""
    words = [*GOOD, "--losses", "toys:Peculiar:1", "--network", network]
    assert train_here(tmp_path / "tried", data, *words).status == 0
    for name in ("try_network", "try_losses"):
        monkeypatch.setattr(f"boundary_loss.train.{name}", lambda *_: None)
    assert train_here(tmp_path / "untried", data, *words).status == 0
    same_run(tmp_path / "untried", tmp_path / "tried")


def test_a_loss_of_ones_own_reads_an_output_of_ones_own_network(data: Path, tmp_path: Path) -> None:
    words = [*GOOD, "--losses", "gdl:1", "toys:Rim:1", "--network", "toys:Odd(kind=named)", "--gradients"]
    trained = train_here(tmp_path / "run", data, *words)
    assert trained.status == 0, trained.err
    assert (np.load(tmp_path / "run" / "tra_loss.npy")[..., 1] > 0).all()


def test_an_auxiliary_output_is_trained(data: Path, tmp_path: Path) -> None:
    words = [*GOOD, "--losses", "gdl:1", "aux_ce:0.1", "aux_dice:0.1@1", "--gradients"]
    trained = train_here(tmp_path / "run", data, *words, "--network", "toys:Odd(kind=coarse)")
    assert trained.status == 0, trained.err
    assert (np.load(tmp_path / "run" / "tra_loss.npy")[..., 1:] > 0).all()
    refused = train_here(tmp_path / "other", data, *words)
    assert refused.status == 2 and "it has no output 'aux', which 'aux_ce:0.1' reads; it has logits" in refused.err


def test_a_study_of_the_background_alone_is_refused(tmp_path: Path) -> None:
    sliced = write_sliced(tmp_path / "TOY")
    about = read_json(sliced / "slicing.json")
    write_json(sliced / "slicing.json", about | {"classes": ["background"]})
    stopped = train_here(tmp_path / "run", sliced, *GOOD)
    assert stopped.status == 2 and "nothing to tell apart from the background" in stopped.err


def test_a_loss_without_a_gradient_may_be_recorded(data: Path, tmp_path: Path) -> None:
    words = [*GOOD, "--losses", "gdl:1", "toys:Peculiar(kind=detached):1"]
    assert train_here(tmp_path / "run", data, *words).status == 0


def test_a_last_batch_of_one_is_tried(tmp_path: Path) -> None:
    """11 of 12 slices of one pixel, and one: batch norm refuses a single value."""
    sliced = write_sliced(tmp_path / "TOY")
    for path in [*sliced.glob("*/in_npy/*.npy"), *sliced.glob("*/gt_npy/*.npy")]:
        np.save(path, np.load(path)[..., :1, :1])
    words = [*GOOD, "--network", "toys:Odd", "--batch_size", "11"]
    stopped = train_here(tmp_path / "run", sliced, *words)
    assert (
        stopped.status == 2 and "fails on a training batch of 1 x 2 x 1 x 1: ValueError: Expected more" in stopped.err
    )
    assert "it takes 2 x 2, as PREPARE='--shape 2 2' gives" in stopped.err
