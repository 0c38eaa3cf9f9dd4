"""Builds the losses of an experiment, and gives them the distance maps that they read."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from boundary_loss.data import Batch, MapNeed
from boundary_loss.encoding import encode_one_hot
from boundary_loss.experiment import Experiment
from boundary_loss.networks.outputs import Outputs
from boundary_loss.shapes import IGNORED, Labels

PROBS = "probs"
"""The softmax of the logits, beside the network's own outputs."""


TAKES = ("over_items", "takes_spacing", "takes_mask", "takes_dense")
"""What a loss may say of itself."""


@dataclass(frozen=True)
class ActiveTerm:
    """A loss module and the map that it reads, if any."""

    text: str
    loss: nn.Module
    need: MapNeed | None
    reads: str = PROBS
    """The name of the output that it takes: ``probs``, or another of the network's, as ``distances``."""
    over_items: bool = False
    """Whether the value on a batch is the mean of its items' values."""
    takes_spacing: bool = False
    """Whether the loss measures distances by itself, and so needs each item's spacing."""
    takes_mask: bool = False
    """Whether the loss leaves out by itself what is ignored; others get zeros there, in probabilities and target."""
    takes_dense: bool = False
    """Whether the target is the labels of the whole volumes, where a batch is of points."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the value on a batch; ``outputs`` includes the one that the term reads."""
        output = outputs[self.reads]
        if self.takes_dense and batch.dense is not None:
            batch = _of_whole_volumes(batch, batch.dense)
        more: dict[str, Any] = {"spacing_mm": batch.spacings} if self.takes_spacing else {}
        if self.takes_mask:
            more["mask"] = batch.mask
        if self.need is None:
            return self.loss(output, batch.gt, **more)
        distances = batch.maps[self.need]
        if self.need.measure:
            return self.loss(output, batch.gt, distances, **more)
        if self.takes_mask and more["mask"] is None:
            more["mask"] = torch.ones_like(distances[:, :1], dtype=torch.bool)  # in maps alone, 0 may also mean an edge
        return self.loss(output, distances, **more)


def _of_whole_volumes(batch: Batch, dense: Labels) -> Batch:
    """Return the batch with the labels of the whole volumes in place of those of points."""
    mask = None if batch.mask is None else (dense != IGNORED).unsqueeze(1)
    return replace(batch, gt=encode_one_hot(dense, batch.gt.shape[1], torch.float32), mask=mask)


def activate(experiment: Experiment) -> list[ActiveTerm]:
    """Return the modules of the experiment's terms, with the maps they need."""
    terms = []
    for term in experiment.terms:
        loss: Any = term.build()  # a module of the user's own may lack `target`: it gets the one-hot labels
        need = None
        if getattr(loss, "target", "one_hot") == "distance":
            options = getattr(loss, "distance_options", {})
            need = MapNeed.of(getattr(loss, "map", "own"), term.classes, options)
        elif hasattr(loss, "measure_target"):
            need = MapNeed("target", term.classes, measure=loss.measure_target)
        takes = {name: getattr(loss, name, False) for name in TAKES}
        terms.append(ActiveTerm(term.text, loss, need, term.reads, **takes))
    return terms
