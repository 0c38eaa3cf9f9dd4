"""Tries a network, and the user's own losses, on samples of the study before anything is written.

Axis letters as in :mod:`boundary_loss.shapes`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from boundary_loss.data import Batch, MapNeed
from boundary_loss.data.ways import Way, read_bytes
from boundary_loss.distance import signed_distance
from boundary_loss.encoding import encode_one_hot
from boundary_loss.experiment import Experiment
from boundary_loss.networks import LOGITS, NETWORKS, outputs
from boundary_loss.networks.distance_head import DISTANCES
from boundary_loss.owncode import explained, lacks_memory
from boundary_loss.training.samples import Trial
from boundary_loss.training.skipping import recall, remember
from boundary_loss.training.terms import PROBS, ActiveTerm

_ENOUGH = {2: 8, 3: 32}
"""Voxels along a side, by the number of axes, that show what our own networks do: they take any number."""
_POINTS = 16
_MULTIPLES = (2, 4, 8, 16, 32, 64)


def try_network(
    net: nn.Module, experiment: Experiment, trial: Trial, channels: int, device: torch.device
) -> None:  # fmt: skip
    """Refuse a network that cannot be trained on samples of this study; leaves it, and torch's generators, unchanged.

    Args:
        net: on the device.
        channels: modalities C.

    Raises:
        ValueError: what it raised on a training batch or a validation sample, or what is wrong with its output; and
            the nearest size that it does take.
    """
    text, size = experiment.built_network, trial.size
    if not any(weight.requires_grad for weight in net.parameters()):
        raise ValueError(f"network '{text}' has no weights to train")
    if text.partition("(")[0].partition("+")[0] in NETWORKS:
        size = tuple(min(side, _ENOUGH[len(size)]) for side in size)
    last = trial.count % experiment.batch_size or min(trial.count, experiment.batch_size)
    num_classes = experiment.num_classes

    of_points = experiment.view.of_points
    if of_points and not all(hasattr(net, name) for name in ("encode", "at", "bytes_per_point")):
        raise ValueError(f"network '{text}' gives no classes at points, which SAMPLE=points(...) asks for: OSSNet does")
    if of_points:
        _check_memory(net, experiment.view.way)

    def call(batch: int, training: bool, sides: Sequence[int]) -> None:
        generator = torch.Generator().manual_seed(0)
        given = [torch.rand(batch, channels, *sides, generator=generator)]
        if of_points:
            given.append(torch.rand(batch, _POINTS, 3, generator=generator) * min(sides))
        net.train(training)
        found = outputs(net(*(tensor.to(device) for tensor in given)))
        for name, output in found.items():
            _check(name, output, (batch, num_classes, _POINTS) if of_points else (batch, num_classes, *sides))
        for term in experiment.terms:
            if term.reads not in (PROBS, *found):
                known = ", ".join(found)
                raise LookupError(f"it has no output '{term.reads}', which '{term.text}' reads; it has {known}")

    was_training, before = net.training, remember(net)
    gpus = [device] if device.type == "cuda" else []
    try:
        with torch.no_grad(), torch.random.fork_rng(gpus):
            for batch, training in ((min(last, 2), True), (1, False)):
                sort = f"{'training' if training else 'validation'} batch of {batch} x {channels} x {_by(size)}"
                _try(partial(call, batch, training), size, f"network '{text}' fails on a {sort}")
    finally:
        recall(net, before)
        net.train(was_training)


def _check_memory(net: Any, way: Way | None) -> None:
    """Refuse an inference whose memory does not hold one point."""
    if way is not None and read_bytes(way.memory) < net.bytes_per_point:
        raise ValueError(
            f"INFER: memory={way.memory} is less than the {net.bytes_per_point} bytes that one point takes; "
            "2GiB is the default"
        )


def _try(call: Callable[[Sequence[int]], None], size: tuple[int, ...], failure: str) -> None:
    """Call the network with samples of this size; if that fails, find the nearest size that works."""
    try:
        with explained(failure):
            call(size)
    except ValueError as error:
        larger = dict.fromkeys(tuple(-(-side // m) * m for side in size) for m in _MULTIPLES)
        fits = next((sides for sides in larger if sides != size and _works(call, sides)), None)
        if fits is None:
            raise
        raise ValueError(f"{error}; it takes {_by(fits)}, as {_advice(fits)} gives") from error.__cause__


def _advice(size: Sequence[int]) -> str:
    """Return the advice that leads to samples of this size."""
    if len(size) == 2:
        return f"PREPARE='--shape {' '.join(map(str, size))}'"
    return f"FIT='pad({next(m for m in reversed(_MULTIPLES) if all(side % m == 0 for side in size))})'"


def _works(call: Callable[[Sequence[int]], None], sides: Sequence[int]) -> bool:
    try:
        call(sides)
    except Exception as error:
        if lacks_memory(error):
            raise
        return False
    return True


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


def _check(name: str, output: Tensor, expected: tuple[int, ...]) -> None:
    """Refuse an output that no loss can read; only logits and distances need the labels' size."""
    full = name in (LOGITS, DISTANCES)
    fits = output.shape == expected if full else output.shape[:1] == expected[:1] and output.ndim > 1
    if not fits or not output.is_floating_point():
        wanted = expected if full else f"({expected[0]}, ...)"
        raise TypeError(f"it gives {output.dtype} of shape {tuple(output.shape)}, expected {name} {wanted}")
    if not output.isfinite().all():
        raise ArithmeticError(f"it gives NaN or infinite {name} before any training")


def try_losses(terms: Sequence[ActiveTerm], trial: Trial, num_classes: int, device: torch.device) -> None:
    """Refuse losses of the user's own, by import path, that fail on a sample of this study.

    Raises:
        ValueError: what the loss raised, forward or backward, or what is wrong with its value.
    """
    own = [term for term in terms if ":" in term.text.rpartition(":")[0].partition("(")[0]]
    if not own:
        return
    labels, spacing = trial.labels.to(device), trial.spacing
    gt = encode_one_hot(labels, num_classes, torch.float32)
    for term in own:
        probs, other = gt.clone().mul_(0.5).add_(0.5 / num_classes), torch.zeros_like(gt)
        given = {term.reads: (probs if term.reads == PROBS else other).requires_grad_()}
        kind = "slice" if labels.ndim == 3 else "case"
        with explained(f"loss '{term.text}' fails on the training {kind} {trial.name}"):
            maps = {need: made_map(need, labels, gt, spacing) for need in [term.need] if need}
            batch = Batch(
                index=torch.zeros(1, dtype=torch.int64), names=[trial.name], inputs=(), labels=labels, gt=gt, maps=maps,
                mask=None, spacings=spacing,
            )  # fmt: skip
            value = term(given, batch)
            if not (isinstance(value, Tensor) and value.shape == () and value.is_floating_point()):
                found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise TypeError(f"it gives {found}, expected a tensor of one number, as .mean() makes")
            if value.requires_grad:
                value.backward()


def made_map(need: MapNeed, labels: Tensor, gt: Tensor, spacing: Tensor) -> Tensor:
    """Return the map (B, K, ...) that a loss reads of labels (B, ...), one-hot in gt (B, K, ...); spacing (B, D) mm."""
    if need.measure:
        return need.measure(gt, spacing)
    options: dict[str, Any] = {"spatial_dims": labels.ndim - 1, "num_classes": gt.shape[1], "classes": need.classes}
    return signed_distance(labels, spacing, **options | dict(need.options))
