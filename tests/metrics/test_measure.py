import numpy as np
import pytest
import torch

from boundary_loss import measure
from boundary_loss.emptyrule import DISTANCE, NO_RULE, PERCENT, SCORE
from boundary_loss.metrics import diagonal_mm, dice, lesion_counts, surface_distances
from boundary_loss.metrics.truth import NAMES
from boundary_loss.metrictable import EVALUATION_ARRAYS, METRIC_SETS, METRICS, PAIR_ARRAYS, TOLERANCE_MM, expand

SPACING = (0.8, 1.2, 4.0)


def labels(seed, shape=(12, 9, 4)):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return np.digitize(noise / noise.std(), [0.3, 1.0])


def test_each_number_is_the_function_of_its_name():
    pred, gt = labels(0), labels(1)
    found = measure(pred, gt, SPACING, classes=[1, 2], metrics=["all"])
    assert set(found) == set(NAMES)
    for k in (1, 2):
        p, g = pred == k, gt == k
        distances, lesions = surface_distances(p, g, SPACING), lesion_counts(p, g)
        both, either = (p & g).sum(), (p | g).sum()
        volume = np.prod(SPACING) / 1000
        expected = {
            "dsc": dice(pred, gt, 3)[k],
            "iou": both / either,
            "precision": both / p.sum(),
            "recall": both / g.sum(),
            "volume_error": abs(int(p.sum()) - int(g.sum())) * volume,
            "avd": 100 * abs(int(p.sum()) - int(g.sum())) / g.sum(),
            "hausdorff": distances.hausdorff,
            "hd95": distances.hd95,
            "hd95_directed": distances.hd95_directed,
            "assd": distances.assd,
            "nsd": distances.surface_dice(TOLERANCE_MM),
            "lesion_recall": lesions.recall,
            "lesion_precision": lesions.precision,
            "lesion_f1": lesions.f1,
            "lesion_difference": lesions.difference,
        }
        for name, value in expected.items():
            assert found[name][k] == pytest.approx(value), name


def test_names_sets_and_the_kind_of_array_are_the_callers():
    pred, gt = labels(0), labels(1)
    by_name = measure(pred, gt, SPACING, classes={"core": 2}, metrics=["wmh"])
    assert list(by_name) == ["dsc", "hd95_wmh", "avd", "lesion_recall", "lesion_f1"]
    assert measure(torch.from_numpy(pred), torch.from_numpy(gt), SPACING, {"core": 2}, ["wmh"]) == by_name
    assert measure(pred.astype(np.int8), gt.astype(np.uint16), SPACING, {"core": 2}, ["wmh"]) == by_name
    assert measure(pred == 2, gt == 2, SPACING, metrics="dsc") == {"dsc": {1: by_name["dsc"]["core"]}}
    assert list(measure(pred[..., 0], gt[..., 0])) == ["dsc", "hausdorff", "hd95", "assd"]


def test_background_is_counted_and_has_no_distance():
    found = measure(labels(0), labels(1), classes=[0], metrics=["iou", "hd95", "lesion_f1"])
    assert 0 < found["iou"][0] < 1
    assert np.isnan(found["hd95"][0]) and np.isnan(found["lesion_f1"][0])


def test_ignored_voxels_change_nothing():
    pred, gt = labels(0), labels(1)
    gt[3:7, 2:6] = 255
    other = pred.copy()
    other[gt == 255] = 1
    one, two = (measure(p, gt, SPACING, [1, 2], ["all"]) for p in (pred, other))
    assert one == two


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("pred_empty", "gt_empty"), [(True, True), (True, False), (False, True)])
def test_the_empty_mask_rule_of_every_metric(name, pred_empty, gt_empty):
    one = np.zeros((5, 6, 3), int)
    one[2, 2, 1] = 1
    pred, gt = (one * (not empty) for empty in (pred_empty, gt_empty))
    value = measure(pred, gt, SPACING, metrics=[name])[name][1]
    both = pred_empty and gt_empty
    expected = {
        SCORE: 1.0 if both else 0.0,
        DISTANCE: 0.0 if both else diagonal_mm(one.shape, SPACING),
        PERCENT: 0.0 if both else 100.0,
        NO_RULE: value,
    }
    assert np.isfinite(value) and value == expected[METRICS[f"val_3d_{name}"].where_empty]


def test_identical_and_full_masks():
    gt = labels(1)
    for same in (gt, np.ones_like(gt)):
        for name, values in measure(same, same, SPACING, metrics=["all"]).items():
            assert values[1] == (1 if METRICS[f"val_3d_{name}"].where_empty == SCORE else 0), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction": np.zeros((3, 4))}, "integer classes .* take argmax"),
        ({"prediction": np.zeros((4, 3), int)}, "do not match"),
        ({"prediction": np.zeros(3, int), "truth": np.zeros(3, int)}, "of a slice"),
        ({"metrics": ["dice"]}, "unknown metric 'dice'; known: dsc, .*sets: default, isles"),
        ({"classes": []}, "labels from 0 to 254"),
        ({"classes": [255]}, "labels from 0 to 254"),
        ({"spacing_mm": (1.0,)}, "2 positive numbers"),
    ],
)
def test_bad_input_is_explained(change, message):
    arguments = {"prediction": np.zeros((3, 4), int), "truth": np.zeros((3, 4), int)} | change
    with pytest.raises(ValueError, match=message):
        measure(**arguments)


def test_the_table_of_metrics_is_whole():
    assert set(EVALUATION_ARRAYS) == {f"val_3d_{name}" for name in NAMES} | {"val_hausdorff", "val_boundary"}
    for members in METRIC_SETS.values():
        assert set(members) <= METRICS.keys()
    assert expand(["wmh", "val_3d_dsc", "isles"])[:2] == ["val_3d_dsc", "val_3d_hd95_wmh"]
    assert len(set(expand(["all", "default"]))) == len(expand(["all", "default"]))
    assert METRIC_SETS["acdc"][-1] in PAIR_ARRAYS
    with pytest.raises(ValueError, match="unknown metric 'wnh'; sets: default"):
        expand(["wnh"])
