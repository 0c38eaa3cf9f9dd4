"""The trainers in nnU-Net itself: found as it finds them, 2D and 3D, ignored voxels, regions, resumed.

Needs nnunetv2 in the environment (docs/nnunet.md says how); otherwise these tests are skipped.
"""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("nnunetv2", reason="needs nnU-Net")
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from boundary_loss import BoundaryLoss, HausdorffLoss, signed_distance
from boundary_loss.integrations.nnunet.catalogue import FOLDER, trainers
from boundary_loss.integrations.nnunet.mixins import DistanceTerm

pytestmark = pytest.mark.filterwarnings("ignore")  # nnU-Net's own

PATCH = {"2d": [24, 16], "3d_fullres": [8, 16, 16]}
SPACING = {"2d": [0.7, 1.5], "3d_fullres": [2.5, 0.7, 1.5]}
SCALES = [1, 2, 4]
LABELS = {"background": 0, "rim": 1, "core": 2}
REGIONS = {"background": 0, "whole": [1, 2], "core": 2}
KINDS = {
    "labels": (LABELS, None),
    "ignore": (LABELS | {"ignore": 3}, None),
    "regions": (REGIONS, [1, 2]),
    "regions, ignore": (REGIONS | {"ignore": 3}, [1, 2]),
}
CHANNELS, BATCH = 1, 2


@pytest.fixture(params=PATCH)
def configuration(request):
    return request.param


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def plans(configuration):
    """What nnU-Net's planner writes, of a network of three stages with a few channels."""
    dims = len(PATCH[configuration])
    block = [2] * dims
    network = {
        "n_stages": 3, "features_per_stage": [4, 8, 8], "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
        "kernel_sizes": [[3] * dims] * 3, "strides": [[1] * dims, block, block], "n_conv_per_stage": [1] * 3,
        "n_conv_per_stage_decoder": [1] * 2, "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d", "norm_op_kwargs": {"affine": True},
        "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {},
    }  # fmt: skip
    settings = {
        "data_identifier": f"nnUNetPlans_{configuration}", "preprocessor_name": "DefaultPreprocessor",
        "batch_size": BATCH, "patch_size": PATCH[configuration], "spacing": SPACING[configuration],
        "normalization_schemes": ["ZScoreNormalization"], "use_mask_for_norm": [False], "batch_dice": dims == 2,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": network, "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }  # fmt: skip
    return {
        "dataset_name": "Dataset001_Toy", "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "label_manager": "LabelManager",
        "configurations": {configuration: settings}, "continue_training": False,
    }  # fmt: skip


def dataset(kind):
    labels, order = KINDS[kind]
    content = {"channel_names": {"0": "MRI"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    return content | ({"regions_class_order": order} if order else {})


def find(name):
    """As nnU-Net finds a trainer in a folder of nnUNet_extTrainer."""
    return recursive_find_python_class(
        str(FOLDER), name, None, base_folder=str(FOLDER), cleanup_imports_from_base_folder=True
    )


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A trainer by its name, initialised, on the CPU."""
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))

    def made(name, configuration="2d", kind="labels"):
        folder = tmp_path / "preprocessed" / "Dataset001_Toy" / f"nnUNetPlans_{configuration}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "case.npz").touch()  # by its files nnU-Net chooses how to read them
        torch.manual_seed(0)
        trainer = find(name)(
            plans=plans(configuration), configuration=configuration, fold=0, dataset_json=dataset(kind),
            device=torch.device("cpu"),
        )  # fmt: skip
        trainer.initialize()
        return trainer

    return made


def targets(configuration, kind):
    """Of each level, as nnU-Net's loader hands them over."""
    found = []
    for scale in SCALES[:2]:
        labels = torch.zeros(BATCH, 1, *PATCH[configuration], dtype=torch.int16)
        labels[:, :, 2:7, 4:12] = 1
        labels[:, :, 3:5, 6:9] = 2
        if "ignore" in kind:
            labels[..., -4:] = 3
        labels = labels[(slice(None), slice(None), *[slice(None, None, scale)] * len(PATCH[configuration]))]
        if "regions" in kind:
            labels = torch.cat([(labels == 1) | (labels == 2), labels == 2]
                               + ([labels == 3] if "ignore" in kind else []), 1)  # fmt: skip
        found.append(labels)
    return found


def batch(configuration, kind):
    draw = torch.Generator().manual_seed(1)
    data = torch.randn(BATCH, CHANNELS, *PATCH[configuration], generator=draw)
    return {"data": data, "target": targets(configuration, kind)}


def test_every_trainer_of_the_catalogue_is_found():
    for name, _ in trainers():
        found = find(name)
        assert found.__name__ == name and issubclass(found, nnUNetTrainer) and issubclass(found, DistanceTerm)


@pytest.mark.parametrize("name", ["nnUNetTrainerBoundary", "nnUNetTrainerHausdorff"])
def test_it_trains_and_validates(make, configuration, kind, name):
    trainer = make(name, configuration, kind)
    trainer.current_epoch = trainer.num_epochs // 2
    for epoch in range(trainer.current_epoch):
        for key in ("lrs", "train_losses", "val_losses", "mean_fg_dice"):
            trainer.logger.local_logger.my_fantastic_logging[key].append(0.5 + epoch / 1e4)
    trainer.on_train_epoch_start()
    assert trainer.loss.weights[1] > 0
    before = [parameter.detach().clone() for parameter in trainer.network.parameters()]
    outputs = [trainer.train_step(batch(configuration, kind)) for _ in range(2)]
    trainer.on_train_epoch_end(outputs)
    assert np.isfinite([output["loss"] for output in outputs]).all()
    assert any((old != new).any() for old, new in zip(before, trainer.network.parameters()))
    assert torch.isfinite(trainer.loss.measured).all() and (trainer.loss.measured > 0).all()
    with torch.no_grad():
        trainer.on_validation_epoch_start()
        assert np.isfinite(trainer.validation_step(batch(configuration, kind))["loss"])
    said = Path(trainer.log_file).read_text(encoding="utf-8")
    assert "Weight of the trainer's own loss: 1, of" in said and "Gradients in the first step" in said


def test_the_loss_is_nnunets_plus_ours_at_the_finest_output(make, configuration):
    trainer, given = make("nnUNetTrainerBoundary", configuration), batch(configuration, "labels")
    outputs = trainer.network(given["data"])
    maps = signed_distance(given["target"][0], SPACING[configuration], num_classes=3)
    ours = BoundaryLoss(classes=[1, 2], activation="softmax")(outputs[0], maps)
    trainer.loss.weights = (0.7, 0.3)
    expected = 0.7 * nnUNetTrainer._build_loss(trainer)(outputs, given["target"]) + 0.3 * ours
    torch.testing.assert_close(trainer.loss(outputs, given["target"]), expected)


def test_regions_are_measured_each_by_itself(make, configuration):
    trainer, given = make("nnUNetTrainerHausdorff", configuration, "regions"), batch(configuration, "regions")
    outputs = trainer.network(given["data"])
    ours = HausdorffLoss(activation="sigmoid")(outputs[0], given["target"][0], spacing_mm=SPACING[configuration])
    torch.testing.assert_close(trainer.loss.term(outputs, given["target"]), ours)


@pytest.mark.parametrize("kind", ["ignore", "regions, ignore"])
@pytest.mark.parametrize("name", ["nnUNetTrainerBoundary", "nnUNetTrainerHausdorff"])
def test_ignored_voxels_get_no_gradient(make, configuration, kind, name):
    trainer, given = make(name, configuration, kind), batch(configuration, kind)
    outputs = [output.detach().requires_grad_() for output in trainer.network(given["data"])]
    trainer.loss.weights = (1.0, 0.5)
    trainer.loss(outputs, given["target"]).backward()
    assert not outputs[0].grad[..., -4:].any() and outputs[0].grad[..., :-4].any()


def test_a_patch_without_a_voxel_that_counts_gives_no_nan(make, configuration):
    trainer, given = make("nnUNetTrainerBoundary", configuration, "ignore"), batch(configuration, "ignore")
    trainer.loss.weights = (1.0, 0.5)
    given["target"] = [torch.full_like(target, 3) for target in given["target"]]
    assert np.isfinite(trainer.train_step(given)["loss"])
    assert all(parameter.isfinite().all() for parameter in trainer.network.parameters())


def test_a_resumed_training_has_the_weights_of_its_epoch(make, tmp_path):
    def begin(trainer, epoch):
        trainer.current_epoch = epoch
        trainer.on_train_epoch_start()
        return trainer.loss.weights

    trainer = make("nnUNetTrainerBoundaryAfter")
    for epoch, score in enumerate([0.2, 0.7]):
        assert begin(trainer, epoch) == (1.0, 0.0)
        for key in ("train_losses", "val_losses", "epoch_start_timestamps", "epoch_end_timestamps"):
            trainer.logger.log(key, 1.0, epoch)
        trainer.logger.log("mean_fg_dice", score, epoch)
    trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))  # of epoch 1, so that the next is 2
    assert begin(trainer, 2) == (1.0, 0.1)
    resumed = make("nnUNetTrainerBoundaryAfter")
    resumed.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    assert resumed.current_epoch == 2
    resumed.on_train_epoch_start()
    assert resumed.loss.weights == (1.0, 0.1)


@pytest.mark.parametrize(("name", "epochs"), [("nnUNetTrainerBoundary", 1000), ("nnUNetTrainerBoundary_5epochs", 5)])
def test_a_schedule_runs_over_the_trainers_own_number_of_epochs(make, name, epochs):
    trainer = make(name)
    assert trainer.num_epochs == epochs
    assert trainer.weights_at(epochs) == pytest.approx((1.0, 0.1))
    assert trainer.weights_at(2) == pytest.approx((1.0, 0.1 * 2 / epochs))
