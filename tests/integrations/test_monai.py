"""The transform and the metric for MONAI, beside MONAI's own."""

import numpy as np
import pytest
import torch

from boundary_loss import measure, signed_distance

pytest.importorskip("monai", reason="needs MONAI")

from monai.data import MetaTensor
from monai.metrics import DiceMetric, HausdorffDistanceMetric
from monai.transforms import Compose, Flipd

from boundary_loss.integrations.monai import MeasureMetric, SignedDistanced

AFFINE = torch.diag(torch.tensor([1.5, 0.7, 2.0, 1.0]).double())


def volume(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 3, (1, 6, 5, 4), generator=draw).float()


def test_maps_have_the_spacing_and_meta_data_of_their_labels():
    labels = MetaTensor(volume(), affine=AFFINE, meta={"filename_or_obj": "case.nii"})
    data = SignedDistanced("label", num_classes=3, convention="interface")({"label": labels, "image": 1})
    maps = data["label_distance"]
    expected = signed_distance(volume(), (1.5, 0.7, 2.0), num_classes=3, convention="interface")[0]
    assert torch.equal(maps.as_tensor(), expected)
    assert torch.equal(maps.affine, labels.affine) and maps.meta["filename_or_obj"] == "case.nii"
    assert data["label"] is labels and data["image"] == 1


def test_plain_labels_give_plain_maps():
    data = SignedDistanced(["a", "b"], 3, spacing_mm=(1, 2, 3), allow_missing_keys=True)({"a": volume()})
    assert type(data["a_distance"]) is torch.Tensor and "b_distance" not in data
    assert torch.equal(data["a_distance"], signed_distance(volume(), (1, 2, 3), num_classes=3)[0])


def test_flips_after_it_are_flips_before_it():
    data = {"label": MetaTensor(volume(), affine=AFFINE)}
    make = SignedDistanced("label", num_classes=3)
    before = Compose([make, Flipd(["label", "label_distance"], spatial_axis=1)])(data)
    after = Compose([Flipd("label", spatial_axis=1), make])(data)
    torch.testing.assert_close(before["label_distance"].as_tensor(), after["label_distance"].as_tensor())


def test_ignored_labels():
    labels = volume()
    labels[0, :2] = 255
    maps = SignedDistanced("label", num_classes=3, ignore_index=255)({"label": labels})["label_distance"]
    assert torch.equal(maps, signed_distance(labels, num_classes=3, ignore_index=255)[0])
    with pytest.raises(ValueError, match="outside"):
        SignedDistanced("label", num_classes=3)({"label": labels})


def test_labels_without_a_channel_are_refused():
    with pytest.raises(ValueError, match="channel-first"):
        SignedDistanced("label", num_classes=3)({"label": volume()[0]})


def one_hot(labels):
    return torch.cat([labels == k for k in range(3)], dim=-4).float()


@pytest.mark.parametrize("name", ["dsc", "hd95", "assd", "lesion_f1"])
def test_it_is_measure_in_every_form(name):
    batches = [(torch.stack([volume(2 * i), volume(2 * i + 1)]), torch.stack([volume(9), volume(8)])) for i in range(2)]
    found = measure(
        torch.cat([pred for pred, _ in batches]), torch.cat([gt for _, gt in batches]), (1.0, 2.0, 3.0), (1, 2), [name],
        batched=True,
    )[name]  # fmt: skip
    expected = torch.from_numpy(np.stack([found[1], found[2]], 1))
    forms = [
        lambda labels: labels,
        lambda labels: MetaTensor(one_hot(labels)),
        lambda labels: [one_hot(item) for item in labels],
    ]
    for form in forms:
        metric = MeasureMetric(name, classes=[1, 2], spacing_mm=(1.0, 2.0, 3.0))
        for pred, gt in batches:
            metric(form(pred), form(gt))
        torch.testing.assert_close(metric.aggregate("none").double(), expected)
        torch.testing.assert_close(metric.aggregate("mean_batch").double(), expected.mean(0))
        assert metric.aggregate().item() == pytest.approx(expected.mean().item())
        metric.reset()


@pytest.mark.filterwarnings("ignore")  # MONAI's of its own deprecated argument, and of empty masks
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("dsc", DiceMetric(include_background=False, reduction="none")),
        ("hd95_directed", HausdorffDistanceMetric(percentile=95, reduction="none")),
    ],
)
def test_it_equals_monais(name, theirs):
    pred, gt = one_hot(torch.stack([volume(1), volume(2)])), one_hot(torch.stack([volume(3), volume(4)]))
    pred[0, 1], gt[1, 2] = 0, 0  # a missed object, and an absent one
    metric = MeasureMetric(name, classes=[1, 2], empty="nan")
    ours, expected = metric(pred, gt), theirs(pred, gt)
    defined = expected.isfinite()
    assert defined.any()
    torch.testing.assert_close(ours[defined].double(), expected[defined].double())


def test_a_missed_object_counts_by_the_rule_alone():
    pred, gt = torch.zeros(1, 1, 3, 4, 5), torch.ones(1, 1, 3, 4, 5)
    gt[..., 0] = 0
    by_rule, nan = (MeasureMetric("hd95", empty=empty)(pred, gt) for empty in ("rule", "nan"))
    assert by_rule.item() == pytest.approx(50**0.5) and nan.isnan()


def test_what_does_not_fit_is_refused():
    pred = one_hot(volume())[None]
    with pytest.raises(ValueError, match="one shape"):
        MeasureMetric()(pred, pred[:, :1])
    with pytest.raises(ValueError, match="3 channels"):
        MeasureMetric(classes=[3])(pred, pred)
    with pytest.raises(ValueError, match="takes spacing"):
        MeasureMetric()(pred, pred, percentile=95)
    with pytest.raises(ValueError, match="hd101"):
        MeasureMetric("hd101")(pred, pred)
