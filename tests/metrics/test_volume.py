import numpy as np
import pytest
from scipy import ndimage

from boundary_loss.distance import one_hot2dist
from boundary_loss.metrics import dice, surface_distances
from boundary_loss.metrics.volume import SLICE_METRICS, VOLUME_METRICS, VolumeTruth

SPACING, SLICE_SPACING = (0.8, 1.2, 4.0), (0.8, 1.2)
ALL = (*VOLUME_METRICS, *SLICE_METRICS)


def labels(seed, *, ignored=False):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(20, 14, 4)), (2, 2, 1))
    volume = np.digitize(noise, [0.02, 0.1]).astype(np.uint8)
    volume[..., 0] = 0  # a slice without object
    if ignored:
        volume[3:8, 2:5] = 255
    return list(np.moveaxis(volume, -1, 0))


def truth(slices):
    return VolumeTruth(slices, 3, SPACING, [SLICE_SPACING] * len(slices))


def test_each_metric_is_the_function_of_its_name():
    gt, pred = labels(0), labels(1)
    found = truth(gt).compare(pred, ALL)
    volume_gt, volume_pred = np.stack(gt, -1), np.stack(pred, -1)
    np.testing.assert_allclose(found.of_volume["3d_dsc"], dice(volume_pred, volume_gt, 3))
    for k in (1, 2):
        distances = surface_distances(volume_pred == k, volume_gt == k, SPACING)
        assert found.of_volume["3d_hausdorff"][k] == distances.hausdorff
        assert found.of_volume["3d_hd95"][k] == distances.hd95
        assert found.of_volume["3d_assd"][k] == distances.assd
        for n, (p, g) in enumerate(zip(pred, gt)):
            expected = surface_distances(p == k, g == k, SLICE_SPACING).hausdorff
            assert found.of_slices["hausdorff"][n, k] == expected
            signed_map = one_hot2dist((g == k)[None], SLICE_SPACING)[0]
            assert found.of_slices["boundary"][n, k] == pytest.approx(((p == k) * signed_map).mean(), abs=1e-6)


def test_background_has_dice_and_no_distance():
    found = truth(labels(0)).compare(labels(1), ALL)
    assert 0 < found.of_volume["3d_dsc"][0] < 1
    counted = {"3d_dsc", "3d_iou", "3d_precision", "3d_recall", "3d_volume_error", "3d_avd"}
    for name, values in found.of_volume.items():
        assert np.isnan(values[0]) == (name not in counted)
    assert np.isnan(found.of_slices["hausdorff"][:, 0]).all() and np.isnan(found.of_slices["boundary"][:, 0]).all()


def test_ignored_voxels_do_not_matter():
    gt = labels(0, ignored=True)
    pred, other = labels(1), labels(1)
    for slice_gt, slice_other in zip(gt, other):
        slice_other[slice_gt == 255] = 2
    one, two = truth(gt).compare(pred, ALL), truth(gt).compare(other, ALL)
    for found, again in zip(one[:2], two[:2]):
        for name in found:
            np.testing.assert_array_equal(found[name], again[name])


def test_only_the_metrics_asked_for():
    found = truth(labels(0)).compare(labels(1), ["boundary", "3d_hd95"])
    assert (list(found.of_volume), list(found.of_slices)) == (["3d_hd95"], ["boundary"])


def test_which_values_the_empty_mask_rule_decided():
    gt, pred = labels(0), labels(1)
    for slice_pred in pred:
        slice_pred[slice_pred == 2] = 0
    found = truth(gt).compare(pred, ALL)
    assert found.empty_volume.tolist() == [0, 0, 1]
    assert found.empty_slices[0].tolist() == [0, 2, 2]
    assert found.empty_slices[:, 2].all()
    assert found.of_volume["3d_hd95"][2] == pytest.approx(np.linalg.norm(np.multiply((20, 14, 4), SPACING)))
    assert found.of_slices["hausdorff"][0].tolist()[1:] == [0, 0]
