"""What training needs to go on exactly where it was killed, and the weights that others load.

Everything is tensors and plain Python, so that ``torch.load(weights_only=True)`` reads it. Random states are not
among it: every epoch seeds its generators from (seed, epoch).
"""

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from boundary_loss.files import write_file
from boundary_loss.networks import build_network
from boundary_loss.runfolder import CHECKPOINT

_PREVIOUS = f"previous_{CHECKPOINT}"


def save_checkpoint(run: Path, state: dict[str, Any]) -> None:
    """Write the state, keeping the one before: a power cut may spoil the newest file."""
    path = run / CHECKPOINT
    if path.exists():
        path.replace(run / _PREVIOUS)
    write_file(path, lambda grown: torch.save(state, grown))


def load_checkpoint(run: Path) -> dict[str, Any] | None:
    """The newest readable state of an interrupted run; None if it did not finish an epoch."""
    faults = []
    for path in (run / CHECKPOINT, run / _PREVIOUS):
        if not path.is_file():
            continue
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError) as error:
            faults.append(f"{path} cannot be read ({str(error).splitlines()[0]})")
            print(f"{faults[-1]}; trying the epoch before")
    if faults:
        raise ValueError("; ".join(faults) + f". Remove {run} to train from the start")
    return None


def save_weights(path: Path, net: nn.Module, about: dict[str, Any]) -> None:
    """Weights with what is needed to build their network again: ``{"network", "in_channels", ..., "weights"}``."""
    content = about | {"weights": {name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}}
    write_file(path, lambda grown: torch.save(content, grown))


def load_weights(path: Path) -> dict[str, Any]:
    """What :func:`save_weights` wrote; refuses files that would run code."""
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError) as error:
        raise ValueError(f"{path} is not a file of weights: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict) or "weights" not in content:
        raise ValueError(f"{path} holds no weights of this project")
    return content


def load_network(path: Path, *, trust_network: bool = False) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a file of weights, ready to predict, and what else the file says.

    Args:
        trust_network: also import a network that the file names by path, ``mypackage.nets:TinyNet``. Importing runs
            code, so that it takes the user's word and not the file's.

    Raises:
        FileNotFoundError, ValueError: see :func:`load_weights`; the file lacks something, or its weights do not fit.
    """
    content = load_weights(path)
    missing = [name for name in ("network", "in_channels", "num_classes") if name not in content]
    if missing:
        raise ValueError(f"{path} holds weights, but not of which network: {', '.join(missing)} missing")
    text = content["network"]
    if ":" in text.partition("(")[0] and not trust_network:
        raise ValueError(
            f"{path} holds weights of {text}, which is not of this package; --trust_network imports it, if you know it"
        )
    net = build_network(text, content["in_channels"], content["num_classes"])
    try:
        net.load_state_dict(content["weights"])
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit its network {text}: {error}") from None
    return net.eval(), content
