"""Writes the predicted classes of an epoch, a PNG a slice or a file a volume, in threads beside the computation.

The PNGs are packed at the epoch's end, if asked.
"""

import shutil
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from boundary_loss.events import reached
from boundary_loss.files import link_folder, unfinished
from boundary_loss.folders.epoch import PACKED, unpack_pictures, write_packed
from boundary_loss.folders.pictures import read_png, write_png
from boundary_loss.folders.run import BEST_PREDICTIONS, iteration
from boundary_loss.folders.volume_classes import VOLUME, VolumeClasses
from boundary_loss.training.ranks import Ranks

_WAITING_AT_MOST = {2: 256, 3: 3}
"""Items in memory, by their axes: slices, or volumes of up to 0.1 GB."""


class PredictionWriter:
    """Writes ``iterNNN/SET/*.png``; the folder gets its name when it is complete. Used as a context.

    Args:
        keep: continue with what an interrupted epoch has written; else it is removed first.
        ranks: each writes its own slices; the first makes the folder and gives it its name.
    """

    def __init__(
        self, run: Path, epoch: int, workers: int = 2, *, keep: bool = False, ranks: Ranks | None = None
    ) -> None:
        self.ranks = ranks or Ranks()
        self.folder = run / iteration(epoch)
        self._keep = keep
        self._pool = ThreadPoolExecutor(workers)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "PredictionWriter":
        if self.ranks.is_first:
            self._make_folder()
        self.ranks.wait()
        return self

    def _make_folder(self) -> None:
        grown = unfinished(self.folder)
        if not self._keep:
            for stale in (self.folder, grown):
                shutil.rmtree(stale, ignore_errors=True)
        elif self.folder.exists():  # killed when it was complete, before the epoch counted
            self.folder.rename(grown)
        grown.mkdir(parents=True, exist_ok=True)

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(cancel_futures=error is not None)
        if error is None:
            self.flush()
            if self.ranks.is_first:
                self._publish()

    def _publish(self) -> None:
        unfinished(self.folder).rename(self.folder)

    def flush(self) -> None:
        """Wait until all ranks have written what they were given."""
        while self._waiting:
            self._waiting.popleft().result()  # raises if the disk is full
        self.ranks.wait()

    def write(self, which: str, stems: Sequence[str], classes: Tensor) -> None:
        """Write classes (B, X, Y[, Z]) uint8 of slices or volumes, on any device; threads wait for the copy."""
        folder = unfinished(self.folder) / which
        folder.mkdir(exist_ok=True)
        pictures, arrived = _to_host(classes)
        for stem, picture in zip(stems, pictures, strict=True):
            if len(self._waiting) >= _WAITING_AT_MOST[picture.ndim]:
                self._waiting.popleft().result()
            self._waiting.append(self._pool.submit(_write, folder, stem, picture, arrived))


class PackedWriter(PredictionWriter):
    """Writes ``iterNNN/SET.npz`` instead: packs a complete epoch's PNGs, then removes them.

    Volumes stay as they are.
    """

    @property
    def _beside(self) -> Path:
        return unfinished(self.folder.with_name(f"{self.folder.name}_packed"))

    def _make_folder(self) -> None:
        grown = unfinished(self.folder)
        shutil.rmtree(self._beside, ignore_errors=True)
        if self._keep and self.folder.exists():  # killed when it was complete, before the epoch counted
            if not grown.exists():
                for path in sorted(self.folder.iterdir()):
                    if path.suffix == PACKED:
                        unpack_pictures(path, self._beside / path.stem)
                    else:
                        link_folder(path, self._beside / path.name)
                self._beside.rename(grown)
            shutil.rmtree(self.folder)
        super()._make_folder()

    def _publish(self) -> None:
        grown = unfinished(self.folder)
        for pictures in sorted(path for path in grown.iterdir() if path.is_dir()):
            slices = {path.stem: read_png(path) for path in sorted(pictures.glob("*.png"))}
            if slices:
                write_packed(self._beside, pictures.name, slices)
            else:
                link_folder(pictures, self._beside / pictures.name)
        self._beside.rename(self.folder)
        shutil.rmtree(grown)


WRITERS: dict[str, type[PredictionWriter]] = {"png": PredictionWriter, "packed": PackedWriter}


def _to_host(classes: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Return a copy on the host, and an event that tells when it is complete."""
    if classes.device.type != "cuda":
        return classes.cpu(), None
    pinned = torch.empty(classes.shape, dtype=classes.dtype, pin_memory=True).copy_(classes, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record(torch.cuda.current_stream(classes.device))
    return pinned, arrived


def _write(folder: Path, name: str, picture: Tensor, arrived: torch.cuda.Event | None) -> None:
    if arrived is not None:
        arrived.synchronize()
    if picture.ndim == 2:
        write_png(folder / f"{name}.png", picture.numpy())
    else:
        VolumeClasses.of(picture.numpy()).write(folder / f"{name}{VOLUME}")


def keep_best(run: Path, epoch: int) -> None:
    """Make ``best_epoch/`` the predictions of ``epoch``, unpacked: hard links if the disk has them, else copies."""
    reached("keeping epoch {} as the best", epoch)
    best = run / BEST_PREDICTIONS
    grown = unfinished(best)
    for stale in (grown, best):
        if stale.exists():
            shutil.rmtree(stale)
    source = run / iteration(epoch)
    packed = sorted(source.glob(f"*{PACKED}"))
    for path in packed:
        unpack_pictures(path, grown / path.stem)
    if not packed:
        link_folder(source, grown)
    grown.rename(best)
