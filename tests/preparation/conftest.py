"""Tiny unpacked datasets, and the slicers of preprocess/ as modules."""

from types import SimpleNamespace

import numpy as np
import pytest
from toys import load_study

from boundary_loss.preparation import engine
from boundary_loss.volumes import write_volume

AFFINE = np.diag([-0.9, -1.1, 3.0, 1.0])


@pytest.fixture
def study():
    """The ``STUDY`` that a file of preprocess/ declares: ``study("isles")``."""
    return load_study


def wmh_case(rng, shape=(12, 10, 3)):
    labels = (rng.random(shape) < 0.1).astype(np.float32)
    labels[:, :, 0] = 0
    labels[5, 5, 1:] = 1
    labels[3, :2, 1] = 2
    return {
        "pre/FLAIR": rng.random(shape).astype(np.float32) * 500,
        "pre/T1": rng.integers(0, 900, shape).astype(np.uint16),
        "wmh": labels,
    }


@pytest.fixture
def wmh(tmp_path, study):
    """Five patients in the layout of ``data/wmh``, and a way to slice them."""
    source, dest = tmp_path / "wmh", tmp_path / "WMH"
    rng = np.random.default_rng(0)
    cases = {}
    for patient in ("7", "11", "100", "101", "102"):
        cases[patient] = wmh_case(rng)
        for name, array in cases[patient].items():
            (source / patient / "pre").mkdir(parents=True, exist_ok=True)
            write_volume(source / patient / f"{name}.nii.gz", array, AFFINE)

    def run(*options, retain=2, shape=(16, 20), workers=1):
        words = [str(dest), "--source", str(source), "--shape", *map(str, shape), "--workers", str(workers)]
        if retain is not None:
            words += ["--retain", str(retain)]
        engine.main(study("wmh"), [*words, *map(str, options)])
        return dest

    return SimpleNamespace(source=source, dest=dest, cases=cases, run=run, study=study("wmh"), affine=AFFINE)
