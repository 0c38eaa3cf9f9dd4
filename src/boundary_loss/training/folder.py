"""A run folder's life: begun, killed and gone on with, extended, finished, never overwritten."""

import shutil
from pathlib import Path
from typing import Any

from boundary_loss import command, provenance
from boundary_loss.command import Stop
from boundary_loss.data import Slices
from boundary_loss.files import link_folder, publish, read_json, set_aside, unfinished, write_json, write_text
from boundary_loss.naming import by_volume
from boundary_loss.runfolder import EVALUATION, EVALUATION_ARRAYS, PAIR_ARRAYS, ROWS, RUN
from boundary_loss.slicedfolder import SlicedFolder


def is_done(folder: Path, words: list[str], *, fresh: bool) -> bool:
    """Whether the run stands there as asked; more epochs than it has are prepared for, other settings refused.

    With ``fresh`` it is trained anew, or gone on with if that had begun; the old run stays until the new is complete.
    """
    grown = unfinished(folder)
    if grown.exists() and command.recorded(grown) is None:
        shutil.rmtree(grown)  # killed before it began
    if fresh:
        if grown.exists() and command.recorded(grown) != words:
            print(f"{grown} moved to {set_aside(grown)}")
    elif folder.exists():
        if not grows(folder, words):
            return command.refuse_other_settings(folder, words, fresh=False)
        extend(folder, grown)
    elif not grows(grown, words):
        command.refuse_other_settings(grown, words, fresh=False)
    return False


def grows(folder: Path, words: list[str]) -> bool:
    """Whether only the number of epochs differs from what made the folder, and is higher."""
    old = command.recorded(folder)
    changed = command.differences(old, words) if old is not None else {}
    if set(changed) != {"epochs"}:
        return False
    then, now = changed["epochs"]
    return then.isdigit() and now.isdigit() and int(now) > int(then)


def extend(folder: Path, grown: Path) -> None:
    """Go on from a finished run: a copy of it grows (hard links, no space), without what was computed from it."""
    if grown.exists():
        return
    copy = grown.with_name(grown.name + "_copy")
    shutil.rmtree(copy, ignore_errors=True)
    computed = [f"{name}.npy" for name in (*EVALUATION_ARRAYS, *PAIR_ARRAYS)]
    link_folder(folder, copy, leave_out=[*computed, EVALUATION, "*.gif"])
    copy.rename(grown)
    print(f"{folder} goes on to more epochs in {grown}")


def start(run: Path, words: list[str], about: dict[str, Any], data: SlicedFolder, train: Slices, val: Slices) -> None:
    """Write what is known before the first epoch. The settings come last: a folder without them never began."""
    about = about | {
        "study": data.about["study"],
        "phantom": bool(data.about.get("phantom")),
        "arguments": words,
        "data_checksum": data.about["checksum"],
        "data_arguments": command.recorded(data.path),
        "data_source": data.about.get("source"),
        "num_train_slices": len(train),
        "num_val_slices": len(val),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }
    refuse_other_data(run, about["data_checksum"])
    rows = {"train": train.stems, "val": val.stems, "volumes": list(by_volume(val.stems)), "classes": data.classes}
    write_json(run / ROWS, rows | {"losses": about["losses"]})
    write_json(run / RUN, about)
    write_text(run / "repo.diff", provenance.difference())
    command.record(run, words)


def refuse_other_data(run: Path, checksum: str) -> None:
    """An interrupted run does not go on with data that changed under it."""
    if not (run / RUN).is_file():
        return
    before = read_json(run / RUN)["data_checksum"]
    if before != checksum:
        raise Stop(
            f"{run} began on other data (checksum {before[:12]}, now {checksum[:12]}); "
            "FRESH=1 begins anew and keeps the old one beside it"
        )


def finish(run: Path, folder: Path) -> None:
    aside = publish(run, folder)
    if aside is not None:
        print(f"{folder}: the one before is kept as {aside}")
