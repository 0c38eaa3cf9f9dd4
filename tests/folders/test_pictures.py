"""PNGs of classes: spoilt ones, bombs, and pictures of another kind."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boundary_loss.folders.pictures import read_png, write_png

CLASSES = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_a_picture_comes_back(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", CLASSES)
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), CLASSES)


def test_every_flipped_bit_and_every_missing_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_png(path, CLASSES)
    content = path.read_bytes()
    spoilt = [content[:end] for end in range(len(content))]
    spoilt += [bytes([*content[:i], content[i] ^ 1 << i % 8, *content[i + 1 :]]) for i in range(len(content))]
    for each in spoilt:
        path.write_bytes(each)
        with pytest.raises(ValueError, match=r"a\.png cannot be read as a picture: .*restore it"):
            read_png(path)


@pytest.mark.parametrize("mode", ["RGB", "P", "1", "LA", "I;16"])
def test_other_modes_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 3)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="expected 8-bit grey"):
        read_png(tmp_path / "a.png")


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("L", (9000, 9000)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="9000 x 9000 pixels"):
        read_png(tmp_path / "a.png")
