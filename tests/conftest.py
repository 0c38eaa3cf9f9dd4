"""Fixtures that several test files share."""

from pathlib import Path

import pytest
from toys import write_sliced


@pytest.fixture
def sliced(tmp_path: Path) -> Path:
    """A sliced folder of a few tiny volumes: two modalities, background and lesion, some slices empty."""
    return write_sliced(tmp_path / "data" / "TOY")
