"""Choose the slices and the image that a command names; errors suggest similar names."""

import difflib
import random
from collections.abc import Sequence

from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder


def predicted_stems(runs: Sequence[RunFolder]) -> list[str]:
    """Return the validation slices that every run predicted, sorted; a debug run has only a few."""
    return sorted(set.intersection(*(set(run.slices) for run in runs)))


def pick_slices(data: PreparedFolder, stems: Sequence[str], num: int, seed: int, kind: str) -> list[str]:
    """Draw ``num`` slices at random, sorted; from those with foreground (``lesions``) or from ``any``."""
    if num < 1:
        raise ValueError(f"--num {num}: at least one slice is needed to see something")
    shuffled = random.Random(seed).sample(list(stems), len(stems))
    if kind == "any":
        return sorted(shuffled[:num])
    found: list[str] = []
    for stem in shuffled:
        labels = data.labels("val", stem)
        if ((labels > 0) & (labels < len(data.classes))).any():
            found.append(stem)
        if len(found) == num:
            break
    if not found:
        raise ValueError(f"no validation slice of {data.path} has any foreground; --pick any shows others")
    return sorted(found)


def check_slices(stems: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a slice that no run predicted; the error names similar ones."""
    for stem in stems:
        if stem not in known:
            close = difflib.get_close_matches(stem, known, n=5, cutoff=0.3) or list(known[:5])
            raise ValueError(f"'{stem}' is not a validation slice of these runs; close: {', '.join(close)}")


def pick_modality(data: PreparedFolder, wanted: str | None) -> str:
    if not data.modalities:
        raise ValueError(f"{data.record_path} lists no modality, so that there is no image to draw on")
    if wanted is None:
        return data.modalities[-1]
    if wanted not in data.modalities:
        raise ValueError(f"unknown modality '{wanted}'; {data.path} has {', '.join(data.modalities)}")
    return wanted
