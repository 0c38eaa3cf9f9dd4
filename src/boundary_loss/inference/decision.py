"""Decides the classes of voxels from their probabilities: the most probable ones, or those of the best expected Dice.

The most probable class minimises the expected number of wrong voxels, which is not what Dice counts: if a lesion is
likely somewhere but nowhere above 1/2, argmax leaves it out. With independent voxels the expected Dice of a set A is
close to a ratio of expectations, ``2 sum_A p / (|A| + sum p)``, closer the more voxels the object has. Its maximum
takes the voxels whose probability exceeds half of that maximum (Lipton et al., ECML 2014; Dai & Li, "RankSEG",
JMLR 2023).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from boundary_loss.encoding import probs2class
from boundary_loss.settings import DECISIONS
from boundary_loss.shapes import Labels, Probs

ARGMAX, DICE = DECISIONS
_ROUNDS = 30  # Newton's steps; three to six are enough


@dataclass(frozen=True)
class _Ratio:
    """Expected Dice of a class, ``value = 2 sum_A p / whole`` with ``whole = |A| + sum p``."""

    value: float
    whole: float

    @classmethod
    def of(cls, probs: Tensor, chosen: Tensor, mass: float) -> "_Ratio":
        whole = float(chosen.sum()) + mass
        return cls(2 * float(probs[chosen].sum(dtype=torch.float64)) / whole if whole else 0.0, whole)


def decide(probs: Probs, decision: str = ARGMAX) -> Labels:
    """Return the classes (*space) uint8 of the probabilities (K, *space) of one image; ``decision`` is argmax or dice.

    Raises:
        ValueError: an unknown decision.
    """
    if decision not in DECISIONS:
        raise ValueError(f"a decision is one of {', '.join(DECISIONS)}, got '{decision}'")
    return dice_optimal(probs) if decision == DICE else probs2class(probs.unsqueeze(0), dtype=torch.uint8)[0]


def dice_optimal(probs: Probs) -> Labels:
    """Return the classes whose expected Dice, as a mean over the classes but the background, is largest.

    With two classes that is exact for the ratio above. With more, each voxel goes to the class that gains most by it,
    and the result is at least as good as argmax. A class whose probability to be absent is above its best ratio is left
    out, because an empty prediction of an absent class counts 1.

    Args:
        probs: (K, *space) probabilities of one whole image, background first; they should be calibrated.

    Returns:
        (*space) uint8 on the same device.
    """
    foreground = range(1, len(probs))
    masses = {k: float(probs[k].sum(dtype=torch.float64)) for k in foreground}
    ratios = {k: _best_ratio(probs[k], masses[k]) for k in foreground}
    ratios = {k: ratio for k, ratio in ratios.items() if ratio.value > _absent(probs[k])}
    best = _most_probable(probs, [0, *ratios])
    highest = _mean(_ratios(probs, best, masses, ratios))
    for _ in range(_ROUNDS):
        classes = _most_gain(probs, ratios)
        ratios = _ratios(probs, classes, masses, ratios)
        if not _mean(ratios) > highest:
            break
        best, highest = classes, _mean(ratios)
    return best


def _best_ratio(probs: Tensor, mass: float) -> _Ratio:
    """Return the largest ratio of a class on its own, by Dinkelbach's iteration (Management Science 1967)."""
    ratio = _Ratio(0.0, mass)
    for _ in range(_ROUNDS):
        found = _Ratio.of(probs, probs > ratio.value / 2, mass)
        if not found.value > ratio.value:
            break
        ratio = found
    return ratio


def _absent(probs: Tensor) -> float:
    """Return the probability that no voxel is of the class."""
    return float(torch.log1p(-probs.double()).sum().exp())


def _most_gain(probs: Tensor, ratios: dict[int, _Ratio]) -> Labels:
    """Give each voxel to the class whose ratio gains most by it, to first order; to the background if none gains."""
    gain = torch.zeros_like(probs[0])
    classes = torch.zeros(probs.shape[1:], dtype=torch.uint8, device=probs.device)
    for k, ratio in ratios.items():
        here = (2 * probs[k] - ratio.value) / ratio.whole
        classes[here > gain] = k
        gain = torch.maximum(gain, here)
    return classes


def _most_probable(probs: Tensor, among: list[int]) -> Labels:
    numbers = torch.tensor(among, dtype=torch.uint8, device=probs.device)
    return numbers[probs2class(probs[among].unsqueeze(0))[0]]


def _ratios(probs: Tensor, classes: Labels, masses: dict[int, float], of: dict[int, _Ratio]) -> dict[int, _Ratio]:
    return {k: _Ratio.of(probs[k], classes == k, masses[k]) for k in of}


def _mean(ratios: dict[int, _Ratio]) -> float:
    return sum(ratio.value for ratio in ratios.values()) / max(len(ratios), 1)
