"""How often a report claims a difference between losses that is not there, and how often it finds one that is.

    PYTHONPATH=src python benchmarks/claims.py

Studies are simulated: rows of trainings that are all of the same loss, or of which one is truly better. A patient's
score is made of how hard the patient is, how the loss suits the patient (standard deviation 0.5), how the network
turned out (its seed) and how this network happens to do on this patient (0.5), all in log-odds of Dice; Dice itself is
then skewed, as real ones are, and HD95 falls with it, with a long tail. At its best epoch a network is what it is at
its last, and a little else. A study has 4 rows, 2 metrics and 2 choices of epoch: 24 comparisons, corrected by Holm.
"""

import argparse
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np

from boundary_loss.statistics.paired import holm, signed_rank
from boundary_loss.statistics.seeded import seeded_gain

ROWS, FIT, RESIDUAL, EPOCH = 4, 0.5, 0.5, 0.2
ALPHA = 0.05
SETTINGS = (
    *((3, n, ratio, "normal") for n in (6, 20, 50) for ratio in (0, 0.3, 1, 3)),
    *((3, 20, 1, kind) for kind in ("skewed", "unequal")),
    *((5, 20, ratio, "normal") for ratio in (0, 0.3, 1, 3)),
)
"""Seeds, patients, the spread over seeds in units of FIT, and the seeds' distribution."""


def study(rng: np.random.Generator, seeds: int, n: int, ratio: float, effect: float, kind: str) -> np.ndarray:
    """(4 measures, rows, S, N): Dice and HD95, at the last and the best epoch; higher is better.

    ``effect``: how much better the last row is, in log-odds.
    """
    networks = {
        "normal": lambda: rng.normal(0, 1, (ROWS, seeds, 1)),
        "skewed": lambda: 1 - rng.exponential(1, (ROWS, seeds, 1)),
        "unequal": lambda: rng.normal(0, 1, (ROWS, seeds, 1)) * np.array([2, 0.2, 0.2, 0.2])[:, None, None],
    }[kind]()
    odds = rng.normal(0.8, 1.2, (1, 1, n)) + FIT * (rng.normal(0, 1, (ROWS, 1, n)) + ratio * networks)
    odds = odds + RESIDUAL * rng.normal(0, 1, (ROWS, seeds, n))
    odds[-1] += effect
    best = odds + EPOCH * rng.normal(0, 1, (ROWS, seeds, 1)) + EPOCH * rng.normal(0, 1, odds.shape)
    return np.stack([measure for z in (odds, best) for measure in (1 / (1 + np.exp(-z)), -20 * np.exp(-z / 2))])


def both_levels(a: np.ndarray, b: np.ndarray) -> float:
    """The p-value that the report uses; 1 above ALPHA, where the exact one decides nothing."""
    folds = np.zeros(a.shape[1])
    found = seeded_gain(a, b, folds, folds)
    low, high = found.interval(1 - ALPHA)
    return 1.0 if low <= 0 <= high else found.p


def patients_alone(a: np.ndarray, b: np.ndarray) -> float:
    """Wilcoxon's test of seeds that were averaged."""
    return signed_rank(a.mean(axis=0) - b.mean(axis=0)).p


def claims(values: np.ndarray, test: Callable[[np.ndarray, np.ndarray], float]) -> list[bool]:
    """Which of the comparisons are claimed after Holm's correction: for each measure each pair of rows."""
    pairs = list(combinations(range(values.shape[1]), 2))
    return [p <= ALPHA for p in holm([test(measure[b], measure[a]) for measure in values for a, b in pairs])]


def bootstrap_claims(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, resamples: int = 400) -> bool:
    """Whether the percentile interval of a bootstrap over seeds and patients leaves out 0, without correction."""
    seeds, n = a.shape
    of_patients = rng.multinomial(n, [1 / n] * n, resamples) / n
    means = [
        np.einsum("bs,sn,bn->b", rng.multinomial(seeds, [1 / seeds] * seeds, resamples) / seeds, row, of_patients)
        for row in (a, b)
    ]
    low, high = np.quantile(means[0] - means[1], [ALPHA / 2, 1 - ALPHA / 2])
    return not low <= 0 <= high


def rates(seeds: int, n: int, ratio: float, kind: str, studies: int, effect: float) -> list[float]:
    """Shares of the studies: the table's columns after the first three."""
    rng = np.random.default_rng([seeds, n, round(10 * ratio), len(kind)])
    found = []
    for _ in range(studies):
        null, real = study(rng, seeds, n, ratio, 0, kind), study(rng, seeds, n, ratio, effect, kind)
        found.append([
            any(claims(null, patients_alone)), bootstrap_claims(null[0, 0], null[0, 1], rng),
            any(claims(null, both_levels)), claims(real, both_levels)[2], claims(real[:, [0, -1]], both_levels)[0],
        ])  # fmt: skip
    return list(np.mean(found, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=200, help="simulated of each kind")
    parser.add_argument("--effect", type=float, default=1.5, help="of the better row, log-odds of Dice")
    args = parser.parse_args()
    began = time.perf_counter()
    print("| seeds | patients | spread over seeds | any false claim: patients alone | naive bootstrap, one comparison "
          "| both levels | found: of 4 rows | of 2 rows |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for seeds, n, ratio, kind in SETTINGS:
        shares = rates(seeds, n, ratio, kind, args.studies, args.effect)
        words = f"{ratio:g}" + (f", {kind}" if kind != "normal" else "")
        print(f"| {seeds} | {n} | {words} | " + " | ".join(f"{100 * s:.0f} %" for s in shares) + " |", flush=True)
    print(f"\n{args.studies} studies a line, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
