"""Equal to SimpleITK, medpy, MONAI and surface-distance where definitions coincide, on lesions of three real patients.

Masks and the peers' numbers lie in parity.npz; benchmarks/parity.py made it, and says what the masks are.
"""

from pathlib import Path

import numpy as np
import pytest

from boundary_loss.metrics import measure

STORED = np.load(Path(__file__).parent / "parity.npz", allow_pickle=False)
CASES = sorted({name.split("/")[0] for name in STORED.files if "/" in name})
OTHERWISE = {("surface-distance", name) for name in ("hd95_directed", "assd", "nsd")}  # weighs surface elements by area


def numbers(case):
    """``{(peer, metric): value}``"""
    named = [name.split("/") for name in STORED.files if name.startswith(case) and name.count("/") == 2]
    return {(peer, metric): float(STORED["/".join((case, peer, metric))]) for _, peer, metric in named}


@pytest.mark.parametrize("case", CASES)
def test_equal_where_definitions_coincide(case):
    theirs = {key: value for key, value in numbers(case).items() if key not in OTHERWISE}
    names = sorted({metric for _, metric in theirs})
    ours = measure(STORED[f"{case}/prediction"], STORED[f"{case}/labels"], STORED["spacing_mm"], [1], names)
    for (peer, metric), value in theirs.items():
        assert ours[metric][1] == pytest.approx(value, abs=1e-4), (peer, metric)


def test_all_three_cases_and_every_kind_of_metric_are_compared():
    assert CASES == ["Amsterdam_GE3T", "Singapore", "Utrecht"]
    peers_of = {}
    for peer, metric in numbers("Utrecht").keys() - OTHERWISE:
        peers_of.setdefault(metric, set()).add(peer)
    assert peers_of["hausdorff"] == {"SimpleITK", "medpy", "MONAI", "surface-distance"}
    assert {"avd", "lesion_recall", "lesion_f1", "hd95_wmh", "nsd", "iou", "precision", "recall"} <= peers_of.keys()
    assert (STORED["Utrecht/labels"] == 255).any()


@pytest.mark.parametrize("case", CASES)
def test_a_device_measures_the_same(case):
    names = ["hausdorff", "hd95", "hd95_directed", "assd", "nsd"]
    masks = STORED[f"{case}/prediction"], STORED[f"{case}/labels"], STORED["spacing_mm"], [1], names
    on_device, on_cpu = measure(*masks, device="cpu"), measure(*masks)
    for name in names:
        assert on_device[name][1] == pytest.approx(on_cpu[name][1], rel=1e-5)
