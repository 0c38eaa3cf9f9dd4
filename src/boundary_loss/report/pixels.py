"""Encode slices as text for a page: pictures as data URLs, class maps as runs of equal pixels.

assets/masks.js decodes them.
"""

import base64
import io

import numpy as np
from PIL import Image

JPEG_QUALITY = 88


def picture(array: np.ndarray, *, lossless: bool = True) -> str:
    """Return (X, Y) uint8 as the ``data:`` URL of a PNG, or of a JPEG of about a third of its size."""
    buffer = io.BytesIO()
    if lossless:
        Image.fromarray(np.ascontiguousarray(array)).save(buffer, "PNG", compress_level=6)
    else:
        Image.fromarray(np.ascontiguousarray(array)).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return address(buffer.getvalue(), "image/png" if lossless else "image/jpeg")


def address(content: bytes, kind: str) -> str:
    """``data:image/png;base64,...``"""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def runs(classes: np.ndarray) -> str:
    """A class map as base64 of its runs of equal non-zero pixels, row by row: pixels since the last run, length, class.

    Each number as 7-bit groups, the lowest first, the high bit set where more follow (LEB128).

    Args:
        classes: (X, Y) uint8.
    """
    flat = np.ascontiguousarray(classes).ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] ^ 1))
    ends = np.append(starts[1:], flat.size)
    kept = flat[starts] != 0
    starts, ends = starts[kept], ends[kept]
    gaps = starts - np.concatenate([[0], ends[:-1]])[: len(starts)]
    numbers = np.stack([gaps, ends - starts, flat[starts].astype(np.int64)], axis=1).ravel()
    return base64.b64encode(_leb128(numbers)).decode("ascii")


def _leb128(numbers: np.ndarray) -> bytes:
    groups = np.stack([numbers >> shift for shift in (0, 7, 14, 21, 28)], axis=1)
    used = groups > 0
    used[:, 0] = True
    more = np.zeros_like(used)
    more[:, :-1] = used[:, 1:]
    return ((groups & 0x7F) | (more << 7)).astype(np.uint8)[used].tobytes()


def distances(signed_mm: np.ndarray, limit_mm: float) -> np.ndarray:
    """Return (X, Y) signed distances in 8 bits, 128 + 127 sign(d) √(|d| / limit), which is finest near the border."""
    share = np.sqrt(np.minimum(np.abs(signed_mm) / limit_mm, 1.0))
    return (128 + np.round(127 * np.sign(signed_mm) * share)).astype(np.uint8)
