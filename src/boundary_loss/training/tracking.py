"""Writes the epochs' numbers and one predicted slice for TensorBoard (TRACK=tensorboard).

    tensorboard --logdir results/isles

The CSV stays the record. When a run continues, the logs are written anew from it, so that they hold each epoch
once, and from the first on.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.command import Stop
from boundary_loss.data import Samples
from boundary_loss.folders.run import RunFolder
from boundary_loss.shapes import IGNORED

TRACKERS = ("tensorboard",)
FOLDER = "tensorboard"

Track = Callable[[Sequence[dict[str, float]]], None]
"""Called with the lines of all epochs that are done, after each of them."""


def untracked(_: Sequence[dict[str, float]]) -> None:
    """Default tracker: does nothing."""


@contextmanager
def tracker(name: str | None, run: Path, val: Samples) -> Iterator[Track]:
    """Yield the tracker that ``--track`` names, which is called after each epoch."""
    if name is None:
        yield untracked
        return
    board = TensorBoard(run, val)
    try:
        yield board
    finally:
        board.close()


class TensorBoard:
    """Writes event files in the run's folder ``tensorboard/``: a curve a column of the CSV, a picture an epoch."""

    def __init__(self, run: Path, val: Samples) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise Stop("TRACK=tensorboard needs a package: python -m pip install tensorboard") from None
        self.run, self.data = run, val.folder
        self.slice = max(val.planes, key=self._foreground)
        """The first of those with most to find."""
        shutil.rmtree(run / FOLDER, ignore_errors=True)
        # purge_step: an open viewer drops what it read before
        self._writer: Any = SummaryWriter(str(run / FOLDER), purge_step=0)
        self._shown = 0

    def __call__(self, lines: Sequence[dict[str, float]]) -> None:
        for line in lines[self._shown :]:
            epoch = int(line["epoch"])
            for column, value in line.items():
                if column != "epoch":
                    self._writer.add_scalar(_title(column), value, epoch)
            picture = self._picture(epoch)
            if picture is not None:
                self._writer.add_image(self.slice, picture, epoch, dataformats="HW")
        self._shown = len(lines)
        self._writer.flush()

    def _foreground(self, name: str) -> int:
        """Return the number of pixels that are not background."""
        labels = self.data.labels("val", name)
        return int(((labels > 0) & (labels != IGNORED)).sum())

    def _picture(self, epoch: int) -> np.ndarray | None:
        """Return (X, 3 Y) uint8: first modality, truth and prediction side by side; None without a prediction."""
        try:
            (predicted,) = RunFolder(self.run).predictions(epoch, [self.slice])
        except FileNotFoundError:
            return None
        image = self.data.picture("val", self.slice, self.data.modalities[0])
        bright, truth = 255 // max(len(self.data.classes) - 1, 1), self.data.labels("val", self.slice)
        classes = [np.where(found == IGNORED, 0, found) * bright for found in (truth, predicted)]
        return np.concatenate([image, *classes], axis=1).astype(np.uint8)

    def close(self) -> None:
        self._writer.close()


def _title(column: str) -> str:
    """Return ``dice/tra`` for ``tra_dice``, so that training and validation form one group; ``lr`` stays."""
    which, _, name = column.partition("_")
    return f"{name}/{which}" if which in ("tra", "val") else column
