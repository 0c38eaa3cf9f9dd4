"""``surface_summary.json``: our metrics in the structure of nnU-Net's summary.json, beside it.

``metric_per_case``, ``mean`` (over the cases) and ``foreground_mean`` (of the means, over labels or regions) are
nnU-Net's words, and so are the keys of labels and regions. Files are named without their folders. Added are ``labels``,
the name of each key; ``settings``, which shaped the numbers; and of each case ``fingerprint``, a checksum of its files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.folders import records
from boundary_loss.integrations.nnunet.layout import Labels
from boundary_loss.integrations.nnunet.measuring import VOXELS, Entry, Settings
from boundary_loss.statistics import tables
from boundary_loss.statistics.values import nanmean

FILE = "surface_summary.json"
_METRICS = records.by_name(records.by_name(records.number))
_CASE = {"prediction_file": records.name, "fingerprint": records.text, "metrics": _METRICS}
_FIELDS = {
    "metric_per_case": records.list_of(records.record(_CASE, needs=tuple(_CASE))),
    "labels": records.by_name(records.name),
    "settings": records.mapping,
}


def summary(entries: Sequence[Entry], labels: Labels, settings: Settings) -> dict[str, Any]:
    """Return the content of the file, cases in the order of ``entries``."""
    names = (*settings.metrics, *VOXELS)
    keys = [region.key for region in labels.regions]
    values = np.array([[[entry["metrics"][key][name] for name in names] for key in keys] for entry in entries], float)
    means = nanmean(values, axis=0)
    return {
        "foreground_mean": dict(zip(names, nanmean(means, axis=0).tolist())),
        "mean": {key: dict(zip(names, of_key.tolist())) for key, of_key in zip(keys, means)},
        "metric_per_case": list(entries),
        "labels": labels.names,
        "settings": settings.as_json(),
    }


def read_summary(path: Path) -> dict[str, Any]:
    """Read the file and check it.

    Raises:
        FileNotFoundError, ValueError: it is missing, or is none of ours.
    """
    remedy = "remove it and evaluate again"
    return records.read_record(path, _FIELDS, needs=tuple(_FIELDS), remedy=remedy)


def as_text(content: dict[str, Any]) -> str:
    """Return a table of the means, a line for each label or region, and how many masks were empty."""
    names = content["settings"]["metrics"]
    rows = [["", *names, "missed", "false", "absent"]]
    for key, label in content["labels"].items():
        found = [entry["metrics"][key] for entry in content["metric_per_case"]]
        empty = [(values["n_pred"] == 0, values["n_ref"] == 0) for values in found]
        counts = [empty.count(pair) for pair in ((True, False), (False, True), (True, True))]
        rows.append([label, *(f"{content['mean'][key][name]:.4g}" for name in names), *map(str, counts)])
    rows.append(["mean", *(f"{content['foreground_mean'][name]:.4g}" for name in names), "", "", ""])
    return tables.aligned(rows, right=True)
