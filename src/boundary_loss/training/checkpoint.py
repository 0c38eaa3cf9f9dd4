"""What training needs to go on exactly where it was stopped, and the weights that others load.

Three states may stand in a run folder, each of them complete: of the last finished epoch, of the one before, and of
a moment within the epoch that is running. Everything is tensors and plain Python, so that
``torch.load(weights_only=True)`` reads it.
"""

import io
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import nn

from boundary_loss.files import settle, write_bytes, write_file
from boundary_loss.folders.run import CHECKPOINT
from boundary_loss.networks import build_network

_PREVIOUS = f"previous_{CHECKPOINT}"
_MIDWAY = f"midway_{CHECKPOINT}"


def save_checkpoint(run: Path, state: dict[str, Any]) -> None:
    """Write the state at an epoch's end, keeping the one before.

    A power cut must not leave a checkpoint that counts an epoch whose pictures it took: all of them reach the disk
    before the checkpoint gets its name.
    """
    path = run / CHECKPOINT

    def write(grown: Path) -> None:
        grown.write_bytes(_to_bytes(state))
        settle(run)
        (run / _MIDWAY).unlink(missing_ok=True)
        if path.exists():
            path.replace(run / _PREVIOUS)

    write_file(path, write)


def save_midway(run: Path, state: dict[str, Any]) -> None:
    """Write a state within an epoch, after the pictures that it counts; those of the epochs' ends stay."""

    def write(grown: Path) -> None:
        grown.write_bytes(_to_bytes(state))
        settle(run)

    write_file(run / _MIDWAY, write)


class CheckpointWriter:
    """Writes the epochs' checkpoints while the next epoch computes (use as a context); one at a time.

    A large network's state takes a disk longer than a small epoch takes a GPU.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._pool = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def write(self, state: dict[str, Any]) -> None:
        """Begin to write a copy of the state: the original may change at once."""
        self.wait()
        self._writing = self._pool.submit(save_checkpoint, self._run, _on_host(state))

    def wait(self) -> None:
        """Until the last one is on disk; a full disk shows here."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if error is None:
            self.wait()


def _on_host(state: Any) -> Any:
    """A copy, its tensors on the host."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {name: _on_host(value) for name, value in state.items()}
    return [_on_host(value) for value in state] if isinstance(state, list) else state


def load_checkpoint(run: Path) -> dict[str, Any] | None:
    """The newest readable state of an interrupted run; None if it has not saved any.

    Raises:
        ValueError: there are states, and none can be read.
    """
    faults = []
    for path in (run / _MIDWAY, run / CHECKPOINT, run / _PREVIOUS):
        if not path.is_file():
            continue
        try:
            return _read(path)
        except Exception as error:  # spoilt bytes make the readers fail in any way
            faults.append(f"{path} cannot be read ({_first_line(error)})")
            print(f"{faults[-1]}; trying the one before")
    if faults:
        raise ValueError("; ".join(faults) + f". Remove {run} to train from the start")
    return None


def _to_bytes(content: Any) -> memoryview:
    """In memory first: torch.save into a file reports a full disk without saying so, and writes its name into it."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getbuffer()


def _read(path: Path) -> Any:
    """What ``torch.save`` wrote. Its file is a zip with checksums, which torch itself does not look at."""
    with zipfile.ZipFile(path) as records:
        spoilt = records.testzip()
    if spoilt is not None:
        raise ValueError(f"the checksum of {spoilt} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


def _first_line(error: Exception) -> str:
    return f"{error}".partition("\n")[0] or type(error).__name__


def save_weights(path: Path, net: nn.Module, about: dict[str, Any]) -> None:
    """Weights with what is needed to build their network again: ``{"network", "in_channels", ..., "weights"}``."""
    content = about | {"weights": {name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}}
    write_bytes(path, _to_bytes(content))


def load_weights(path: Path) -> dict[str, Any]:
    """What :func:`save_weights` wrote; refuses files that would run code."""
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}")
    try:
        content = _read(path)
    except Exception as error:  # spoilt bytes make the readers fail in any way
        raise ValueError(f"{path} is not a file of weights: {_first_line(error)}") from None
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
