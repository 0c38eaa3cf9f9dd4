"""Read what the losses of each row cost a step, as ``python -m boundary_loss.losscost`` measured it (step_cost.csv)."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

COSTS = "step_cost.csv"
COLUMNS = (
    "row",
    "batch",
    "rounds",
    "milliseconds",
    "low",
    "high",
    "times_of_first",
    "mebibytes",
    "maps_milliseconds",
    "measured_on",
)
_REMEDY = "delete it, and make -f contest.make cost measures again"


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Forward and backward of a row's losses on one batch."""

    row: str
    batch: str
    """Shape of the probabilities, ``8x4x128x128``."""
    rounds: int
    milliseconds: float
    """Median over the rounds; the quartiles are ``low`` and ``high``."""
    low: float
    high: float
    times_of_first: float
    """Median over the rounds of the row's time divided by that of the first row, measured in turns."""
    mebibytes: float
    """Most memory above what was held before; NaN where the system does not tell."""
    maps_milliseconds: float
    """To make the distance maps that the row reads, once a sample or, where the augmentation deforms, in each step."""
    measured_on: str


def read_costs(path: Path) -> dict[str, StepCost]:
    """Return the costs by row; empty if nothing was measured.

    Raises:
        ValueError: the file lacks a column, or a number is none.
    """
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if lacking:
            raise ValueError(f"{path} has no column {', '.join(lacking)}; {_REMEDY}")
        return {line["row"]: _cost(line, path) for line in reader}


def _cost(line: dict[str, str], path: Path) -> StepCost:
    try:
        numbers = {name: float(line[name] or "nan") for name in COLUMNS[3:9]}
        found = StepCost(
            row=line["row"], batch=line["batch"], rounds=int(line["rounds"]), measured_on=line["measured_on"], **numbers
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}; {_REMEDY}") from None
    if not math.isfinite(found.milliseconds):
        raise ValueError(f"{path}: {found.row!r:.60} has no milliseconds; {_REMEDY}")
    return found
