"""The slices of a set, read once and kept in memory with the distance maps of their labels.

Axis letters: N slices, C modalities, K classes, X Y pixels (see :mod:`boundary_loss.shapes`).
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from boundary_loss.data.augmentation import Augmentation
from boundary_loss.data.needs import MapNeed, check_needs
from boundary_loss.data.prefetch import onto_device, prefetched
from boundary_loss.data.samples import Batch, Samples
from boundary_loss.distance import signed_distance
from boundary_loss.encoding import encode_one_hot, scatter_classes
from boundary_loss.folders.naming import Stem, by_volume
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.shapes import IGNORED

OF_SLICED = "slice the data to one size with PREPARE='--shape 256 256'"
"""What to do about slices of several sizes; planes of whole volumes may differ, and the folder checks their sizes."""


class Slices(Samples, Dataset):
    """The slices of ``train`` or ``val``; each is a sample and an item.

    One item, ``slices[i]``, is a dictionary, as the original's: ``filenames`` (the slice's name), ``images``
    (C, X, Y) float32 in [0, 1], ``gt`` (K, X, Y) one-hot, ``labels`` (X, Y) uint8, ``spacings`` (2,) mm, and
    ``maps``: {need: (K, X, Y) float32 mm}. ``batch`` gives many at once, and ``batches`` what training uses.

    Slices of a set may differ in size, as the planes of whole volumes do: a batch has the size of its largest, and what
    fills up the others is ignored. In order, each batch is of slices of one size, so that nothing is filled up.

    Args:
        limit: keep the first so many slices (debugging).
        device: where the tensors are kept if they fit in half of what is free there; on the host otherwise.
        augmentation: how the slices of :meth:`batches` are altered; single items and :meth:`batch` are as on the disk.

    Raises:
        ValueError: the data do not fit together, or the augmentation would make a saved map wrong.
    """

    def __init__(
        self,
        folder: PreparedFolder,
        which: str,
        *,
        needs: Sequence[MapNeed] = (),
        limit: int | None = None,
        device: torch.device | str = "cpu",
        augmentation: Augmentation | None = None,
    ) -> None:
        self.folder, self.which, self.augmentation = folder, which, augmentation
        if augmentation is not None:
            augmentation.check_slices()
        deformed = augmentation is not None and augmentation.deforms
        self.names = check_needs(needs, folder, which, limit=limit, deformed=deformed)
        rows = {name: row for row, name in enumerate(self.names)}
        self.volumes = {volume: [rows[stem] for stem in stems] for volume, stems in by_volume(self.names).items()}
        at_each_step = {need: need.at_each_step(deformed=deformed) for need in needs}
        self.num_classes = len(folder.classes)
        self.sizes = self._sizes()
        self.images, self.labels, found = self._read()
        """(N, C, X, Y) float32 and (N, X, Y) uint8, of the largest size; smaller slices stand at the beginning."""
        self.is_even = len(set(self.sizes)) == 1
        self.has_ignored = IGNORED in found or not self.is_even
        self.absent = [k for k in range(self.num_classes) if k not in found]
        if len(self.absent) == self.num_classes:
            raise ValueError(f"{folder.path / which} has no labelled pixel: all are {IGNORED}, which is ignored")
        self.spacings = torch.tensor([folder.spacing(which, stem) for stem in self.names])
        self.maps = {need: self._maps(need) for need, later in at_each_step.items() if not later}
        self.steps = [need for need, later in at_each_step.items() if later]
        self._move(torch.device(device))

    def _sizes(self) -> list[tuple[int, ...]]:
        """Return (X, Y) of each slice; in a folder of slices all have the first one's."""
        if isinstance(self.folder, WholeFolder):
            return [self.folder.shape(Stem.parse(stem).volume)[:2] for stem in self.names]
        return [self.folder.labels(self.which, self.names[0]).shape] * len(self.names)

    def _read(self) -> tuple[Tensor, Tensor, set[int]]:
        """Read and check images and labels, each into its place; return them and the labels that occur."""
        size = tuple(map(max, zip(*self.sizes)))
        images = np.zeros((len(self.names), len(self.folder.modalities), *size), np.float32)
        labels = np.full((len(self.names), *size), IGNORED, np.uint8)

        def read(i: int) -> list[int]:
            image, classes = self.folder.image(self.which, self.names[i]), self.folder.labels(self.which, self.names[i])
            found = self._check(self.names[i], image, classes, (images.shape[1], *self.sizes[i]))
            x, y = classes.shape
            images[i, :, :x, :y], labels[i, :x, :y] = image, classes
            return found

        with ThreadPoolExecutor(4) as pool:
            found = pool.map(read, self._progress(range(len(self.names)), "reading"))
            return torch.from_numpy(images), torch.from_numpy(labels), set().union(*found)

    def _check(self, stem: str, image: np.ndarray, labels: np.ndarray, expected: tuple[int, ...]) -> list[int]:
        """Return the labels that occur in a slice."""
        if image.shape != expected or labels.shape != expected[1:]:
            raise ValueError(
                f"{self.which}/{stem} has image {image.shape} and labels {labels.shape}, the first {expected}; "
                f"{OF_SLICED}"
            )
        found = np.flatnonzero(np.bincount(labels.reshape(-1))).tolist()
        if not set(found) <= {*range(self.num_classes), IGNORED}:
            raise ValueError(f"{self.which}/{stem} has labels {found}, expected 0..{self.num_classes - 1}")
        if image.dtype.kind not in "buif":
            raise ValueError(f"{self.which}/{stem} has an image of {image.dtype}, expected float32")
        if not (np.isfinite(image.min()) and np.isfinite(image.max())):
            raise ValueError(f"{self.which}/{stem} has NaN or infinite values in its image; slice the data anew")
        return found

    def _maps(self, need: MapNeed) -> Tensor:
        """Return the maps, (N, classes of the need, X, Y) float32 mm."""
        of_slice = dict.fromkeys(("own", "2d"), self._slice_maps)
        compute = (of_slice | {"3d": self._volume_maps, "target": self._target_maps})[need.source]
        maps = torch.empty(len(self.names), len(need.classes), *self.labels.shape[1:])
        (self._saved_maps if need.is_saved_in(self.folder, self.which) else compute)(maps, need)
        return maps

    def _saved_maps(self, maps: Tensor, need: MapNeed) -> None:
        for i, stem in enumerate(self._progress(self.names, "reading 3D distance maps")):
            maps[i] = torch.from_numpy(self.folder.map_3d(self.which, stem)[list(need.classes)])

    def _slice_maps(self, maps: Tensor, need: MapNeed) -> None:
        chunks = torch.arange(len(self.names)).split(32)  # the maps of all classes exist for one chunk at a time
        for rows in self._progress(chunks, "distance maps"):
            maps[rows] = self._signed(self.labels[rows], self.spacings[rows], need)[:, list(need.classes)]

    def _target_maps(self, maps: Tensor, need: MapNeed) -> None:
        for rows in self._progress(torch.arange(len(self.names)).split(32), "distances"):
            maps[rows] = self._measured(self.labels[rows], self.spacings[rows], need)[:, list(need.classes)]

    def _volume_maps(self, maps: Tensor, need: MapNeed) -> None:
        """Return the maps of the volumes, sliced as these were."""
        for volume, rows in self._progress(self.volumes.items(), "3D distance maps"):
            labels = self.labels[rows].movedim(0, -1)
            signed = self._signed(labels, self.folder.spacing_3d(volume), need)[list(need.classes)]
            maps[rows] = signed.movedim(-1, 0)

    def _signed(self, labels: Tensor, spacing_mm: Any, need: MapNeed) -> Tensor:
        # ignore_index is given, because labels of 0 and 255 alone could also be a mask
        options: dict[str, Any] = {"ignore_index": IGNORED, "spatial_dims": torch.as_tensor(spacing_mm).shape[-1]}
        options |= {"num_classes": self.num_classes, "classes": need.classes} | dict(need.options)
        return signed_distance(labels, spacing_mm, **options)

    def _measured(self, labels: Tensor, spacing_mm: Tensor, need: MapNeed) -> Tensor:
        assert need.measure is not None
        mask = self._mask(labels)
        more = {} if mask is None else {"mask": mask}
        return need.measure(encode_one_hot(labels, self.num_classes, torch.float32), spacing_mm, **more)

    def _mask(self, labels: Tensor) -> Tensor | None:
        """Return (B, 1, X, Y) bool, True where a voxel counts; None if no slice of the set has ignored voxels."""
        return (labels != IGNORED).unsqueeze(1) if self.has_ignored else None

    def _progress(self, items: Any, what: str) -> Any:
        return tqdm(items, desc=f"{self.which}: {what}", leave=False, disable=None)

    def _move(self, device: torch.device) -> None:
        """Move the slices to the device, if they fit in half of the memory that is free there."""
        if device.type == "cpu":
            return
        tensors = [self.images, self.labels, *self.maps.values()]
        if sum(t.nbytes for t in tensors) < torch.cuda.mem_get_info(device)[0] / 2:
            self.images, self.labels = self.images.to(device), self.labels.to(device)
            self.maps = {need: maps.to(device) for need, maps in self.maps.items()}

    def __getitem__(self, index: int) -> dict[str, Any]:
        batch = self.batch(torch.tensor([index]))
        item: dict[str, Any] = {"filenames": batch.names[0], "images": batch.inputs[0][0], "gt": batch.gt[0]}
        item |= {"labels": batch.labels[0], "spacings": batch.spacings[0], "index": index}
        return item | {"maps": {need: maps[0] for need, maps in batch.maps.items()}}

    def batch(self, indices: Tensor, device: torch.device | str | None = None) -> Batch:
        """Return the slices at ``indices`` (B,), on ``device``, as they are on the disk.

        ``indices`` are on the host, and are returned on the device as ``index``; the host does not wait for a GPU.
        """
        device = torch.device(device or self.images.device)
        kept = [tensor.to(device, non_blocking=True) for tensor in self._kept(indices)]
        return self._complete(indices, kept, seed=None, whole=indices)

    def in_order(self, batch_size: int, *, group: bool) -> list[Tensor]:
        """All slices in batches, in their order; a batch ends where the size of the slices changes."""
        batches = super().in_order(batch_size, group=group)
        return batches if self.is_even else [part for rows in batches for part in self._of_one_size(rows)]

    def _of_one_size(self, rows: Tensor) -> list[Tensor]:
        """The parts of a batch, each of neighbours of one size."""
        ends = [i for i in range(1, len(rows)) if self.sizes[rows[i]] != self.sizes[rows[i - 1]]]
        return list(torch.tensor_split(rows, ends))

    def batches(
        self, batches: Sequence[Tensor], device: torch.device, seed: int = 0, whole: Sequence[Tensor] | None = None
    ) -> Iterator[Batch]:
        """Yield each batch of samples, as :meth:`Samples.batches`.

        If the slices of a GPU stay on the host, the next batch is copied while the network works on this one.
        """
        if device.type == "cuda" and not self.images.is_cuda:
            arriving = prefetched(self._kept, batches, device)
        else:
            arriving = (self._kept(rows) for rows in batches)
        for rows, kept, of_whole in zip(batches, arriving, whole or batches, strict=True):
            yield self._complete(rows, kept, seed, of_whole)

    def _kept(self, rows: Tensor) -> list[Tensor]:
        """Return images, labels and kept maps of some slices, on the device that keeps them."""
        where = onto_device(rows, self.images.device)
        return [tensor.index_select(0, where) for tensor in (self.images, self.labels, *self.maps.values())]

    def _complete(self, rows: Tensor, kept: Sequence[Tensor], seed: int | None, whole: Tensor) -> Batch:
        """Return the batch of what :meth:`_kept` returned, augmented if there is a seed, and its other maps.

        ``whole``: the batch of all ranks; its largest slice gives the size.
        """
        if not self.is_even:
            x, y = map(max, zip(*(self.sizes[row] for row in whole)))
            kept = [tensor[..., :x, :y] for tensor in kept]
        images, labels, *maps = kept
        spacings = self.spacings[rows]
        if self.augmentation is not None and seed is not None:
            images, labels, maps = self.augmentation(images, labels, maps, spacings, rows, seed)
        found = {
            need: scatter_classes(m, need.classes, self.num_classes) for need, m in zip(self.maps, maps, strict=True)
        }
        for need in self.steps:
            compute = self._measured if need.measure else self._signed
            found[need] = compute(labels, spacings, need)
        return Batch(
            index=onto_device(rows, images.device),
            names=self.names_of(rows),
            inputs=(images,),
            labels=labels,
            gt=encode_one_hot(labels, self.num_classes, torch.float32),
            maps=found,
            mask=self._mask(labels),
            spacings=spacings,
        )
