"""The slices of a set, read once and kept in memory, with the distance maps of their labels computed once.

Axis letters: N slices, C modalities, K classes, X Y pixels (see :mod:`boundary_loss.shapes`).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from boundary_loss.distance import signed_distance
from boundary_loss.encoding import encode_one_hot
from boundary_loss.shapes import IGNORED
from boundary_loss.slicedfolder import SlicedFolder


@dataclass(frozen=True)
class MapNeed:
    """A distance map that some loss reads."""

    source: str
    """``target``: what the loss measures of the labels alone. Or a signed map: ``2d``, of each slice; ``3d``, of the
    whole volume; ``step``, of each slice, at each step on its device."""
    classes: tuple[int, ...]
    options: tuple[tuple[str, Any], ...] = ()
    """Arguments of ``signed_distance`` that differ from its defaults, which are the paper's."""
    measure: Callable[[Tensor], Tensor] | None = None
    """For ``target``: (B, K, X, Y) one-hot -> (B, K, X, Y) distances."""

    @classmethod
    def of(cls, source: str, classes: tuple[int, ...], options: Mapping[str, Any]) -> "MapNeed":
        defaults = inspect.signature(signed_distance).parameters
        unusual = {name: value for name, value in options.items() if value != defaults[name].default}
        return cls(source, classes, tuple(sorted(unusual.items())))

    @property
    def is_saved(self) -> bool:
        """Whether slicing already computed it: whole volumes, in the paper's convention."""
        return self.source == "3d" and not self.options


class Slices(Dataset):
    """The slices of ``train`` or ``val``.

    One item, ``slices[i]``, is a dictionary, as the original's: ``filenames`` (the slice's name), ``images``
    (C, X, Y) float32 in [0, 1], ``gt`` (K, X, Y) one-hot, ``labels`` (X, Y) uint8, ``spacings`` (2,) mm, and
    ``maps``: {need: (K, X, Y) float32 mm}. ``batch`` gives many at once, which is what training uses.

    Args:
        limit: keep the first so many slices (debugging).
        device: where the tensors are kept if they fit in half of what is free there; on the host otherwise.
    """

    def __init__(
        self,
        folder: SlicedFolder,
        which: str,
        *,
        needs: Sequence[MapNeed] = (),
        limit: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.folder, self.which = folder, which
        self.stems = folder.stems(which)[:limit]
        if not self.stems:
            raise ValueError(f"{folder.path / which} holds no slices")
        self.num_classes = len(folder.classes)
        self.images, self.labels = self._read()
        self.has_ignored = bool((self.labels == IGNORED).any())
        self.spacings = torch.tensor([folder.spacing(which, stem) for stem in self.stems])
        self.maps = {need: self._maps(need) for need in dict.fromkeys(needs) if need.source != "step"}
        self.steps = tuple(need for need in dict.fromkeys(needs) if need.source == "step")
        self._move(torch.device(device))

    def _read(self) -> tuple[Tensor, Tensor]:
        """Images (N, C, X, Y) float32 and labels (N, X, Y) uint8, checked."""

        def one(stem: str) -> tuple[np.ndarray, np.ndarray]:
            return self.folder.image(self.which, stem), self.folder.labels(self.which, stem)

        with ThreadPoolExecutor(4) as pool:
            read = list(pool.map(one, self._progress(self.stems, "reading")))
        expected = (len(self.folder.modalities), *read[0][1].shape)
        for stem, (image, labels) in zip(self.stems, read, strict=True):
            if image.shape != expected or labels.shape != expected[1:]:
                raise ValueError(
                    f"{self.which}/{stem} has image {image.shape} and labels {labels.shape}, the first {expected}; "
                    "slice the data to one size with SLICE='--shape 256 256'"
                )
            found = np.unique(labels)
            if not set(found.tolist()) <= {*range(self.num_classes), IGNORED}:
                raise ValueError(f"{self.which}/{stem} has labels {found.tolist()}, expected 0..{self.num_classes - 1}")
        return (
            torch.from_numpy(np.stack([image for image, _ in read])),
            torch.from_numpy(np.stack([labels for _, labels in read])),
        )

    def _maps(self, need: MapNeed) -> Tensor:
        """(N, classes of the need, X, Y) float32 mm."""
        classes = list(need.classes)
        if need.is_saved:
            return torch.from_numpy(np.stack([self.folder.map_3d(self.which, s)[classes] for s in self.stems]))
        compute = {"3d": self._volume_maps, "2d": self._slice_maps, "target": self._target_maps}[need.source]
        maps = torch.empty(len(self.stems), len(classes), *self.labels.shape[1:])
        compute(maps, need)
        return maps

    def _slice_maps(self, maps: Tensor, need: MapNeed) -> None:
        chunks = torch.arange(len(self.stems)).split(32)  # the maps of all classes exist for one chunk at a time
        for rows in self._progress(chunks, "distance maps"):
            maps[rows] = self._signed(self.labels[rows], self.spacings[rows], need)[:, list(need.classes)]

    def _target_maps(self, maps: Tensor, need: MapNeed) -> None:
        assert need.measure is not None
        for rows in self._progress(torch.arange(len(self.stems)).split(32), "distances"):
            one_hot = encode_one_hot(self.labels[rows], self.num_classes, torch.float32)
            maps[rows] = need.measure(one_hot)[:, list(need.classes)]

    def _volume_maps(self, maps: Tensor, need: MapNeed) -> None:
        """Of the volumes as they were sliced; augmented copies have no volume of their own."""
        row = {stem: i for i, stem in enumerate(self.stems)}
        volumes = self.folder.volumes(self.which)
        if set(row) != {stem for stems in volumes.values() for stem in stems}:
            raise ValueError("3D maps in another convention need whole volumes: no augmented copies, no DEBUG")
        for volume, stems in self._progress(volumes.items(), "3D distance maps"):
            rows = [row[stem] for stem in stems]
            labels = self.labels[rows].movedim(0, -1)
            signed = self._signed(labels, self.folder.spacing_3d(volume), need)[list(need.classes)]
            maps[rows] = signed.movedim(-1, 0)

    def _signed(self, labels: Tensor, spacing_mm: Any, need: MapNeed) -> Tensor:
        options = dict(need.options)
        return signed_distance(labels, spacing_mm, num_classes=self.num_classes, classes=need.classes, **options)

    def _progress(self, items: Any, what: str) -> Any:
        return tqdm(items, desc=f"{self.which}: {what}", leave=False, disable=None)

    def _move(self, device: torch.device) -> None:
        """Onto the device, if it fits in half of the memory that is free there."""
        if device.type == "cpu":
            return
        tensors = [self.images, self.labels, *self.maps.values()]
        if sum(t.nbytes for t in tensors) < torch.cuda.mem_get_info(device)[0] / 2:
            self.images, self.labels = self.images.to(device), self.labels.to(device)
            self.maps = {need: maps.to(device) for need, maps in self.maps.items()}

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, index: int) -> dict[str, Any]:
        batch = self.batch(torch.tensor([index]))
        item = {key: batch[key][0] for key in ("filenames", "images", "gt", "labels", "spacings")}
        return item | {"index": index, "maps": {need: maps[0] for need, maps in batch["maps"].items()}}

    def batch(self, indices: Tensor, device: torch.device | str | None = None) -> dict[str, Any]:
        """The slices at ``indices`` (B,), on ``device``: the keys of an item, each with a leading axis B.

        ``indices`` are on the host; nothing here makes a GPU wait.
        """
        device = torch.device(device or self.images.device)
        where = _onto(indices, self.images.device)
        labels = self.labels.index_select(0, where).to(device, non_blocking=True)
        spacings = self.spacings[indices]
        maps = {
            need: self._all_classes(kept.index_select(0, where).to(device, non_blocking=True), need)
            for need, kept in self.maps.items()
        }
        for need in self.steps:
            maps[need] = self._signed(labels, spacings, need)
        return {
            "index": _onto(indices, device),
            "filenames": [self.stems[i] for i in indices.tolist()],
            "images": self.images.index_select(0, where).to(device, non_blocking=True),
            "labels": labels,
            "gt": encode_one_hot(labels, self.num_classes, torch.float32),
            "spacings": spacings,
            "maps": maps,
        }

    def _all_classes(self, maps: Tensor, need: MapNeed) -> Tensor:
        """(B, classes of the need, X, Y) -> (B, K, X, Y); the classes that nobody reads are zero."""
        if need.classes == tuple(range(self.num_classes)):
            return maps
        full = maps.new_zeros(maps.shape[0], self.num_classes, *maps.shape[2:])
        for i, k in enumerate(need.classes):  # one by one: a list of classes would travel to the device and wait
            full[:, k] = maps[:, i]
        return full


def _onto(small: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device, which goes on meanwhile: only pinned memory travels without waiting."""
    return small.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else small.to(device)
