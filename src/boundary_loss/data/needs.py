"""The distance maps that losses need; checks whether a prepared folder can give them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from boundary_loss.distance import signed_distance
from boundary_loss.folders.prepared import PreparedFolder


@dataclass(frozen=True)
class MapNeed:
    """A distance map that some loss reads."""

    source: str
    """``target``: what the loss measures of the labels alone. Or a signed map: ``own``, of what a sample is of, a slice
    or a whole case, once; ``2d``, of each slice; ``3d``, of the whole volume; ``step``, of what is shown, at each step
    on its device. Where samples are deformed, ``target`` and ``own`` are of what is shown too."""
    classes: tuple[int, ...]
    options: tuple[tuple[str, Any], ...] = ()
    """Arguments of ``signed_distance`` that differ from its defaults, which are the paper's."""
    measure: Callable[..., Tensor] | None = None
    """For ``target``: (B, K, X, Y) one-hot and (B, 2) mm -> (B, K, X, Y) distances; where voxels are ignored also
    ``mask``, (B, 1, X, Y) bool, True where one counts."""

    @classmethod
    def of(cls, source: str, classes: tuple[int, ...], options: Mapping[str, Any]) -> "MapNeed":
        defaults = inspect.signature(signed_distance).parameters
        if unknown := options.keys() - defaults.keys():
            raise ValueError(f"a loss has distance_options that signed_distance does not know: {', '.join(unknown)}")
        unusual = {name: value for name, value in options.items() if value != defaults[name].default}
        return cls(source, classes, tuple(sorted(unusual.items())))

    def at_each_step(self, *, deformed: bool) -> bool:
        """Return True if the map is computed in the training step, of the labels as they are there.

        Raises:
            ValueError: the map is one of the undeformed labels, and the slices are to be ``deformed``.
        """
        if deformed and self.source in ("2d", "3d"):
            raise ValueError(
                f"a map computed beforehand (map={self.source}) does not fit samples that are rotated, scaled or "
                "deformed; write boundary without map, which then measures what is shown at each step, or augment "
                "with flip, intensity and noise alone"
            )
        return self.source == "step" or (deformed and self.source in ("target", "own"))

    def is_saved_in(self, folder: PreparedFolder, which: str) -> bool:
        """Return True if slicing has computed the map: of whole volumes, in the paper's convention."""
        return self.source == "3d" and not self.options and folder.has_maps_3d(which)

    def check(self, folder: PreparedFolder, which: str, stems: Sequence[str], *, deformed: bool) -> None:
        """Refuse, before anything is read, maps that these slices cannot have.

        Raises:
            ValueError: an unknown option of the map, a map made before a deformation, an incomplete
                volume.
        """
        if self.source not in ("target", "own", "2d", "3d", "step"):
            raise ValueError(f"a loss asks for map='{self.source}', which is none of own, 2d, 3d, step")
        self.at_each_step(deformed=deformed)
        signed_distance(torch.zeros(1, 2, 2, dtype=torch.uint8), num_classes=1, **dict(self.options))
        if self.source != "3d" or self.is_saved_in(folder, which):
            return
        whole = {stem for volume in folder.volumes(which).values() for stem in volume}
        if whole != set(stems):  # augmented copies have no volume of their own
            raise ValueError(
                f"the 3D map that is asked for is not in {folder.path / which} and is computed of whole volumes; slice "
                "without --n_augment, leave DEBUG out, or write boundary without map"
            )


def check_case_needs(needs: Sequence[MapNeed], *, deformed: bool) -> None:
    """Refuse maps that whole volumes cannot have.

    Raises:
        ValueError: a map of single slices, of an unknown kind or option, or made before a deformation.
    """
    for need in needs:
        if need.source not in ("target", "own", "3d", "step"):
            raise ValueError(
                f"a loss asks for map={need.source}, which whole volumes and patches do not have; write boundary "
                "without map, which is of the whole case"
            )
        need.at_each_step(deformed=deformed)
        signed_distance(torch.zeros(1, 2, 2, 2, dtype=torch.uint8), num_classes=1, **dict(need.options))


def check_needs(
    needs: Sequence[MapNeed], folder: PreparedFolder, which: str, *, limit: int | None, deformed: bool
) -> list[str]:
    """Return the slices of ``train`` or ``val``, or the first ``limit``, after checking that they can have these maps.

    Raises:
        ValueError: there are no slices; otherwise as :meth:`MapNeed.check`.
    """
    stems = folder.stems(which)[:limit]
    if not stems:
        raise ValueError(f"{folder.path / which} holds no slices")
    for need in needs:
        need.check(folder, which, stems, deformed=deformed)
    return stems
