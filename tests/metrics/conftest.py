from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def reference():
    """Masks, and what the original pipeline and medpy 0.5.2 measured on them."""
    return np.load(Path(__file__).parent / "reference.npz", allow_pickle=False)
