"""Find settings in which rows differ although a comparison of losses needs them equal.

Whatever run.json records is compared, except what is named here: a setting that is added later is compared unless it is
added here too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from boundary_loss.folders.run import RunFolder
from boundary_loss.settings import declared

STUDIED = {"losses", *(setting.key for setting in declared() if setting.option.studied)}
"""Settings that the rows of a ledger are meant to differ in."""
BESIDE = {
    *(setting.key for setting in declared() if not setting.option.shapes_result),
    *("name", "device", "num_processes", "num_threads"),  # which run, and where
    *("num_parameters", "num_train_slices", "num_val_slices"),  # follow from network, losses and data
    *("num_train_volumes", "num_val_volumes"),
    "boxes_kept",  # follows from the boxes
    *("arguments", "data_arguments", "data_source"),  # the same settings as typed; the data's checksum stands for it
}
OF_A_FOLD = {"data_checksum", "boxes", "boxes_checksum"}
"""Settings that are expected to differ between the folds of one row."""
WORDS = {setting.key: setting.words for setting in declared()} | {
    "data_checksum": "data (checksum)",
    "boxes_checksum": "boxes (checksum)",
    "commit": "code (commit)",
    "num_processes": "processes",
    "num_threads": "threads",
    "skip_nan": "skipped steps (SKIP_NAN)",
}
UNKNOWN = "not recorded"


@dataclass(frozen=True, kw_only=True)
class Unlike:
    """One setting in which rows, or the runs of one row, differ."""

    what: str
    """Name of the setting, as a report writes it."""
    values: dict[str, str]
    """The setting's value for each row, or for each run of ``row``."""
    row: str = ""
    """The row whose own runs differ; empty if the rows differ from each other."""

    def touches(self, first: str, second: str) -> bool:
        """True if this difference makes a comparison of the two rows unfair."""
        return self.row in (first, second) if self.row else self.values.get(first) != self.values.get(second)

    @property
    def by_value(self) -> dict[str, list[str]]:
        """The rows or runs that have each value, in order."""
        found: dict[str, list[str]] = {}
        for name, value in self.values.items():
            found.setdefault(value, []).append(name)
        return found


def unlike(rows: Mapping[str, Sequence[RunFolder]]) -> list[Unlike]:
    """Return every setting in which the rows differ, then those in which the runs of one row differ.

    Args:
        rows: the runs of each row, seeds and folds, under its label.
    """
    settings = {label: [settings_of(run) for run in own] for label, own in rows.items()}
    names = list(dict.fromkeys(name for own in settings.values() for each in own for name in each))
    compared = [name for name in names if name not in STUDIED | BESIDE]
    found = [
        Unlike(what=words(name), values={label: _of_all(own, name) for label, own in settings.items()})
        for name in compared
    ]
    for label, runs in rows.items():
        within = [name for name in names if name not in BESIDE | OF_A_FOLD and name != "validation cases"]
        for name in within:
            values = {run.name: own.get(name, UNKNOWN) for run, own in zip(runs, settings[label], strict=True)}
            found.append(Unlike(what=words(name), values=values, row=label))
    return [each for each in found if len(each.by_value) > 1]


def settings_of(run: RunFolder) -> dict[str, str]:
    """Return what run.json records, as text, and the cases that the run was validated on."""
    return dict(_flat(run.record.recorded)) | {"validation cases": _cases(run)}


def _flat(recorded: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in recorded.items():
        if isinstance(value, dict) and name not in BESIDE:
            yield from _flat(value, f"{prefix}{name}: ")
        else:
            yield prefix + name, _text(name, value)


def _text(name: str, value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in ("commit", "data_checksum"):
        return str(value)[:12]
    return "none" if value is None else str(value)


def _of_all(runs: Sequence[Mapping[str, str]], name: str) -> str:
    """Join the values of a row's runs, each listed once: seeds share them, folds have data of their own."""
    return ", ".join(sorted({run.get(name, UNKNOWN) for run in runs}))


def words(name: str) -> str:
    """Return the name of a setting in a report."""
    return WORDS.get(name, name.replace("_", " "))


def _cases(run: RunFolder) -> str:
    volumes = run.names["volumes"]
    return f"{len(volumes)} from {volumes[0]} to {volumes[-1]}, {len(run.slices)} slices" if volumes else "none"
