"""States of a run, with one thing about each that is not as this run would have written it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from boundary_loss.training.fitting import Fitting

EPOCHS = 2
PATH = Path("run_tmp/midway_checkpoint.pt")
LINE = dict.fromkeys(("tra_loss", "val_loss", "tra_dice", "val_dice", "val_dice_volume", "lr", "skipped"), 0.5)
SHAPES = {"tra_loss": (4, 1), "val_loss": (3, 1), "tra_dice": (8, 2), "val_dice": (5, 2)}


@pytest.fixture(scope="module")
def fitting() -> Fitting:
    net = nn.Conv2d(1, 2, 1)
    optimiser = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 1, 2, 2)).sum().backward()
    optimiser.step()
    return Fitting(
        net=net, optimiser=optimiser, scaler={}, run={"seed": "0", "gradients": "false"}, epochs=4, shapes=SHAPES
    )


@pytest.fixture
def state(fitting: Fitting) -> dict[str, Any]:
    tally = {"losses": torch.zeros(4, 1), "counts": torch.zeros(3, 8, 2, dtype=torch.int64)}
    return {
        "run": dict(fitting.run),
        "net": dict(fitting.net.state_dict()),
        "optimiser": fitting.optimiser.state_dict(),
        "scaler": {},
        "history": {
            "arrays": {name: torch.zeros(EPOCHS, *shape) for name, shape in SHAPES.items()},
            "lines": [{"epoch": epoch} | LINE for epoch in range(EPOCHS)],
            "scores": [0.25] * EPOCHS,
            "foreground": [3] * EPOCHS,
        },
        "midway": {
            "tally": tally | {"gradients": [], "done": 2, "skipped": [0]},
            "random": {"cpu": torch.get_rng_state()[None]},
        },
    }


def test_a_state_of_this_run_fits(fitting: Fitting, state: dict[str, Any]) -> None:
    fitting.check(state, PATH)
    del state["run"], state["midway"]  # as an older version wrote it at an epoch's end
    fitting.check(state, PATH)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("run seed", "1", "of another run: its seed is 1, here 0"),
        ("run", 3, "'run' is 3, expected an object"),
        ("net weight", torch.zeros(3, 1, 1, 1), r"weight is float32 \(3, 1, 1, 1\), expected float32 \(2, 1, 1, 1\)"),
        ("net", None, "does not say 'net'"),
        ("optimiser param_groups", [], "other groups"),
        ("optimiser state", {7: {}}, "no weight 7"),
        ("optimiser state", {0: {"step": torch.zeros(())}}, "exp_avg is missing"),
        ("history scores", [0.25], "1 scores and 2 lines"),
        ("history scores", [0.25, float("nan")], "between 0 and 1"),
        ("history scores", [0.5] * 5, "5 epochs of 4"),
        ("history foreground", [3, -1], "'foreground' is -1"),
        ("history lines", [LINE | {"epoch": 1}, LINE | {"epoch": 0}], r"the epochs \[1, 0\]"),
        ("history lines", [{"epoch": 0}] * 2, "'lines' does not say 'tra_loss'"),
        ("history arrays val_dice", torch.zeros(2, 5, 3), r"val_dice is float32 \(2, 5, 3\), expected"),
        ("history arrays tra_loss", torch.zeros(2, 4, 1, dtype=torch.float64), "tra_loss is float64"),
        ("midway tally done", 5, "step 5 of 4"),
        ("midway tally done", True, "'done' is True"),
        ("midway tally skipped", [2], "after step 2"),
        ("midway tally counts", torch.full((3, 8, 2), -1), "below 0"),
        ("midway tally losses", [0.0], "of type list"),
        ("midway tally gradients", [[1.0]], "1 steps of 0"),
        ("midway random cpu", torch.zeros(1, 9, dtype=torch.uint8), "no state of torch's generator"),
        ("midway random", {"cuda": torch.zeros(1)}, "lacks the CPU"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(
    fitting: Fitting, state: dict[str, Any], place: str, value: Any, message: str
) -> None:
    *above, last = place.split()
    part = state
    for name in above:
        part = part[name]
    part[last] = value
    with pytest.raises(ValueError, match=rf"midway_checkpoint\.pt.*{message}"):
        fitting.check(state, PATH)
