"""What a GPU would find wrong, without one: tensors on two devices, and a host that waits where it need not.

All of it runs on :class:`pretendgpu.PretendGpu`, and must give the numbers of the CPU.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from moments import once
from pretendgpu import GPU, PretendGpu, Wait, place_of
from torch import Tensor
from trainings import train_here
from wholes import write_whole

from boundary_loss import (
    FusedDiceCELoss,
    FusedDiceLoss,
    FusedGeneralizedDiceBoundary,
    HausdorffLoss,
    HDLoss,
    SDFLoss,
    class2one_hot,
    euclidean_distance,
    signed_distance,
)
from boundary_loss.data import Slices, samples
from boundary_loss.distance import nearest_foreground
from boundary_loss.encoding import probs2class
from boundary_loss.events import heard_by
from boundary_loss.experiment import Experiment
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.losses.head import HEADS
from boundary_loss.losses.table import LOSSES
from boundary_loss.metrics import surface_distances
from boundary_loss.networks import build_network
from boundary_loss.shapes import IGNORED
from boundary_loss.signals import TERMINATED
from boundary_loss.training.arithmetic import make_optimiser
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.epoch_sums import EpochLog, Tally
from boundary_loss.training.predictions import PredictionWriter
from boundary_loss.training.samples import make_samples
from boundary_loss.training.terms import activate

GDL = ["gdl:1", "boundary:0.01@1"]
ALTERED = ["flip", "rotate(15)", "scale(0.9,1.1)", "elastic(2,6)", "intensity(0.2)", "noise(0.05)"]
EPOCHS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "2d": (GDL, {}),
    "3d": (["gdl:1", "boundary(map=3d):0.01@1"], {}),
    "own altered": (GDL, {"augment": ALTERED}),
    "step": (["gdl:1", "boundary(map=step,convention=symmetric,absent=far,normalise=maximum):0.01@1"], {}),
    "step altered": (["gdl:1", "boundary(map=step):0.01@1", "hausdorff(sides=both):0.1@1"], {"augment": ALTERED}),
    "region": (["ce:1", "focal:1", "dice:1", "tversky:1", "hausdorff_erosion:0.1@1"], {"layout": "first"}),
    "head": (["gdl:1", "sdf:1@1", "foreground(norm=l1):0.1", "sdf_product:0.1"], {"gradients": True}),
    "gradients": (GDL, {"gradients": True, "optimiser": "sgd"}),
    "UNet fp16": (GDL, {"network": "UNet(width=2)", "amp": "fp16"}),
    "ResidualUNet bf16": (GDL, {"network": "ResidualUNet(width=2)", "amp": "bf16"}),
    "ENet": (GDL, {"network": "ENet(kernels=4)"}),
}
REFUSED = (
    "max_unpool", "adaptive_max_pool", "fractional_max_pool", "adaptive_avg_pool2d_backward", "linear1d_backward",
    "bilinear2d_backward", "bicubic2d_backward", "trilinear3d_backward", "reflection_pad", "nll_loss", "ctc_loss",
    "embedding_bag", "aten.put_", "histc", "bincount", "median", "grid_sampler_2d_backward", "grid_sampler_3d_backward",
    "cumsum", "avg_pool3d_backward",
)  # fmt: skip
"""Of operations that torch.use_deterministic_algorithms refuses on CUDA, as its documentation lists them."""


def an_epoch(data: Path, run: Path, terms: list[str], device: str, options: dict[str, Any]) -> list[EpochLog]:
    """One epoch's training and validation, as boundary_loss.train sets them up."""
    experiment = Experiment(
        losses=tuple(terms), rate="constant", num_classes=2, epochs=1, batch_size=3, learning_rate=1e-3,
        **{"network": "Dimwit", **options},
    )  # fmt: skip
    place, active = torch.device(device), activate(experiment)
    needs = [term.need for term in active if term.need]
    train = Slices(SlicedFolder.open(data), "train", needs=needs, device=place, augmentation=experiment.augmentation)
    val = Slices(SlicedFolder.open(data), "val", needs=needs, device=place)
    torch.manual_seed(0)
    net = build_network(experiment.built_network, 2, 2).to(place)
    runner = EpochRunner(net, active, make_optimiser(experiment, net, place), experiment, place)
    weights = [term.weight for term in experiment.terms]
    with PredictionWriter(run, 0) as writer:
        logs = [runner.train(train, 0, weights, writer), runner.validate(val, 0, weights, writer)]
    assert {place_of(tensor).type for tensor in net.state_dict().values()} == {device}
    return logs


def waits_between(gpu: PretendGpu, monkeypatch: pytest.MonkeyPatch) -> list[list[Wait]]:
    """The waits from each epoch's first losses to its last, when the numbers are fetched; one list an epoch."""
    epochs: list[list[Wait]] = []

    def add_losses(grows: Tally, values: Sequence[Tensor], *of_step: int) -> None:
        if grows.done == 0:
            gpu.waits.clear()
            epochs.append([])
        epochs[-1] = list(gpu.waits)
        real(grows, values, *of_step)

    real = Tally.add_losses
    monkeypatch.setattr(Tally, "add_losses", add_losses)
    return epochs


@pytest.mark.parametrize(
    ("name", "fits"), [*((name, True) for name in EPOCHS), ("2d", False), ("step altered", False), ("head", False)]
)
def test_an_epoch_stays_on_its_device_and_nothing_waits_for_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fits: bool
) -> None:
    """``fits``: whether the slices do, in the device's memory; else they travel batch by batch."""
    terms, options = EPOCHS[name]
    expected = an_epoch(data, tmp_path / "cpu", terms, "cpu", options)
    with PretendGpu() as gpu:
        if not fits:
            monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 1000))
        epochs = waits_between(gpu, monkeypatch)
        found = an_epoch(data, tmp_path / "gpu", terms, "cuda", options)
    assert epochs == [[], []]
    assert not [run for run in gpu.operations if any(refused in run for refused in REFUSED)], "not deterministic"
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(ours.volume_dice, theirs.volume_dice)
        np.testing.assert_allclose(ours.gradients, theirs.gradients, rtol=1e-5)
    pictures = [sorted((run / "iter000").rglob("*.png")) for run in (tmp_path / "cpu", tmp_path / "gpu")]
    assert pictures[0] and [p.read_bytes() for p in pictures[0]] == [p.read_bytes() for p in pictures[1]]


VOLUMES = {
    "whole": {"fit": ("pad(4)",)},
    "patches": {
        "sample": "patch(4,4,2,each=2)",
        "augment": ("flip(xyz)", "rotate(20,xyz)", "intensity(0.2)", "noise(0.1)"),
    },
    "flipped": {"sample": "patch(4,4,2)", "augment": ("flip(xyz)",)},
}


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("name", VOLUMES)
def test_volumes_stay_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, keeps: bool) -> None:
    """``keeps``: whether the maps of all cases are kept on the host, or made on the device."""
    monkeypatch.setattr("boundary_loss.data.cases.fit_in_memory", lambda _: keeps)
    data = WholeFolder.open(write_whole(tmp_path / "WHOLE"))
    experiment = Experiment(
        losses=("gdl:1", "boundary:0.1@1", "hausdorff:0.1@1"), rate="constant", num_classes=2, of_volumes=True,
        epochs=1, batch_size=2, network="Dimwit3D", **VOLUMES[name],
    )  # fmt: skip

    def an_epoch(device: str, run: Path) -> list[EpochLog]:
        place, active = torch.device(device), activate(experiment)
        train, val = (make_samples(experiment, active, data, which, place) for which in ("train", "val"))
        torch.manual_seed(0)
        net = build_network(experiment.built_network, 2, 2).to(place)
        runner = EpochRunner(net, active, make_optimiser(experiment, net, place), experiment, place)
        weights = [term.weight for term in experiment.terms]
        with PredictionWriter(run, 0) as writer:
            return [runner.train(train, 0, weights, writer), runner.validate(val, 0, weights, writer)]

    expected = an_epoch("cpu", tmp_path / "cpu")
    with PretendGpu():
        found = an_epoch("cuda", tmp_path / "gpu")
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours.dice, theirs.dice, atol=1e-6)
    volumes = [sorted((run / "iter000").rglob("*.npz")) for run in (tmp_path / "cpu", tmp_path / "gpu")]
    assert volumes[0] and [p.read_bytes() for p in volumes[0]] == [p.read_bytes() for p in volumes[1]]


PLANTED: dict[str, Callable[[Tensor], object]] = {
    "item": lambda probs: probs.sum().item(),
    "bool": lambda probs: bool((probs > 2).any()),
    "cpu": lambda probs: probs.cpu(),
    "tolist": lambda probs: probs[0, 0, 0].tolist(),
    "mask": lambda probs: probs[probs > 0.5],
    "nonzero": lambda probs: probs.nonzero(),
    "unique": lambda probs: (probs > 0.5).unique(),
    "tensor": lambda probs: torch.tensor([1.0, 2.0], device=probs.device),
    "copy": lambda probs: torch.ones(3).to(probs),
    "list": lambda probs: probs[:, [0, 1]],
    "assignment": lambda probs: torch.empty(probs.shape).copy_(probs),
}


@pytest.mark.parametrize("wait", PLANTED.values(), ids=list(PLANTED))
def test_a_wait_in_a_step_is_found_with_its_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: Callable[[Tensor], object]
) -> None:
    def waiting(probs: Tensor, **options: torch.dtype) -> Tensor:
        wait(probs)
        return probs2class(probs, **options)

    monkeypatch.setattr(samples, "probs2class", waiting)
    with PretendGpu() as gpu:
        epochs = waits_between(gpu, monkeypatch)
        an_epoch(data, tmp_path / "gpu", GDL, "cuda", {})
    assert [len(waits) for waits in epochs] == [3, 2], "one a step, but the last"
    assert "data/samples.py" in epochs[0][0].where


MISPLACED: dict[str, Callable[[Tensor], object]] = {
    "addend": lambda x: x + torch.zeros(x.shape),
    "class": lambda x: x == torch.arange(3).view(3, 1, 1),
    "part": lambda x: torch.cat([x, torch.zeros(x.shape)]),
    "into the host": lambda x: torch.zeros(()).add_(x.sum()),
    "weights": lambda x: torch.nn.functional.conv2d(x, torch.ones(1, 3, 1, 1)),
    "rows": lambda x: x.index_select(0, torch.tensor([0])),
    "host by device": lambda x: torch.zeros(3)[x[0, 0, 0].long()],
}


@pytest.mark.parametrize("mix", MISPLACED.values(), ids=list(MISPLACED))
def test_two_devices_in_one_operation_are_refused(mix: Callable[[Tensor], object]) -> None:
    with PretendGpu(), pytest.raises(RuntimeError, match="same device"):
        mix(torch.ones(2, 3, 4, 5).to("cuda"))


def test_what_a_gpu_takes_is_taken() -> None:
    with PretendGpu() as gpu:
        x = torch.ones(2, 3).to("cuda", non_blocking=True)
        assert (x.device, x.is_cuda, x[0].device, x.cpu().is_cuda) == (GPU, True, GPU, False)
        assert (x * torch.tensor(2.0)).is_cuda and torch.where(x > 0, 1, x).is_cuda, "numbers come along"
        assert torch.empty_like(x).is_cuda and torch.ones(2, device="cuda").is_cuda and not torch.ones(2).is_cuda
        with pytest.raises(TypeError, match="can't convert cuda:0"):
            x.numpy()
        gpu.waits.clear()
        torch.ones(1 << 14).to("cuda", non_blocking=True)
        torch.ones(1 << 20).pin_memory().to("cuda", non_blocking=True)
        assert not gpu.waits, "few bytes are laid aside, pinned ones travel alone"
        torch.ones(1 << 20).to("cuda", non_blocking=True)
        torch.empty(2, 3).copy_(x, non_blocking=True)
        assert len(gpu.waits) == 2


# ---- The losses in a loop of the user's own --------------------------------------------------------------------------


def losses() -> Iterator[tuple[str, Any, str, str]]:
    """Name, module, what it takes as the prediction, and as the target."""
    for name, kind in LOSSES.items():
        if name == "skeleton_recall":  # scikit-image thins on the host, for which a GPU has to wait
            continue
        for i, activation in enumerate(a for a in kind.activations if name not in ("diceloss", "surface")):
            for classes in ([0, 1, 2], [1], [0, 2]):
                target = "maps" if kind.target == "distance" else ("one_hot", "labels", "bytes")[i]
                made = kind(activation=activation, idc=classes, reduction="none" if i else "mean")
                yield f"{name} {activation} {classes}", made, "logits" if activation else "probs", target
    for name, head in HEADS.items():
        for classes in ([1], [0, 2]):
            yield f"{name} head {classes}", head(classes=classes), "logits", "one_hot"
    yield "hausdorff far", HausdorffLoss(sides="both", absent="far", activation="softmax"), "logits", "one_hot"
    yield "ignored 2", LOSSES["dice"](activation="softmax", ignore_index=2), "logits", "classes"
    yield "HDLoss", HDLoss(to_onehot_y=True, softmax=True), "logits", "channel"
    yield "SDFLoss", SDFLoss(), "both", "channel"
    for weight in (None, [1, 2.0, 3]):
        yield f"fused {weight}", FusedDiceLoss(weight, ignore_label=255, check_labels=False), "logits", "labels"
        cross = FusedDiceCELoss(ce_weight=weight, ignore_label=255, check_labels=False)
        yield f"fused with cross-entropy {weight}", cross, "logits", "labels"
    yield "fused both", FusedGeneralizedDiceBoundary(check_labels=False, classes=[0, 2]), "logits", "labels and maps"


LOOKED_AT = ("labels", "classes", "bytes", "channel")
"""Targets of integers, whose values a loss looks at each time; but the fused ones, which were told not to."""


@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16], ids=str)
def test_every_loss_stays_on_its_device(autocast: torch.dtype | None) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 12, 9, generator=generator)
    labels = torch.randint(0, 3, (2, 12, 9), generator=generator)
    labels[0, :3], labels[1] = 255, labels[1].clamp(max=1)
    maps, mask = signed_distance(labels, num_classes=3), labels != 255
    targets = {
        "labels": (labels,), "classes": (labels.clamp(max=2),), "bytes": (labels.to(torch.uint8),),
        "one_hot": (class2one_hot(labels, 3),),
        "maps": (maps,), "channel": (labels[:, None],), "labels and maps": (labels, maps),
    }  # fmt: skip

    def computed(loss: Any, takes: str, given: Sequence[Tensor], x: Tensor, **more: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        with torch.autocast(x.device.type, autocast or torch.bfloat16, enabled=autocast is not None):
            mixed = torch.nn.functional.conv2d(x, torch.eye(3, device=x.device)[:, :, None, None])
            predicted = (mixed.softmax(1),) if takes == "probs" else (mixed, mixed) if takes == "both" else (mixed,)
            value = loss(*predicted, *given, **more)
        value.sum().backward()
        assert x.grad is not None
        return value.detach(), x.grad

    for name, loss, takes, target in losses():
        more = {"mask": mask} if target in ("one_hot", "maps") else {}
        expected = computed(loss, takes, targets[target], logits, **more)
        with PretendGpu() as gpu:
            loss.to("cuda")
            there = [tensor.to("cuda") for tensor in targets[target]]
            x, more = logits.to("cuda"), {name: tensor.to("cuda") for name, tensor in more.items()}
            computed(loss, takes, there, x, **more)  # the first time it looks at the values
            gpu.waits.clear()
            found = computed(loss, takes, there, x, **more)
            waits = [wait.where for wait in gpu.waits]
            assert all(tensor.is_cuda for tensor in found) and found[0].dtype == torch.float32, name
            on_host = [tensor.cpu() for tensor in found]
        looks = 1 if target in LOOKED_AT and not name.startswith("fused") else 0
        assert len(waits) == looks and all("look_at_labels" in wait for wait in waits), (name, waits)
        for ours, theirs in zip(on_host, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")


# ---- Distances and metrics -------------------------------------------------------------------------------------------

LABELS = torch.from_numpy(np.random.default_rng(0).choice([0, 1, 2, 255], (2, 9, 11, 5), p=[0.5, 0.3, 0.15, 0.05]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"convention": "interface", "absent": "far", "max_distance": 3},
        {"convention": "paper-int", "classes": [2]},
        {"normalise": "sides", "dtype": torch.float64},
    ],
    ids=str,
)
@pytest.mark.parametrize("dims", [2, 3])
def test_distance_maps_without_triton(dims: int, options: dict[str, Any]) -> None:
    labels = LABELS if dims == 3 else LABELS[..., 0]
    spacing = np.array([[0.7, 1.0, 2.5], [1.0, 1.5, 5.0]])[:, :dims]
    mask = labels == 1
    expected = [
        signed_distance(labels, spacing, num_classes=3, **options),
        signed_distance(class2one_hot(labels, 3), spacing, mask=labels != IGNORED, **options),
        euclidean_distance(mask, spacing, max_distance=options.get("max_distance")),
    ]
    with PretendGpu() as gpu:
        there, mask_there = labels.to("cuda"), mask.to("cuda")
        one_hot = class2one_hot(there, 3)
        gpu.waits.clear()
        found = [
            signed_distance(there, spacing, num_classes=3, **options),
            signed_distance(one_hot, spacing, mask=there != IGNORED, **options),
            euclidean_distance(mask_there, spacing, max_distance=options.get("max_distance")),
            nearest_foreground(mask_there, spacing),
        ]
        assert all(tensor.is_cuda for tensor in found) and not gpu.waits
        on_host = [tensor.cpu() for tensor in found]
    for ours, theirs in zip(on_host[:3], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_surface_distances_are_measured_there() -> None:
    masks = LABELS[0] == 1, LABELS[1] == 1
    expected = surface_distances(*(mask.numpy() for mask in masks), (0.7, 1.0, 2.5))
    with PretendGpu():
        found = surface_distances(*(mask.to("cuda") for mask in masks), (0.7, 1.0, 2.5))
    assert found.hausdorff == pytest.approx(expected.hausdorff) and found.assd == pytest.approx(expected.assd)


# ---- The whole command -----------------------------------------------------------------------------------------------


@pytest.fixture
def untouched() -> Iterator[None]:
    """The process's settings, as they were."""
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = False


@pytest.mark.parametrize(
    "options",
    [["--amp", "fp16", "--augment", "flip", "noise(0.05)"], ["--deterministic", "--gradients", "--skip_nan"]],
    ids=["fp16", "deterministic"],
)
def test_a_run_is_trained_stopped_and_gone_on_with(
    data: Path, tmp_path: Path, untouched: None, options: list[str]
) -> None:
    row = ["--losses", *GDL, "--network", "toys:Dropper", "--batch_size", "3", "--epochs", "2", *options]
    assert train_here(tmp_path / "cpu", data, *row, "--device", "cpu").status == 0
    with PretendGpu():
        assert train_here(tmp_path / "straight", data, *row, "--device", "cuda").status == 0
        with heard_by(once("training step 2 of epoch 0", lambda: signal.raise_signal(signal.SIGTERM))):
            assert train_here(tmp_path / "gone on", data, *row, "--device", "cuda").status == TERMINATED
        done = train_here(tmp_path / "gone on", data, *row, "--device", "cuda")
        assert done.status == 0 and "at step 2 of epoch 0" in done.out
    for name in ("tra_loss", "val_loss", "val_dice"):
        cpu, straight, gone_on = (np.load(tmp_path / run / f"{name}.npy") for run in ("cpu", "straight", "gone on"))
        np.testing.assert_allclose(straight, cpu, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(gone_on, straight)
    tables = [(tmp_path / run / "metrics.csv").read_bytes() for run in ("straight", "gone on")]
    assert tables[0] == tables[1]
    weights = [torch.load(tmp_path / run / "best.pkl", weights_only=True)["weights"] for run in ("straight", "gone on")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
