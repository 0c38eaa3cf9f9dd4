"""Images of blocks of random classes, for comparisons with other implementations."""

import numpy as np
import torch


def blocks(shape, K=3, B=2, side=3):
    """Logits (B, K, ...) float64 and labels (B, ...), each value a block of ``side`` voxels along every axis."""
    draw = np.random.default_rng(0)
    logits = torch.from_numpy(draw.normal(size=(B, K, *shape)))
    labels = torch.from_numpy(draw.integers(0, K, (B, *shape)))
    for axis in range(1, len(shape) + 1):
        logits = logits.repeat_interleave(side, axis + 1)
        labels = labels.repeat_interleave(side, axis)
    return logits, labels
