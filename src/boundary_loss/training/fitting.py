"""Checks a checkpoint against the run that continues from it.

Axis letters as in :mod:`boundary_loss.training.epoch_sums`; E = epochs that are done.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from boundary_loss.experiment import Experiment
from boundary_loss.folders import records
from boundary_loss.training.tensorfiles import fault_of_tensors, misfits

_LINE = ("epoch", "tra_loss", "val_loss", "tra_dice", "val_dice", "val_dice_volume", "lr", "skipped")
_COMPUTED = {"lr", "params", "fused", "foreach", "capturable", "differentiable"}
"""Options of an optimiser that training sets itself, or that choose how it computes: the file's are not used."""
_KEPT = {
    "Adam": ("step", "exp_avg", "exp_avg_sq"),
    "SGD": ("momentum_buffer",),
    "LookaheadRAdam": ("step", "exp_avg", "exp_avg_sq", "slow"),
}
"""What an optimiser keeps of each weight."""


def identity(experiment: Experiment, checksum: str) -> dict[str, str]:
    """Return what tells a run from another, as a checkpoint records it, in JSON; more epochs make it no other run."""
    settings = experiment.settings() | {"data_checksum": checksum}
    return {name: json.dumps(value) for name, value in settings.items() if name != "epochs"}


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """The fields, types and sizes of a state of one run."""

    net: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: dict[str, Any]
    run: dict[str, str]
    """See :func:`identity`."""
    epochs: int
    shapes: dict[str, tuple[int, int]]
    """Of each training array, without its epochs."""

    def check(self, state: Any, path: Path) -> None:
        """Refuse a state that another run wrote, or whose fields have other types, sizes or ranges.

        Raises:
            ValueError: it names ``path`` and the field.
        """
        fields = {"run": records.by_name(records.text)}
        fields |= dict.fromkeys(("net", "optimiser", "history", "midway"), records.mapping)
        records.checked_record(state, path, fields, needs=("net", "optimiser", "history"))
        self._check_run(state.get("run") or {}, path)
        _refuse(misfits_of(state["net"], self.net.state_dict()), "net", path)
        self._check_optimiser(state["optimiser"], path)
        self._check_scaler(state.get("scaler", {}), path)
        epochs = self._check_history(state["history"], path)
        if state.get("midway") is not None:
            _expect(epochs < self.epochs, f"it is within epoch {epochs} of {self.epochs}", path)
            self._check_midway(state["midway"], path)

    def _check_run(self, run: dict[str, str], path: Path) -> None:
        """Refuse a state of another run. One of an older version may lack the run, or some settings."""
        others = {name: found for name, found in run.items() if name in self.run and found != self.run[name]}
        for name, found in others.items():
            raise ValueError(f"{path} is of another run: its {name} is {found:.80}, here {self.run[name]:.80}")

    def _check_optimiser(self, found: dict[str, Any], path: Path) -> None:
        check = {"state": records.mapping, "param_groups": records.list_of(records.mapping)}
        records.checked_record(found, path, check, needs=tuple(check))
        now = self.optimiser.state_dict()["param_groups"]
        _expect(len(found["param_groups"]) == len(now), "the optimiser has other groups of weights", path)
        for group, expected in zip(found["param_groups"], now, strict=True):
            records.list_of(records.count)(group.get("params"), "params", path)
            _expect(group["params"] == expected["params"], "the optimiser has other weights", path)
            for name in expected.keys() - _COMPUTED:
                same = _is_same(group.get(name), expected[name])
                _expect(same, f"the optimiser's {name} is not {expected[name]!r}, as in this run", path)
        weights = [weight for group in self.optimiser.param_groups for weight in group["params"]]
        for place, values in found["state"].items():
            known = type(place) is int and 0 <= place < len(weights)
            _expect(known, f"the optimiser has no weight {place!r:.40}", path)
            like = torch.empty_like(weights[place], device="meta")
            names = _KEPT[type(self.optimiser).__name__]
            expected = {name: torch.empty((), device="meta") if name == "step" else like for name in names}
            _refuse(misfits_of(values, expected), f"optimiser, {place}", path)

    def _check_scaler(self, found: Any, path: Path) -> None:
        records.mapping(found, "scaler", path)
        for name, now in self.scaler.items():  # empty unless float16 is used
            (records.count if type(now) is int else records.length)(found.get(name), f"scaler, {name}", path)

    def _check_history(self, found: dict[str, Any], path: Path) -> int:
        """Check the history, and return the number of finished epochs."""
        check: dict[str, records.Check] = {
            "arrays": records.mapping,
            "lines": records.list_of(records.record(dict.fromkeys(_LINE, records.number), needs=_LINE)),
            "scores": records.list_of(records.number),
            "foreground": records.list_of(records.count),
        }
        records.checked_record(found, path, check, needs=tuple(check))
        epochs = len(found["scores"])
        _expect(epochs <= self.epochs, f"it has {epochs} epochs of {self.epochs}", path)
        _expect(all(0 <= score <= 1 for score in found["scores"]), "a score is not between 0 and 1", path)
        for name in ("lines", "foreground"):
            _expect(len(found[name]) == epochs, f"it has {epochs} scores and {len(found[name])} {name}", path)
        numbers = [line["epoch"] for line in found["lines"]]
        _expect(numbers == list(range(epochs)), f"it lists the epochs {numbers!r:.60}", path)
        for line in found["lines"]:
            for name, value in line.items():
                records.number(value, f"lines, {name}", path)
        shapes = {name: (epochs, *shape) for name, shape in self.shapes.items()} if epochs else {}
        expected = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
        _refuse(misfits_of(found["arrays"], expected), "arrays", path)
        return epochs

    def _check_midway(self, found: Any, path: Path) -> None:
        parts = ("tally", "random")
        records.record(dict.fromkeys(parts, records.mapping), needs=parts)(found, "midway", path)
        tally, (batches, terms), (slices, classes) = found["tally"], self.shapes["tra_loss"], self.shapes["tra_dice"]
        check: dict[str, records.Check] = {
            "gradients": records.list_of(records.list_of(records.number)),
            "done": records.count,
            "skipped": records.list_of(records.count),
        }
        records.checked_record(tally, path, check, needs=tuple(check))
        expected = {
            "losses": torch.empty(batches, terms, device="meta"),
            "counts": torch.empty(3, slices, classes, dtype=torch.int64, device="meta"),
        }
        _refuse(misfits_of({name: tally.get(name) for name in expected}, expected), "tally", path)
        done, gradients = tally["done"], tally["gradients"]
        _expect(done <= batches, f"it is at step {done} of {batches}", path)
        _expect(all(batch < done for batch in tally["skipped"]), f"it skipped steps after step {done}", path)
        measured = done if self.run.get("gradients") == "true" else 0
        fits = len(gradients) == measured and all(len(norms) == terms for norms in gradients)
        _expect(fits, f"'gradients' has {len(gradients)} steps of {measured}, or not {terms} terms in each", path)
        _expect(bool((tally["counts"] >= 0).all()), "a count is below 0", path)
        _check_random(found["random"], path)


def _check_random(random: dict[str, Any], path: Path) -> None:
    _expect("cpu" in random, "'random' lacks the CPU", path)
    _refuse([fault_of_tensors(random)], "random", path)
    for name, states in random.items():
        fits = states.dtype is torch.uint8 and states.ndim == 2 and len(states) > 0
        _expect(fits, f"'random, {name}' is {states.dtype} {tuple(states.shape)}", path)
    try:
        for state in random["cpu"]:
            torch.Generator().set_state(state.clone())
    except RuntimeError as error:
        raise ValueError(f"{path}: 'random, cpu' is no state of torch's generator ({error})") from None


def _is_same(found: Any, expected: Any) -> bool:
    """Compare plain values and tuples of them, types included."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, tuple):
        return len(found) == len(expected) and all(map(_is_same, found, expected))
    return bool(found == expected)


def misfits_of(found: Any, expected: dict[str, Tensor]) -> list[str]:
    """Return what keeps ``found`` from being tensors of these names, shapes and dtypes."""
    if isinstance(found, dict) and not found and not expected:
        return []
    fault = fault_of_tensors(found)
    return [fault] if fault else misfits(found, expected)


def _refuse(faults: list[str | None] | list[str], key: str, path: Path) -> None:
    told = [fault for fault in faults if fault]
    if told:
        raise ValueError(f"{path}: '{key}': {'; '.join(told[:3])}")


def _expect(fits: bool, fault: str, path: Path) -> None:
    if not fits:
        raise ValueError(f"{path}: {fault}")
