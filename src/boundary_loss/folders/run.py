"""A run folder: names, shapes and meanings of its files.

results/isles/gdl/
    run.json             arguments, seed, commit, diff, versions, data checksum
    arguments.txt        the settings, as typed; make compares them
    rows.json            names along the arrays' axes: lists "train", "val" (items), "volumes",
                         "patients" (of the volumes), "classes", "losses"; where items are no slices, also what
                         they are, "items": "volumes" or "points", and the planes of "val", "slices"
    metrics.csv          one line an epoch
    best_epoch.txt       number of the best epoch (0 = the first)
    best.pkl             weights of the best epoch: plain tensors, torch.load(weights_only=True)
    checkpoint.pt        everything needed to go on with training; previous_checkpoint.pt: of the epoch before,
                         midway_checkpoint.pt: within the epoch that was running
    {tra,val}_loss.npy   (E, batches, losses)   unweighted loss values
    {tra,val}_dice.npy   (E, items, K)          of slices: 2D Dice; a slice empty in both counts 1
    val_3d_*.npy         (E, volumes, K)        as val_3d_dsc, val_3d_hd95: see boundary_loss.metric_definitions
    val_*.npy            (E, slices, K)         as val_hausdorff, val_boundary
    val_ejection_error.npy (E, patients, K)     of patients with two volumes
    evaluation.json      how many values of the best epoch the empty-mask rule decided, and what they became
    iter000/val/*.png    the predicted classes of every validation slice, 8 bit; or packed, iter000/val.npz;
                         or of every whole volume, iter000/val/*.npz
    best_epoch/val/*.png the same, of the best epoch
    pred/*.nii.gz        predicted validation volumes in the scanner's space; pred_NAME/: of the new cases in NAME
    mesh/                surfaces of pred: CASE_1_NAME.ply, .obj, CASE.png, surfaces.csv; surfaces.json has their epoch
    tensorboard/         with TRACK=tensorboard

A row that is trained several times (SEEDS, FOLDS) has such a folder for each: results/isles/gdl/seed0, gdl/fold1,
gdl/fold1_seed0.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.empty_masks import Touched
from boundary_loss.files import read_array, unfinished
from boundary_loss.folders import records
from boundary_loss.folders.epoch import PACKED, read_predictions
from boundary_loss.folders.naming import by_volume, frame_pairs
from boundary_loss.folders.run_record import RunRecord
from boundary_loss.metric_definitions import ITEMS, SLICES, Metric, metric

RUN, ROWS, CSV = "run.json", "rows.json", "metrics.csv"
BEST_EPOCH, BEST_WEIGHTS, CHECKPOINT = "best_epoch.txt", "best.pkl", "checkpoint.pt"
BEST_PREDICTIONS = "best_epoch"
EVALUATION = "evaluation.json"
VOLUMES, MESHES = "pred", "mesh"

_NAMES: dict[str, records.Check] = {
    "train": records.distinct_names,
    "val": records.distinct_names,
    "items": records.one_of(tuple(ITEMS)),
    "slices": records.slices,
    "volumes": records.distinct_names,
    "patients": records.names,
    "classes": records.distinct_names,
    "losses": records.names,
}
_EMPTY = records.record({"cases": records.count, "values": records.list_of(records.number)}, needs=("cases", "values"))
_COUNTS: dict[str, records.Check] = {
    "touched": records.count, "of": records.count, "both_empty": _EMPTY, "one_empty": _EMPTY
}  # fmt: skip
_TOUCHED = records.record(_COUNTS | {"last": records.record(_COUNTS, needs=("touched", "of"))}, needs=("touched", "of"))

_PART = re.compile(r"(?!_)(fold\d+)?(?:(?:^|_)(seed\d+))?")


def iteration(epoch: int) -> str:
    """The folder of an epoch's predictions: 0 -> ``iter000``."""
    return f"iter{epoch:03d}"


@dataclass(frozen=True)
class RunFolder:
    """A finished run, or what an interrupted one has written so far."""

    path: Path

    @classmethod
    def find(cls, path: Path) -> "RunFolder":
        """Return the run at ``path``, or what an interrupted training left beside it."""
        for place in (path, unfinished(path)):
            if (place / ROWS).is_file():
                return cls(place)
        spoilt = next((place for place in (path, unfinished(path)) if (place / RUN).is_file()), None)
        if spoilt is not None:
            raise FileNotFoundError(f"{spoilt / ROWS} is missing; {RunFolder(spoilt)._remedy}")
        held = ", ".join(part.name for part in parts_in(path))
        hint = f"it holds the runs {held}: name one" if held else "train it with make, or check the folder's name"
        raise FileNotFoundError(f"no run at {path}; {hint}")

    @property
    def part(self) -> str:
        """``fold1_seed0`` if the row is trained several times; empty if this is its only run."""
        name = self.path.name.removesuffix("_tmp")
        return name if _PART.fullmatch(name) else ""

    @property
    def fold(self) -> str:
        """``fold1``; empty if the row has no folds."""
        return _in_part(self.part)[0]

    @property
    def seed(self) -> str:
        """``seed0``; empty if the row has no seeds."""
        return _in_part(self.part)[1]

    @property
    def row(self) -> str:
        """Name of the row of the ledger."""
        return self.path.resolve().parent.name if self.part else self.path.name.removesuffix("_tmp")

    @property
    def name(self) -> str:
        """``gdl``, or ``gdl/seed0``."""
        return f"{self.row}/{self.part}" if self.part else self.row

    @property
    def home(self) -> Path:
        """The folder of the study's results, ``results/isles``."""
        return self.path.parent.parent if self.part else self.path.parent

    @property
    def _remedy(self) -> str:
        return f"restore it from an archive or a backup, or remove {self.path} and train it again"

    @cached_property
    def record(self) -> RunRecord:
        """What ``run.json`` says: settings, commit, versions, data."""
        return RunRecord.read(self.path / RUN, remedy=self._remedy)

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """The lists of ``rows.json``, which name the rows and columns of the arrays."""
        path = self.path / ROWS
        names = {name: listed for name, listed in self._rows.items() if name != "items" and listed is not None}
        volumes = list(by_volume(names.setdefault("slices", names["val"])))
        if not set(volumes) <= set(names.setdefault("volumes", volumes)):
            raise ValueError(f"{path} lists other volumes than those of its slices; {self._remedy}")
        if len(names.get("patients", names["volumes"])) != len(names["volumes"]):
            raise ValueError(f"{path} lists other numbers of patients and of volumes; {self._remedy}")
        return names

    @cached_property
    def _rows(self) -> dict[str, Any]:
        """The content of ``rows.json``."""
        path = self.path / ROWS
        content = records.read_record(path, _NAMES, needs=("val", "classes"), remedy=self._remedy)
        if (content.get("items") or SLICES) == SLICES:
            of_slices = dict.fromkeys(("train", "val"), records.slices)
            records.read_record(path, of_slices, remedy=self._remedy)
        elif content.get("slices") is None:
            raise ValueError(f"{path} does not say 'slices'; {self._remedy}")
        return content

    @property
    def items(self) -> str:
        """What the rows of ``tra_dice`` and ``val_dice`` are: one of ``metric_definitions.ITEMS``."""
        return self._rows.get("items") or SLICES

    @property
    def slices(self) -> list[str]:
        """The slices, or planes of whole volumes, that are predicted of the validation set."""
        return self.names["slices"]

    def metric(self, name: str) -> Metric:
        """How an array of this run is drawn and read."""
        return metric(name, self.items)

    def _named(self, which: str) -> list[str]:
        if which not in self.names:
            raise ValueError(f"{self.path / ROWS} does not say '{which}'; {self._remedy}")
        return self.names[which]

    @property
    def patients(self) -> dict[str, str]:
        """The patient of each validation volume; in a run of an older version, the volume itself."""
        volumes = self.names["volumes"]
        return dict(zip(volumes, self.names.get("patients", volumes), strict=True))

    @property
    def epochs(self) -> list[int]:
        """The epochs whose predictions are on disk."""
        found = [path.parent.name[4:] for kind in ("val", f"val{PACKED}") for path in self.path.glob(f"iter*/{kind}")]
        return sorted({int(number) for number in found if re.fullmatch(r"[0-9]+", number)})

    @property
    def has_best_predictions(self) -> bool:
        return (self.path / BEST_PREDICTIONS / "val").is_dir()

    @property
    def best_epoch(self) -> int:
        path = self.path / BEST_EPOCH
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: the run has not finished an epoch")
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ValueError(
                f"{path} holds {text[:40]!r}, expected the number of the best epoch (that of the highest score in "
                f"{CSV}): write it there, or {self._remedy}"
            )
        return int(text)

    def has(self, name: str) -> bool:
        return (self.path / f"{name}.npy").is_file()

    def array(self, name: str) -> np.ndarray:
        """Return a metric's array, e.g. ``val_dice``: float32, epochs first; NaN for what was not measured."""
        path = self.path / f"{name}.npy"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; `make -f STUDY.make {path}` computes it")
        found = read_array(path)
        if found.dtype.kind != "f":
            raise ValueError(f"{path} holds {found.dtype}, expected float32; delete it, and `make` computes it again")
        return found

    def row_names(self, name: str) -> list[str] | None:
        """Return the names along the array's second axis; None for batches, which have no names."""
        rows = metric(name).rows
        if rows == "patients":
            return list(frame_pairs(self.patients))
        return self._named(rows) if rows else None

    def column_names(self, name: str) -> list[str]:
        return self._named(metric(name).columns)

    def predictions(self, epoch: int | None, stems: Sequence[str]) -> list[np.ndarray]:
        """Return the predicted classes of validation slices at an epoch (None = the best): arrays (X, Y) uint8.

        Raises:
            FileNotFoundError: a slice, or the whole epoch, is not on disk.
        """
        folder = self.path / (BEST_PREDICTIONS if epoch is None else iteration(epoch))
        try:
            return read_predictions(folder, "val", stems)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}; {self.path} has predictions of {_epochs_text(self.epochs)}") from None

    @cached_property
    def counted(self) -> dict[str, Touched]:
        """How the empty-mask rule touched each array at the best epoch, as ``evaluation.json`` says."""
        path = self.path / EVALUATION
        if not path.is_file():
            return {}
        remedy = f"delete it and val_*.npy in {self.path}, and run make again"
        counts = records.read_entries(path, _TOUCHED, "metric", remedy=remedy)
        return {name: Touched.from_json(entry) for name, entry in counts.items()}

    def refuse_other_data(self, data: Path, classes: list[str], checksum: str) -> None:
        """Refuse data that the run was not trained on, because predictions and images would not match."""
        if self.names["classes"] != classes:
            found, expected = ", ".join(self.names["classes"]), ", ".join(classes)
            raise ValueError(f"{self.path} was trained on the classes {found}, but {data} has {expected}")
        trained_on = self.record.data_checksum if (self.path / RUN).is_file() else None
        if trained_on not in (None, checksum):
            raise ValueError(
                f"{self.path} was trained on other data than {data} now holds (checksum {trained_on[:12]}, now "
                f"{checksum[:12]}); slice it as then (data_arguments in {RUN}), or remove the run and train again"
            )


def _epochs_text(epochs: list[int]) -> str:
    """Return ``epochs 0 to 99``, or ``epochs 0, 5 and the best``."""
    if len(epochs) > 1 and epochs == list(range(epochs[0], epochs[-1] + 1)):
        return f"epochs {epochs[0]} to {epochs[-1]}"
    return f"epochs {', '.join(map(str, epochs)) or 'none'} and the best"


def _in_part(part: str) -> tuple[str, str]:
    found = _PART.fullmatch(part)
    return (found[1] or "", found[2] or "") if found else ("", "")


def parts_in(row: Path) -> list[Path]:
    """Return the finished runs of a row that is trained several times, sorted by fold and seed."""
    found = [path for path in row.glob("*") if _PART.fullmatch(path.name) and (path / ROWS).is_file()]
    return sorted(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)])
