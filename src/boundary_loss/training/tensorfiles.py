"""Files of tensors and plain values: written whole, read without running code or taking more memory than their size.

``torch.save`` writes a zip with checksums, which ``torch.load`` does not compare.
"""

import hashlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from boundary_loss.owncode import lacks_memory

_FOLDER = 0x10
"""The bit of a zip entry's attributes that marks a folder."""


def to_bytes(content: Any) -> memoryview:
    """Serialise in memory, because torch.save does not report a full disk, and writes the file's name into the file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getbuffer()


def read_tensors(path: Path) -> tuple[Any, str]:
    """Read what :func:`to_bytes` made.

    Returns:
        The content, tensors on the host, and the file's sha256.

    Raises:
        ValueError: the file is damaged, or holds more than tensors and plain values; says why, without the file's name.
    """
    try:
        with path.open("rb") as file:
            _check_records(file)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True), digest
    except pickle.UnpicklingError:
        raise ValueError("it holds something other than tensors and plain values") from None
    except Exception as error:  # damaged bytes raise errors of any kind
        if lacks_memory(error):
            raise
        raise ValueError(f"{error}".partition("\n")[0] or type(error).__name__) from None


def _check_records(file: BinaryIO) -> None:
    """Refuse a record with a wrong checksum, and a compressed one: it could take more memory than the file has.

    torch reads a record marked as a folder as zeros, whatever it holds; Python's zipfile reads what it holds.
    """
    with zipfile.ZipFile(file) as records:
        entries = records.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its records are compressed")
        if any(entry.external_attr & _FOLDER for entry in entries):
            raise ValueError("a record is marked as a folder")
        spoilt = records.testzip()
    if spoilt is not None:
        raise ValueError(f"the checksum of {spoilt} is wrong")


def fault_of_tensors(tensors: Any) -> str | None:
    """Return why ``tensors`` is not ``{name: plain tensor in memory of its own}``, or None if it is."""
    if not isinstance(tensors, dict) or not tensors or not all(isinstance(name, str) for name in tensors):
        return "expected a dictionary of tensors"
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.layout is not torch.strided or tensor.is_quantized:
            return f"{name!r:.80} is {_kind(tensor)}, expected a dense tensor"
        if tensor.device.type != "cpu" or tensor.nbytes > tensor.untyped_storage().nbytes():
            return f"{name!r:.80} has the shape {tuple(tensor.shape)} without as many numbers"
    return None


def _kind(value: Any) -> str:
    return f"a tensor of {value.layout}" if isinstance(value, Tensor) else f"of type {type(value).__name__}"


def misfits(found: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    """Return what differs between two dictionaries of tensors in names, shapes and dtypes."""
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} is not of this network" for name in found if name not in expected]
    for name, tensor in expected.items():
        if name not in found or torch.nn.parameter.is_lazy(tensor):  # a lazy layer: its first input gives the shape
            continue
        if (found[name].dtype, found[name].shape) != (tensor.dtype, tensor.shape):
            faults.append(f"{name} is {_described(found[name])}, expected {_described(tensor)}")
    return faults


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def not_finite(tensors: dict[str, Tensor]) -> list[str]:
    """Return the names of tensors that hold NaN or infinities."""
    return [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
