"""Tiny studies that several test files write."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boundary_loss.distance import one_hot2dist
from boundary_loss.events import reached
from boundary_loss.files import write_array, write_json, write_text
from boundary_loss.folders.pictures import write_png

if TYPE_CHECKING:  # the tests that need no slices need no nibabel
    from boundary_loss.preparation import Study

REPOSITORY = Path(__file__).resolve().parent.parent


def write_sliced(
    folder: Path, *, size: tuple[int, int] = (20, 24), num_classes: int = 2, depth: int = 4, fold: int = 0
) -> Path:
    rng = np.random.default_rng(fold)
    spacing_3d: dict[str, list[float]] = {}
    held_out = [("case_4", "case_5"), ("case_2", "case_3")][fold]
    train = tuple(name for name in (f"case_{i}" for i in range(1, 6)) if name not in held_out)
    for which, volumes in {"train": train, "val": held_out}.items():
        spacing = {}
        for volume in volumes:
            spacing_3d[volume] = [0.8, 1.2, 5.0]
            for z in range(depth):
                stem = f"{volume}_00_{z:04d}"
                labels = np.zeros(size, np.uint8)
                if z % 4 != 3:
                    for k in range(1, num_classes):
                        x, y = rng.integers(1, size[0] - 7), rng.integers(1, size[1] - 7)
                        labels[x : x + 5, y : y + 6] = k
                image = rng.normal(0.3, 0.05, (2, *size)) + 0.4 * labels / (num_classes - 1)
                _write_slice(folder / which, stem, image.clip(0, 1).astype(np.float32), labels, num_classes)
                spacing[stem] = [0.8, 1.2]
        write_json(folder / which / "spacing.json", spacing)
    write_json(folder / "spacing_3d.json", spacing_3d)
    write_json(folder / "split.json", {"fold": fold, "folds": 2, "train": train, "val": held_out})
    names = ["background", "lesion", "core", "rim"][:num_classes]
    about = {"study": "toy", "classes": names, "modalities": ["ct", "mtt"], "shape": list(size), "phantom": True}
    kinds = ["3d_distmap", "ct", "gt", "gt_npy", "in_npy", "mtt"]
    write_json(folder / "slicing.json", about | {"kinds": kinds, "checksum": str(fold) * 64})
    write_text(folder / "arguments.txt", "--toy\n")
    return folder


def _write_slice(folder: Path, stem: str, image: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    for name, picture in {"ct": image[0] * 255, "mtt": image[1] * 255, "gt": labels}.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_png(folder / name / f"{stem}.png", picture.astype(np.uint8))
    write_array(folder / "in_npy" / f"{stem}.npy", image)
    write_array(folder / "gt_npy" / f"{stem}.npy", labels)
    one_hot = np.stack([labels == k for k in range(num_classes)])
    write_array(folder / "3d_distmap" / f"{stem}.npy", one_hot2dist(one_hot, (0.8, 1.2)))


class Brier(torch.nn.Module):
    """A loss of the user's own: mean squared difference of the chosen classes."""

    def __init__(self, classes: tuple[int, ...], scale: float = 1.0) -> None:
        super().__init__()
        self.classes, self.scale = classes, scale

    def forward(self, probs: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        chosen = list(self.classes)
        return self.scale * ((probs[:, chosen] - one_hot[:, chosen]) ** 2).mean()


class Rim(torch.nn.Module):
    """A loss of the user's own, of an output of the user's own network."""

    reads = "rim"

    def forward(self, output: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        return output.square().mean() + 0 * one_hot.sum()


class Steep(Brier):
    """Finite, with a gradient that is not: the root's slope at 0."""

    def forward(self, probs: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        return super().forward(probs, one_hot) + torch.sqrt(0 * probs.sum())


def load_study(name: str) -> "Study":
    """The ``STUDY`` that a file of preprocess/ declares: ``load_study("isles")``."""
    (path,) = (REPOSITORY / "preprocess").glob(f"*_{name}.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.STUDY


class Threshold(torch.nn.Module):
    """A network that needs no training: class k where the last channel lies between (k - 0.5) and (k + 0.5) / (K - 1).

    With two classes, class 1 is what is brighter than half. ``weight`` is there so that it has weights.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.weight = torch.nn.Parameter(torch.full((in_channels,), 40.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        centres = torch.linspace(0, 1, self.num_classes, device=image.device).view(1, -1, *[1] * (image.ndim - 2))
        return -self.weight[-1] * (image[:, -1:] - centres).abs()


def number() -> int:
    """Something that makes no loss."""
    return 1


class Dropper(torch.nn.Module):
    """A network that draws random numbers while it trains, and keeps running statistics."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(in_channels, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
            torch.nn.Dropout(0.3), torch.nn.Conv2d(4, num_classes, 1),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        reached("forward pass")
        return self.body(images)


class Dropper3D(Dropper):
    """The same on volumes."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.body = torch.nn.Sequential(
            torch.nn.Conv3d(in_channels, 4, 3, padding=1), torch.nn.BatchNorm3d(4), torch.nn.ReLU(),
            torch.nn.Dropout(0.3), torch.nn.Conv3d(4, num_classes, 1),
        )  # fmt: skip


class Odd(torch.nn.Module):
    """A network with one fault, named by ``kind``."""

    def __init__(self, in_channels: int, num_classes: int, kind: str = "none") -> None:
        super().__init__()
        if kind == "building":
            raise RuntimeError("no such kind\nand more")
        self.kind, self.convolution = kind, torch.nn.Conv2d(in_channels, num_classes, 1)
        self.norm = torch.nn.BatchNorm2d(num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.convolution(images)
        if self.kind == "calling":
            raise RuntimeError("cannot be called")
        if self.kind == "validating" and not self.training:
            raise KeyError("only in training")
        if self.kind == "pooling":  # three halvings, and back
            pooled = torch.nn.functional.max_pool2d(logits, 8)
            logits = logits + torch.nn.functional.interpolate(pooled, scale_factor=8)
        if self.kind == "coarse":
            return {"logits": self.norm(logits), "aux": torch.nn.functional.avg_pool2d(logits, 4)}
        answers = {"half": logits[..., ::2], "classes": logits[:, :1], "nan": logits * torch.nan, "tuple": (logits,)}
        answers |= {"unnamed": {"aux": logits}, "empty": {}, "named": {"logits": logits, "rim": logits[..., ::2, ::2]}}
        return answers.get(self.kind, self.norm(logits))


class Peculiar(Brier):
    """A loss with one fault, named by ``kind``."""

    def __init__(self, classes: tuple[int, ...], kind: str = "none") -> None:
        super().__init__(classes)
        self.kind = kind
        if kind == "building":
            raise ZeroDivisionError("of nothing")

    def forward(self, probs: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        if self.kind == "calling":
            raise IndexError("out of range")
        values = super().forward(probs, one_hot)
        return {"float": 0.5, "items": values.expand(3), "detached": values.detach()}.get(self.kind, values)
