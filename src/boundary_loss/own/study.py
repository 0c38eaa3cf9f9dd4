"""The study that the preparation runs, of the files that :mod:`boundary_loss.own.bring` has put together."""

from pathlib import Path

from boundary_loss.folders import records
from boundary_loss.own.bring import LABELS, OWN, TRAINING
from boundary_loss.preparation import Case, Files, Study

_FIELDS: dict[str, records.Check] = {
    "classes": records.names,
    "values": records.by_name(records.count),
    "channels": records.names,
    "ending": records.text,
    "single": records.flag,
    "cases": records.names,
    "normalise": records.text,
}


def study_of(source: Path) -> Study:
    """Return the study of a folder that ``python -m boundary_loss.own`` has made.

    Raises:
        FileNotFoundError, ValueError: it was not made by that command, or is spoilt.
    """
    remedy = f"remove {source} and bring the data set again"
    content = records.read_record(source / OWN, _FIELDS, needs=tuple(_FIELDS), remedy=remedy)
    channels = tuple(content["channels"])
    stems = ("",) if content["single"] else tuple(f"_{number:04d}" for number in range(len(channels)))

    def find_cases(folder: Path) -> list[Case]:
        return [
            Case(
                volume=name,
                patient=name,
                images=tuple(Files.volume(folder / TRAINING, f"{name}{stem}") for stem in stems),
                labels=Files.volume(folder / LABELS, name),
            )
            for name in sorted(content["cases"])
        ]

    return Study(
        name=source.name,
        classes=tuple(content["classes"]),
        modalities=channels,
        layout={name: f"<*>{stem}{content['ending']}" for name, stem in zip(channels, stems, strict=True)},
        values={int(value): k for value, k in content["values"].items()},
        find=find_cases,
        expects=f"the files that {OWN} lists",
        kind="volumes",
        normalise=content["normalise"],
        every_class=True,
    )
