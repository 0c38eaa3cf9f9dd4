"""Writes and reads a file of weights, ``best.pkl``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from boundary_loss.data import View
from boundary_loss.files import write_bytes
from boundary_loss.folders import records
from boundary_loss.networks import build_network, outline_network
from boundary_loss.preparation.shown import Preparation
from boundary_loss.settings import DECISIONS
from boundary_loss.training.tensorfiles import fault_of_tensors, misfits, not_finite, read_tensors, to_bytes

_VIEW = ("fit", "sample", "infer")
_REMEDY = "take the best.pkl of a finished run, or train again"


def _box(value: Any, key: str, path: Path) -> None:
    records.list_of(records.count)(value, key, path)
    if len(value) != 3 or min(value) < 1:
        raise ValueError(f"{path}: '{key}' is {value!r:.60}, expected three numbers of voxels")


_FIELDS: dict[str, records.Check] = {
    "network": records.text,
    "in_channels": records.count,
    "num_classes": records.count,
    "epoch": records.count,
    "modalities": records.distinct_names,
    "classes": records.distinct_names,
    "temperature": records.temperature,
    "view": records.record({"fit": records.texts, "sample": records.text, "infer": records.text}, needs=_VIEW),
    "box": _box,
    "decision": records.one_of(DECISIONS),
}
_NETWORK = ("network", "in_channels", "num_classes")
_SHOWN = 3  # faulty tensors named in a message


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The checked contents of a file of weights: all that a network needs; the rest may be absent in older files."""

    path: Path
    digest: str
    """sha256 of the file."""
    tensors: dict[str, Tensor]
    """The network's state: parameters and buffers, finite, on the host."""
    network: str
    """As the ledger has it, ``UNet(width=8)``."""
    in_channels: int
    num_classes: int
    epoch: int | None
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    temperature: float | None
    """Of the softmax, as in training."""
    preparation: Preparation | None
    """How the slices came from volumes, or whole ones are scaled."""
    view: View | None
    """What of a whole volume is shown; None of a network of slices."""
    box: tuple[int, ...] | None
    """Voxels of the box that a locator places in each case."""
    decision: str | None
    """How classes follow from the probabilities; None is argmax."""

    @classmethod
    def read(cls, path: Path) -> "Weights":
        """Read a file that :func:`save_weights` wrote; no code in it is run, and no network is built.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it cannot be read, a field is missing or cannot be used, the weights are not finite, or they
                are not those of the network that the file names.
        """
        if not path.is_file():
            raise FileNotFoundError(f"no weights at {path}")
        try:
            content, digest = read_tensors(path)
        except ValueError as error:
            raise ValueError(f"{path} is not a file of weights: {error}; {_REMEDY}") from None
        try:
            return cls._checked(content, digest, path)
        except ValueError as error:
            raise ValueError(f"{error}; {_REMEDY}") from None

    @classmethod
    def _checked(cls, content: Any, digest: str, path: Path) -> "Weights":
        if not isinstance(content, dict) or "weights" not in content:
            raise ValueError(f"{path} holds no weights of this project")
        missing = [name for name in _NETWORK if content.get(name) is None]
        if missing:
            raise ValueError(f"{path} holds weights, but not of which network: {', '.join(missing)} missing")
        records.checked_record(content, path, _FIELDS)
        _check_numbers(content, path)
        _check_tensors(content, path)
        prepared, num_classes = content.get("preparation"), content["num_classes"]
        view, box = content.get("view"), content.get("box")
        return cls(
            path=path,
            digest=digest,
            tensors=content["weights"],
            network=content["network"],
            in_channels=content["in_channels"],
            num_classes=num_classes,
            epoch=content.get("epoch"),
            modalities=tuple(content.get("modalities") or ()),
            classes=tuple(content.get("classes") or ()),
            temperature=content.get("temperature"),
            preparation=None if prepared is None else Preparation.from_json(prepared, path, num_classes),
            view=None if view is None else _view(view, path),
            box=None if box is None else tuple(box),
            decision=content.get("decision"),
        )

    def build(self, *, trust_network: bool = False) -> nn.Module:
        """Build the network, ready to predict.

        Args:
            trust_network: also import a network that the file names by path, ``mypackage.nets:TinyNet``. Importing
                runs code, so the user has to allow it.

        Raises:
            ValueError: the network cannot be built or imported, or the weights do not fit it.
        """
        if ":" in self.network.partition("(")[0] and not trust_network:
            raise ValueError(
                f"{self.path} holds weights of {self.network}, which is not of this package; --trust_network imports "
                "it, if you know it"
            )
        net = build_network(self.network, self.in_channels, self.num_classes)
        self.load_into(net, f"its network {self.network}")
        return net.eval()

    def load_into(self, net: nn.Module, what: str) -> None:
        """Load the weights into a network; ``what`` names it in the ValueError if they do not fit."""
        _refuse_misfits(self.path, what, self.tensors, net.state_dict())
        try:
            net.load_state_dict(self.tensors)
        except RuntimeError as error:  # a network of the user's own may raise further errors
            raise ValueError(f"{self.path} does not fit {what}: {error}") from None


def _view(words: dict[str, Any], path: Path) -> View:
    try:
        return View.parse(words["fit"], words["sample"], words["infer"])
    except ValueError as error:
        raise ValueError(f"{path}: 'view': {error}") from None


def save_weights(path: Path, net: nn.Module, about: dict[str, Any]) -> None:
    """Write weights with what is needed to build their network again, as :class:`Weights` names it."""
    content = about | {"weights": {name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}}
    write_bytes(path, to_bytes(content))


def _check_numbers(content: dict[str, Any], path: Path) -> None:
    """Refuse lists of modalities and classes whose lengths are not the network's numbers."""
    for names, number in (("modalities", "in_channels"), ("classes", "num_classes")):
        found = content.get(names)
        if found is not None and len(found) != content[number]:
            raise ValueError(
                f"{path} names {len(found)} {names} of a network with {content[number]}: it was not written by a "
                "training"
            )


def _check_tensors(content: dict[str, Any], path: Path) -> None:
    """Refuse weights that are not finite tensors, or not the named network's, before memory is allocated for it."""
    tensors = content["weights"]
    fault = fault_of_tensors(tensors)
    if fault is not None:
        raise ValueError(f"{path}: 'weights': {fault}")
    try:
        outline = outline_network(*(content[name] for name in _NETWORK))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if outline is not None:
        _refuse_misfits(path, f"its network {content['network']}", tensors, outline)
    distinct = {(tensor.data_ptr(), tensor.nbytes) for tensor in tensors.values()}  # tied weights are stored once
    if sum(nbytes for _, nbytes in distinct) > path.stat().st_size:
        raise ValueError(f"{path} has fewer bytes than its tensors: they overlap")
    spoilt = not_finite(tensors)
    if spoilt:
        raise ValueError(f"{path} has weights that are not finite: {_listed(spoilt)}")


def _refuse_misfits(path: Path, what: str, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    faults = misfits(found, expected)
    if faults:
        raise ValueError(f"{path} does not fit {what}: {_listed(faults)}")


def _listed(faults: list[str]) -> str:
    more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return f"{'; '.join(faults[:_SHOWN])}{more}"
