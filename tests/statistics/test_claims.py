"""What is claimed of two rows, and what is refused."""

import math
from pathlib import Path

import numpy as np
import pytest
from toyruns import write_row

from boundary_loss.files import write_json
from boundary_loss.statistics.claims import OF_NETWORKS, Statistics, compare
from boundary_loss.statistics.comparison import Comparison, find_runs
from boundary_loss.statistics.patients import by_patient

RNG = np.random.default_rng
DICE, HD95 = "val_3d_dsc", "val_3d_hd95"


def statistics_of(*runs: Path, metric: str = DICE, **options: object) -> Statistics:
    return compare([Comparison.of(metric, find_runs(runs))], **options)  # type: ignore[arg-type]


def test_a_shifted_run_is_found_and_said_plainly(tmp_path: Path) -> None:
    base = RNG(0).uniform(10, 30, 20)
    gdl = write_row(tmp_path, "gdl", base, metric=HD95)
    steal = write_row(tmp_path, "gdl_surface_steal", base - 3.1 + RNG(1).normal(0, 2, 20), metric=HD95)
    found = statistics_of(gdl, steal, metric=HD95)
    (best,) = found.at("best")
    assert (best.shown, best.ahead, best.n, best.p_holm) == (True, "gdl_surface_steal", 20, 2 * best.p)
    assert best.better is None  # one training a row says nothing of losses
    assert best.low < 3.1 < best.high and best.effect > 0.8
    assert best.sentence == (
        f"The network of gdl_surface_steal is better than that of gdl in HD95 by {best.gain:.2f} mm [{best.low:.2f}, "
        f"{best.high:.2f}], 20 patients, p < 0.001: these two networks; another seed may turn it (SEEDS='0 1 2')."
    )
    assert found.sentences("best") == [best.sentence]
    assert found.get(HD95, "lesion", "best", "gdl", "gdl_surface_steal") is best
    assert OF_NETWORKS in found.method and "all 2 comparisons" in found.method


def test_a_tiny_difference_is_not_said_to_be_zero(tmp_path: Path) -> None:
    base = RNG(0).uniform(0.4, 0.8, 20)
    rows = [write_row(tmp_path, "a", base), write_row(tmp_path, "b", base + RNG(1).uniform(1e-5, 1e-4, 20))]
    (best,) = statistics_of(*rows).at("best")
    size = f"{best.gain:.6f}"
    assert (
        float(size) == pytest.approx(5e-5, rel=0.5)
        and f"better than that of a in Dice by {size} [0.0000" in best.sentence
    )


def test_it_does_not_matter_which_row_comes_first(tmp_path: Path) -> None:
    base = RNG(0).uniform(0.4, 0.8, 12)
    good, bad = write_row(tmp_path, "a", base + 0.1), write_row(tmp_path, "b", base)
    one, other = (statistics_of(*pair).at("best")[0] for pair in ((good, bad), (bad, good)))
    assert one.shown and one.ahead == other.ahead == "a" and one.sentence == other.sentence
    assert one.gain == pytest.approx(-other.gain)


def test_identical_runs_differ_in_nothing(tmp_path: Path) -> None:
    base = RNG(0).uniform(0, 1, 20)
    found = statistics_of(write_row(tmp_path, "a", base), write_row(tmp_path, "b", base)).at("best")[0]
    assert not found.shown and found.p == 1 and (found.low, found.high) == (0, 0)
    assert found.sentence == "Between b and a nothing can be concluded in Dice: all 20 patients are equal."


@pytest.mark.parametrize(
    ("n", "says"),
    [(1, "1 patient is too few"), (3, "3 patients are too few, at least 6 that differ are needed"), (5, "too few")],
)
def test_too_few_cases_are_refused_however_large_the_difference(tmp_path: Path, n: int, says: str) -> None:
    found = statistics_of(write_row(tmp_path, "a", np.zeros(n)), write_row(tmp_path, "b", np.linspace(0.5, 1, n)))
    assert all(not d.shown and says in d.sentence for d in found.differences)


def test_a_reason_that_all_share_is_said_once(tmp_path: Path) -> None:
    found = statistics_of(*(write_row(tmp_path, name, RNG(i).uniform(size=3)) for i, name in enumerate("abc")))
    (said,) = found.sentences("best")
    assert said == (
        "Nothing can be concluded in any of the 3 comparisons: "
        "3 patients are too few, at least 6 that differ are needed."
    )


def test_ties_do_not_count_as_cases(tmp_path: Path) -> None:
    values = np.zeros(20)
    values[:4] = 0.5
    found = statistics_of(write_row(tmp_path, "a", np.zeros(20)), write_row(tmp_path, "b", values)).at("best")[0]
    assert "20 patients, of whom 4 differ, are too few" in found.sentence


def test_too_many_comparisons_for_the_cases_are_said(tmp_path: Path) -> None:
    base = np.linspace(0.3, 0.6, 7)
    runs = [write_row(tmp_path, name, base + 0.05 * i) for i, name in enumerate("abcd")]
    found = statistics_of(*runs)
    assert found.family == 12 and not any(d.shown for d in found.differences)
    assert "after Holm's correction for 12 comparisons, too many for 7 patients" in found.differences[0].sentence
    narrowed = statistics_of(*runs[:2])
    assert narrowed.at("best")[0].shown


def test_the_baseline_narrows_the_family(tmp_path: Path) -> None:
    base = RNG(0).uniform(0.3, 0.6, 10)
    runs = [write_row(tmp_path, name, base + 0.02 * i) for i, name in enumerate("abc")]
    found = statistics_of(*runs, baseline="b")
    assert {(d.first, d.second) for d in found.differences} == {("a", "b"), ("c", "b")}
    with pytest.raises(ValueError, match="no run is called 'z'; there are a, b, c"):
        statistics_of(*runs, baseline="z")


def test_a_mean_that_a_few_cases_carry_is_not_enough(tmp_path: Path) -> None:
    gains = np.full(20, 0.01)
    gains[:3] = -0.5  # 17 of 20 are a little better, three much worse
    found = statistics_of(write_row(tmp_path, "a", np.full(20, 0.6)), write_row(tmp_path, "b", 0.6 + gains))
    assert not any(d.shown for d in found.differences)


def test_nan_leaves_a_case_out_and_is_said(tmp_path: Path) -> None:
    base = RNG(0).uniform(0.4, 0.8, 12)
    other = base + 0.1
    other[[2, 5]] = np.nan
    found = statistics_of(write_row(tmp_path, "a", base), write_row(tmp_path, "b", other)).at("best")[0]
    assert (found.n, found.of) == (10, 12) and "10 of 12 patients" in found.sentence
    nothing = statistics_of(write_row(tmp_path, "a", base), write_row(tmp_path, "c", np.full(12, np.nan)))
    assert "c has no last epoch yet" in nothing.at("last")[0].sentence
    assert "no patient was measured in both" in nothing.at("best")[0].sentence
    assert nothing.family == 0 and math.isnan(nothing.differences[0].p_holm)


def test_cases_pair_by_name_and_other_cases_are_refused(tmp_path: Path) -> None:
    names = [f"case_{i}" for i in range(8)]
    base = RNG(0).uniform(0.2, 0.9, 8)
    first = write_row(tmp_path, "a", base, volumes=names)
    order = RNG(1).permutation(8)
    shuffled = write_row(tmp_path, "b", base[order] + 0.1, volumes=[names[i] for i in order])
    found = statistics_of(first, shuffled).at("best")[0]
    assert found.gain == pytest.approx(0.1, abs=1e-6) and found.high - found.low < 1e-6
    other = write_row(tmp_path, "c", base, volumes=[*names[:5], "x", "y", "z"])
    refused = statistics_of(first, other).at("best")[0]
    assert not refused.shown
    assert "they were validated on different patients (8 of c, 8 of a, 5 of both)" in refused.sentence


def test_two_volumes_of_a_patient_are_one_case(tmp_path: Path) -> None:
    volumes = [f"patient{i}_{frame}" for i in range(4) for frame in ("01", "02")]
    patients = [volume.split("_")[0] for volume in volumes]
    base = RNG(0).uniform(0.4, 0.8, 8)
    runs = [
        write_row(tmp_path, name, base + 0.1 * i, volumes=volumes, patients=patients) for i, name in enumerate("ab")
    ]
    found = statistics_of(*runs).at("best")[0]
    assert (found.n, found.cases, found.shown) == (4, 8, False)  # eight volumes would have been enough
    (measured, _) = Comparison.of(DICE, find_runs(runs)).runs
    own = by_patient(measured, "lesion", "best")
    assert own.names[1] == "patient1" and own.values[0, 1] == pytest.approx(base[2:4].mean(), abs=1e-6)
    assert "4 patients are too few" in found.sentence


def seeded(folder: Path, gains: dict[str, list[float]], n: int = 20) -> list[Path]:
    """Rows whose seeds are better than a common base by these gains, with a little noise on each patient."""
    base, rng = RNG(0).uniform(0.4, 0.7, n), RNG(1)
    return [
        write_row(folder, f"{row}/seed{seed}", base + gain + rng.normal(0, 0.01, n))
        for row, own in gains.items()
        for seed, gain in enumerate(own)
    ]


def test_three_seeds_allow_a_claim_about_losses(tmp_path: Path) -> None:
    found = statistics_of(*seeded(tmp_path, {"a": [0.0, 0.01, -0.01], "b": [0.1, 0.11, 0.09]}))
    (best,) = found.at("best")
    assert (best.n, best.better, best.seeds, best.networks) == (20, "b", (3, 3), 6)
    assert best.gain == pytest.approx(0.1, abs=0.005) and best.low < 0.09 and best.high > 0.11
    assert best.sentence == (
        f"b is better than a in Dice by {best.gain:.3f} [{best.low:.3f}, {best.high:.3f}], 20 patients, 3 seeds, "
        "p < 0.001."
    )
    assert OF_NETWORKS not in found.method


def test_two_seeds_speak_of_networks(tmp_path: Path) -> None:
    (best,) = statistics_of(*seeded(tmp_path, {"a": [0.0, 0.01], "b": [0.1, 0.11]})).at("best")
    assert best.shown and best.better is None
    assert "20 patients, 2 seeds, p < 0.001: these 4 networks; other seeds may turn it (SEEDS='0 1 2')" in best.sentence


def test_patients_that_agree_show_nothing_where_seeds_do_not(tmp_path: Path) -> None:
    (best,) = statistics_of(*seeded(tmp_path, {"a": [0.0, 0.08, 0.01], "b": [0.1, 0.02, 0.12]})).at("best")
    assert best.effect == 1 and not best.shown and best.low < 0 < best.high


def test_rows_may_have_different_numbers_of_seeds(tmp_path: Path) -> None:
    (best,) = statistics_of(*seeded(tmp_path, {"a": [0.0, 0.01, -0.01, 0.0], "b": [0.1, 0.11, 0.09]})).at("best")
    assert best.better == "b" and "20 patients, 3 and 4 seeds" in best.sentence


def test_volumes_are_counted_beside_the_patients(tmp_path: Path) -> None:
    volumes = [f"patient{i}_{frame}" for i in range(8) for frame in ("01", "02")]
    patients = [volume.split("_")[0] for volume in volumes]
    base = RNG(0).uniform(0.4, 0.8, 16)
    runs = [
        write_row(tmp_path, name, base + 0.1 * i, volumes=volumes, patients=patients) for i, name in enumerate("ab")
    ]
    assert "8 patients (16 volumes), p = " in statistics_of(*runs).at("best")[0].sentence


def test_other_settings_are_named_beside_the_claim(tmp_path: Path) -> None:
    runs = seeded(tmp_path, {"a": [0.0, 0.01, -0.01], "b": [0.1, 0.11, 0.09]})
    for i, run in enumerate(runs):
        changed = {"learning_rate": 0.01, "amp": "bf16"} if i > 2 else {"learning_rate": 0.001, "amp": "off"}
        write_json(run / "run.json", {"study": "toy", "epochs": 1} | changed)
    (best,) = statistics_of(*runs).at("best")
    assert best.better == "b" and best.sentence.endswith("; they differ in learning rate and precision (AMP) too.")


def test_folds_are_joined(tmp_path: Path) -> None:
    base = RNG(0).uniform(0.4, 0.7, 10)
    runs = []
    for name, gain in (("a", 0.0), ("b", 0.1)):
        for fold in (0, 1):
            own = slice(5 * fold, 5 * fold + 5)
            names = [f"case_{i}" for i in range(10)][own]
            runs.append(write_row(tmp_path, f"{name}/fold{fold}", base[own] + gain, volumes=names))
    (best,) = statistics_of(*runs).at("best")
    assert (best.n, best.ahead, best.shown, best.networks) == (10, "b", True, 4)
    assert "The networks of b are better than those of a" in best.sentence and "these 4 networks" in best.sentence
    twice = [write_row(tmp_path, f"c/fold{fold}", base) for fold in (0, 1)]
    assert (
        "held out in several folds of c" in statistics_of(*runs, *twice).get(DICE, "lesion", "best", "a", "c").why_not
    )  # type: ignore[union-attr]


def test_the_best_and_the_last_epoch_are_compared_each(tmp_path: Path) -> None:
    base = RNG(0).uniform(0.4, 0.7, 10)
    runs = [write_row(tmp_path, "a", np.stack([base, base])), write_row(tmp_path, "b", np.stack([base + 0.1, base]))]
    found = statistics_of(*runs)
    assert found.at("best")[0].shown
    assert found.at("last")[0].why_not == "all 10 patients are equal"


def test_slices_are_averaged_by_patient(tmp_path: Path) -> None:
    run = write_row(tmp_path, "a", np.array([0.2, 0.4, 0.9]), metric="val_dice")
    names = {"volumes": ["p", "q"], "val": ["p_00_0000", "p_00_0001", "q_00_0000"], "classes": ["background", "lesion"]}
    write_json(run / "rows.json", names)
    (measured,) = Comparison.of("val_dice", find_runs([run])).runs
    own = by_patient(measured, "lesion", "best")
    assert own.names == ("p", "q") and own.values[0] == pytest.approx([0.3, 0.9]) and list(own.cases) == [2, 1]


def test_what_cannot_be_tested_is_refused(tmp_path: Path) -> None:
    run = write_row(tmp_path, "a", np.zeros(3))
    with pytest.raises(ValueError, match="tra_loss cannot be tested"):
        statistics_of(run, tested=["tra_loss"])
    with pytest.raises(ValueError, match="unknown metric 'dice'"):
        statistics_of(run, tested=["dice"])
    with pytest.raises(ValueError, match="alpha is a chance between 0 and 1"):
        statistics_of(run, alpha=5)
    assert statistics_of(run).differences == ()


def test_false_claims_are_as_rare_as_alpha(tmp_path: Path) -> None:
    rng = RNG(0)
    claims = 0
    for _ in range(60):
        base = rng.uniform(0.4, 0.7, 15)
        runs = [write_row(tmp_path, name, base + rng.normal(0, 0.05, 15)) for name in "abc"]
        claims += any(d.shown for d in statistics_of(*runs).differences)
    assert claims <= 7  # of 60 studies at alpha 0.05: 3 are expected, more than 7 in 1 of 100
