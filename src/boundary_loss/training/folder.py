"""Begins, continues, extends and finishes run folders, and never overwrites one."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from boundary_loss import command, provenance
from boundary_loss.command import Stop
from boundary_loss.data import Samples
from boundary_loss.files import (
    begin_folder,
    clear_folder,
    link_folder,
    publish,
    refuse_foreign,
    set_aside,
    unfinished,
    write_bytes,
    write_json,
)
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import EVALUATION, MESHES, ROWS, RUN, VOLUMES, RunFolder
from boundary_loss.folders.run_record import RunRecord
from boundary_loss.metric_definitions import AREA_ARRAYS, EVALUATION_ARRAYS, PAIR_ARRAYS, SLICES


def refuse_mixture(folder: Path) -> None:
    """Refuse to mix a row that is one run, ``gdl``, with a row that is a folder of runs, ``gdl/seed0``."""
    asked, row = RunFolder(folder), folder.parent
    plain = command.recorded(row) if asked.part else None
    if plain is not None:
        aside, kept = row.with_name(f"{row.name}.run"), row / part_like(asked, plain)
        raise Stop(
            f"{row} is a run of its own and cannot hold {asked.part} as well. Two ways on:\n"
            f"    keep it as one of them:  mv {row} {aside}; mkdir {row}; mv {aside} {kept}\n"
            "    leave it as it is:       RD=another/folder"
        )
    inside = [path.parent for path in folder.glob(f"*/{command.RECORD}")]
    held = sorted(path.name for path in inside if RunFolder(path).part)  # and not its predicted volumes, `pred`
    if held:
        raise Stop(
            f"{folder} holds {', '.join(held)} and cannot be a run of its own as well. Two ways on:\n"
            "    go on with them:        SEEDS='...' FOLDS='...' as they were made\n"
            "    leave them as they are: RD=another/folder"
        )


def part_like(asked: RunFolder, settings: list[str]) -> str:
    """Return the name that a run with these settings has among parts such as ``asked``."""
    options = dict(pairwise(settings))
    fold = re.search(r"-fold(\d+)$", options.get("--data", ""))
    names = {asked.fold: f"fold{fold[1] if fold else 0}", asked.seed: f"seed{options.get('--seed', 0)}"}
    return "_".join(name for was, name in names.items() if was)


def refuse(folder: Path, words: list[str], *, fresh: bool) -> None:
    """Stop if the run in ``folder``, or the one begun beside it, was made with other settings; changes nothing.

    With ``fresh``, or where only the number of epochs has grown, it may stay.
    """
    refuse_mixture(folder)
    begun = folder if folder.exists() else unfinished(folder)
    killed_at_once = begun != folder and command.recorded(begun) is None
    if not fresh and begun.exists() and not killed_at_once and not grows(begun, words):
        command.refuse_other_settings(begun, words, fresh=False, in_results=True)


def is_done(folder: Path, words: list[str], *, fresh: bool) -> bool:
    """Return True if the run is finished as asked; prepare for more epochs, refuse other settings.

    With ``fresh`` it is trained anew, or continued if that had begun; the old run stays until the new is complete.
    """
    refuse(folder, words, fresh=fresh)
    grown = unfinished(folder)
    refuse_foreign(grown, ours=command.RECORD)
    if grown.exists() and command.recorded(grown) is None:
        clear_folder(grown)  # killed before it began
    if fresh:
        if grown.exists() and command.recorded(grown) != words:
            print(f"{grown} moved to {set_aside(grown)}")
    elif folder.exists():
        if not grows(folder, words):
            return True
        extend(folder, grown)
    return False


def grows(folder: Path, words: list[str]) -> bool:
    """Return True if only the number of epochs differs from the folder's settings, and is higher."""
    old = command.recorded(folder)
    changed = command.differences(old, words) if old is not None else {}
    if set(changed) != {"epochs"}:
        return False
    then, now = changed["epochs"]
    return then.isdigit() and now.isdigit() and int(now) > int(then)


def extend(folder: Path, grown: Path) -> None:
    """Continue from a finished run, in a copy (hard links, no space) without the results computed from it."""
    if grown.exists():
        return
    copy = grown.with_name(grown.name + "_copy")
    begin_folder(copy)
    computed = [f"{name}.npy" for name in (*EVALUATION_ARRAYS, *AREA_ARRAYS, *PAIR_ARRAYS)]
    link_folder(folder, copy, leave_out=[*computed, EVALUATION, "*.gif", VOLUMES, f"{VOLUMES}_*", MESHES])
    copy.rename(grown)
    print(f"{folder} goes on to more epochs in {grown}")


def start(
    run: Path, words: list[str], about: dict[str, Any], data: PreparedFolder, train: Samples, val: Samples
) -> None:
    """Write what is known before the first epoch; the settings last, so that a folder without them never began."""
    about = about | {
        "study": data.about.study,
        "phantom": data.about.phantom,
        "arguments": words,
        "data_checksum": data.about.checksum,
        "data_arguments": command.recorded(data.path),
        "data_source": None if data.about.source is None else data.about.source.to_json(),
        f"num_train_{train.items}": len(train.names),
        f"num_val_{val.items}": len(val.names),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }
    refuse_changed_data(run, about["data_checksum"])
    refuse_changed_boxes(run, about.get("boxes_checksum"))
    note_commit(about["name"], about["commit"])
    about |= note_arithmetic(run, about["name"], RunRecord.of(about))
    if not run.exists():
        begin_folder(run)
    volumes = list(val.volumes)
    rows: dict[str, Any] = {"train": train.names, "val": val.names, "volumes": volumes, "classes": data.classes}
    if val.items != SLICES:
        rows |= {"items": val.items, "slices": val.planes}
    patients = [data.patient(volume) for volume in volumes]
    write_json(run / ROWS, rows | {"patients": patients, "losses": about["losses"]})
    write_json(run / RUN, about)
    write_bytes(run / "repo.diff", provenance.difference())
    command.record(run, words)


def note_commit(name: str, commit: str) -> None:
    """Say why the commit is not known, if git refuses to tell it."""
    refusal = provenance.refusal() if commit == "unknown" else ""
    if refusal:
        print(f"{name}  warning: the commit is not recorded; git says: {refusal}", flush=True)


def note_arithmetic(run: Path, name: str, now: RunRecord) -> dict[str, list[str]]:
    """Say what rounds differently than when an interrupted run began; returns the entry of run.json, if it has one."""
    if not (run / RUN).is_file():
        return {}
    before = RunFolder(run).record
    changed = other_arithmetic(before, now)
    if changed:
        print(f"{name}  note: begun with {changed}; the result is the same to rounding, not bit for bit", flush=True)
    noted = [*before.other_arithmetic, *([changed] if changed else [])]
    return {"other_arithmetic": noted} if noted else {}


def other_arithmetic(before: RunRecord, now: RunRecord) -> str:
    """Return what rounds differently than when the run began, ``2 threads (now 1), torch 2.6 (now 2.7)``."""
    pairs = {
        "threads": (before.num_threads, now.num_threads),
        "processes": (before.num_processes, now.num_processes),
    }
    changed = [f"{then} {what} (now {count})" for what, (then, count) in pairs.items() if then not in (None, count)]
    versions = {"device": before.device, **before.versions}
    current = {"device": now.device, **now.versions}
    changed += [
        f"{name} {versions[name]} (now {current[name]})"
        for name in ("device", "torch", "kernels for the CPU")
        if versions.get(name) not in (None, current.get(name))
    ]
    return ", ".join(changed)


def refuse_changed_data(run: Path, checksum: str) -> None:
    """Refuse to continue an interrupted run with data that have changed since."""
    if (run / RUN).is_file():
        _refuse_other("data", RunFolder(run).record.data_checksum or "unknown", checksum, run)


def refuse_changed_boxes(run: Path, checksum: str | None) -> None:
    """Refuse to continue an interrupted run with other boxes than it began with, or with boxes where it had none."""
    if (run / RUN).is_file():
        before = RunFolder(run).record.recorded.get("boxes_checksum")
        _refuse_other("boxes", str(before or "none"), checksum or "none", run)


def _refuse_other(what: str, before: str, now: str, run: Path) -> None:
    if before != now:
        raise Stop(
            f"{run} began on other {what} (checksum {before[:12]}, now {now[:12]}); "
            "FRESH=1 begins anew and keeps the old one beside it"
        )


def finish(run: Path, folder: Path) -> None:
    aside = publish(run, folder)
    if aside is not None:
        print(f"{folder}: the one before is kept as {aside}")
