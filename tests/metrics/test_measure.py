import numpy as np
import pytest
import torch

from boundary_loss import measure
from boundary_loss.empty_masks import DISTANCE, NO_RULE, PERCENT, SCORE
from boundary_loss.metric_definitions import (
    AREA_ARRAYS,
    EVALUATION_ARRAYS,
    METRIC_SETS,
    METRICS,
    PAIR_ARRAYS,
    TOLERANCE_MM,
    expand,
)
from boundary_loss.metrics import diagonal_mm, dice, lesion_counts, surface_distances
from boundary_loss.metrics.truth import AREA_NAMES, NAMES

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


@pytest.mark.parametrize("name", [*NAMES, *AREA_NAMES])
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


UNDEFINED = {  # prediction and truth empty, only the prediction, only the truth
    **dict.fromkeys(
        ("dsc", "iou", "lesion_f1", "nsd1mm", *(name for name in (*NAMES, *AREA_NAMES) if name.startswith("nsd"))),
        (True, False, False),
    ),
    **dict.fromkeys(("precision", "lesion_precision"), (True, True, False)),
    **dict.fromkeys(("recall", "lesion_recall", "avd"), (True, False, True)),
    **dict.fromkeys(("volume_error", "lesion_difference"), (False, False, False)),
}


def test_the_surface_dice_of_any_tolerance():
    pred, gt = labels(0), labels(1)
    distances = surface_distances(pred == 1, gt == 1, SPACING)
    found = measure(pred, gt, SPACING, metrics=["nsd", "nsd2mm", "nsd0.5mm", "nsd0mm"])
    expected = [distances.surface_dice(tolerance) for tolerance in (2, 2, 0.5, 0)]
    assert [values[1] for values in found.values()] == expected and found["nsd0.5mm"] != found["nsd"]


@pytest.mark.parametrize("name", [*NAMES, *AREA_NAMES, "hd99", "hd50_directed", "hausdorff_mesh", "nsd1mm"])
def test_nan_where_a_formula_has_no_value(name):
    one = np.zeros((5, 6, 3), int)
    one[2, 2, 1] = 1
    for (pred, gt), undefined in zip(
        ((0 * one, 0 * one), (0 * one, one), (one, 0 * one)), UNDEFINED.get(name, (True, True, True))
    ):
        by_rule, found = (measure(pred, gt, SPACING, metrics=name, empty=empty)[name][1] for empty in ("rule", "nan"))
        assert np.isnan(found) if undefined else found == by_rule
    assert measure(one, one, SPACING, metrics=name, empty="nan") == measure(one, one, SPACING, metrics=name)


def test_any_percentile_by_its_name():
    pred, gt = labels(0), labels(1)
    distances = surface_distances(pred == 1, gt == 1, SPACING)
    names = ["hd99", "hd99.5", "hd50_directed", "hd100", "hd95", "hd95_directed"]
    found = measure(pred, gt, SPACING, metrics=names)
    expected = [distances.percentile(99), distances.percentile(99.5), distances.percentile(50, directed=True)]
    expected += [distances.hausdorff, distances.hd95, distances.hd95_directed]
    assert [found[name][1] for name in names] == expected and expected[0] < expected[3]


@pytest.mark.parametrize("channel", [False, True])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_a_batch_is_its_items(channel, kind):
    pred, gt = (np.stack([labels(seed + i) for i in range(3)]) for seed in (0, 3))
    gt[0, 3:7] = 255
    each_spacing = [SPACING, (1.0, 2.0, 3.0), (0.5, 0.5, 5.0)]
    mask = np.random.default_rng(0).random(gt.shape) < 0.9
    for spacing, options in ((SPACING, {}), (None, {"mask": mask}), (each_spacing, {"empty": "nan"})):
        given = [kind(a[:, None] if channel else a) for a in (pred, gt)]
        batch_mask = {"mask": kind(mask[:, None] if channel else mask)} if "mask" in options else {}
        found = measure(
            *given, spacing, {"one": 1, "none": 7}, ["all", "surfaces", "hd99"], batched=True, **options | batch_mask
        )
        for i in range(3):
            item = {"mask": mask[i]} if "mask" in options else {}
            one = spacing[i] if spacing is each_spacing else spacing
            expected = measure(
                pred[i], gt[i], one, {"one": 1, "none": 7}, ["all", "surfaces", "hd99"], **options | item
            )
            for name, values in expected.items():
                np.testing.assert_array_equal([found[name][c][i] for c in values], list(values.values()))
                assert found[name]["one"].shape == (3,)


def test_a_batch_of_slices():
    pred, gt = np.moveaxis(labels(0), -1, 0), np.moveaxis(labels(1), -1, 0)
    found = measure(pred, gt, SPACING[:2], batched=True, metrics="hd95")["hd95"][1]
    assert found.tolist() == [measure(p, g, SPACING[:2], metrics="hd95")["hd95"][1] for p, g in zip(pred, gt)]
    with pytest.raises(ValueError, match="no batch"):
        measure(pred, gt, SPACING, batched=True)
    with pytest.raises(ValueError, match=r"2 rows, .* 4 items"):
        measure(pred, gt, [SPACING[:2]] * 2, batched=True)


def test_voxels_that_do_not_count_are_ignored_like_255():
    pred, gt = labels(0), labels(1)
    mask = np.random.default_rng(0).random(gt.shape) < 0.8
    expected = measure(pred, np.where(mask, gt, 255), SPACING, [0, 1, 2], ["all"])
    found = measure(pred, np.where(mask, gt, 1), SPACING, [0, 1, 2], ["all"], mask=mask)
    np.testing.assert_equal(found, expected)
    p, g = pred == 1, gt == 1
    assert surface_distances(p, g, SPACING, mask=mask).hd95 == expected["hd95"][1]
    assert surface_distances(p, g, SPACING, mask=mask, device="cpu").hd95 == pytest.approx(expected["hd95"][1])
    assert lesion_counts(p, g, mask=torch.from_numpy(mask)).f1 == expected["lesion_f1"][1]


def test_masks_of_0_and_255_are_refused():
    one, other = np.zeros((2, 6, 7), np.uint8)
    one[1:3, 1:3] = other[4:, 4:] = 255
    with pytest.raises(ValueError, match=r"truth holds only 0 and 255, .*give truth > 0; .* mask=truth != 255"):
        measure(one, other)
    with pytest.raises(ValueError, match=r"prediction holds only 0 and 255, .*give prediction > 0"):
        measure(one, other > 0)
    assert measure(one > 0, other > 0)["dsc"][1] == 0
    ignored = measure(one > 0, other, mask=other != 255)
    assert ignored["dsc"][1] == 0  # nothing to find, and four voxels found
    both = np.where(other == 255, 255, one > 0)
    assert measure(both, other, mask=other != 255) == ignored
    for function in (surface_distances, lesion_counts):
        with pytest.raises(ValueError, match=r"pred must be a mask of zeros and ones, .*255 as pred > 0"):
            function(one, other)


LABEL_TYPES = ["?", "u1", "i1", ">i2", "<u2", ">u4", "u8", "f2", ">f4", "f8", "g"]


@pytest.mark.parametrize("kind", LABEL_TYPES)
def test_labels_of_every_type(kind):
    pred, gt = labels(0) == 1, labels(1) == 1
    expected = measure(pred, gt, SPACING, metrics="all")
    assert measure(pred.astype(kind), gt.astype(kind), SPACING, metrics="all") == expected
    distances, lesions = surface_distances(pred, gt, SPACING), lesion_counts(pred, gt)
    for device in (None, "cpu"):
        found = surface_distances(pred.astype(kind), gt.astype(kind), SPACING, device=device)
        assert found.hd95 == pytest.approx(distances.hd95)
    assert lesion_counts(pred.astype(kind), gt.astype(kind)) == lesions


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint64, torch.half, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("device", [None, "cpu"])
def test_tensors_of_every_type(dtype, device):
    pred, gt = (torch.from_numpy(labels(seed) == 1) for seed in (0, 1))
    expected = measure(pred, gt, SPACING, device=device)
    given = [tensor.to(dtype) for tensor in (pred, gt)]
    if dtype.is_floating_point:
        given[0].requires_grad_()
    assert measure(*given, SPACING, device=device) == expected
    assert surface_distances(*given, SPACING, device=device).hd95 == expected["hd95"][1]
    assert lesion_counts(*given) == lesion_counts(pred, gt)


@pytest.mark.parametrize("function", [measure, surface_distances, lesion_counts, dice])
@pytest.mark.parametrize("shape", [(0, 4), (3, 0, 4)])
def test_images_without_voxels_are_refused(function, shape):
    nothing = np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match="no voxels"):
        function(nothing, nothing, *([2] if function is dice else []))


def test_shapes_that_could_be_a_batch_are_refused():
    one = np.ones((1, 4, 5), int)
    for function in (measure, surface_distances):
        with pytest.raises(ValueError, match=r"\(1, 4, 5\) without spacing_mm could be a batch"):
            function(one, one)
        function(one, one, (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="batched=True"):
        measure(one[None], one[None])
    with pytest.raises(ValueError, match="could be a batch"):
        surface_distances(one[None], one[None])
    with pytest.raises(ValueError, match="one item at a time"):
        lesion_counts(one[None], one[None])


def test_identical_and_full_masks():
    gt = labels(1)
    for same in (gt, np.ones_like(gt)):
        for name, values in measure(same, same, SPACING, metrics=["all"]).items():
            assert values[1] == (1 if METRICS[f"val_3d_{name}"].where_empty == SCORE else 0), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction": np.full((3, 4), 0.5)}, "integer classes, .* take argmax"),
        ({"prediction": np.zeros((4, 3), int)}, "do not match"),
        ({"prediction": np.zeros(3, int), "truth": np.zeros(3, int)}, "of a slice"),
        ({"metrics": ["dice"]}, "unknown metric 'dice'; known: dsc, .*sets: default, isles"),
        ({"classes": []}, "labels from 0 to 254"),
        ({"classes": [255]}, "labels from 0 to 254"),
        ({"spacing_mm": (1.0,)}, "2 positive numbers"),
        ({"spacing_mm": ("a", "b")}, "2 positive numbers"),
        ({"classes": 1}, r"a list of labels, as \[1\]"),
        ({"classes": [1.5]}, "a list of labels"),
        ({"metrics": ["hd101"]}, "unknown metric 'hd101'; known: .*hd99, hd99_mesh or another percentile"),
        ({"empty": "none"}, "known: rule, nan"),
        ({"mask": np.ones((3, 4))}, "mask must be bool, .* float64"),
        ({"mask": np.ones((4, 3), bool)}, r"mask of shape \(4, 3\) does not fit"),
        ({"truth": np.full((3, 4), np.nan)}, "truth must hold integer classes"),
    ],
)
def test_bad_input_is_explained(change, message):
    arguments = {"prediction": np.zeros((3, 4), int), "truth": np.zeros((3, 4), int)} | change
    with pytest.raises(ValueError, match=message):
        measure(**arguments)


def test_the_table_of_metrics_is_whole():
    assert set(EVALUATION_ARRAYS) == {f"val_3d_{name}" for name in NAMES} | {"val_hausdorff", "val_boundary"}
    assert set(AREA_ARRAYS) == {f"val_3d_{name}" for name in AREA_NAMES}
    for members in METRIC_SETS.values():
        assert set(members) <= METRICS.keys()
    assert expand(["wmh", "val_3d_dsc", "isles"])[:2] == ["val_3d_dsc", "val_3d_hd95_wmh"]
    assert len(set(expand(["all", "default"]))) == len(expand(["all", "default"]))
    assert METRIC_SETS["acdc"][-1] in PAIR_ARRAYS
    with pytest.raises(ValueError, match="unknown metric 'wnh'; sets: default"):
        expand(["wnh"])
