"""BraTS and LiTS as they are laid out: what is read of them, and what of bad input is told, all at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from niftis import turned
from toys import load_study

from boundary_loss.folders.whole import WholeFolder
from boundary_loss.preparation import engine
from boundary_loss.preparation.layout import find_new_cases
from boundary_loss.volumes import write_volume

SHAPE = (10, 12, 6)
AFFINE = turned((1.0, 1.0, 1.0))
MODALITIES = ("flair", "t1", "t1ce", "t2")

Run = Callable[..., WholeFolder]


def labels_of(values: tuple[int, ...]) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:8, 3:9, 1:4] = values[0]
    labels[4:6, 4:6, 2] = values[-1]
    return labels


def write_brats(source: Path, *, cases: int = 4) -> Path:
    rng = np.random.default_rng(0)
    for number in range(1, cases + 1):
        name = f"BraTS20_Training_{number:03d}"
        for modality in MODALITIES:
            write_volume(
                source / name / f"{name}_{modality}.nii.gz", rng.integers(0, 900, SHAPE).astype(np.int16), AFFINE
            )
        write_volume(source / name / f"{name}_seg.nii.gz", labels_of((2, 1, 4)), AFFINE)
    return source


def write_lits(source: Path, numbers: tuple[int, ...] = (4, 9, 10, 100)) -> Path:
    """Cases with as many slices as their number says, at least 5; the name says which is which."""
    for number in numbers:
        depth = 5 + number % 7
        image = np.random.default_rng(number).integers(-1000, 1000, (9, 9, depth)).astype(np.int16)
        labels = np.zeros(image.shape, np.uint8)
        labels[2:6, 2:7, 1:3], labels[3, 3, 1] = 1, 2
        write_volume(source / "input" / f"volume-{number}.nii", image, AFFINE)
        write_volume(source / "segmentation" / f"segmentation-{number}.nii", labels, AFFINE)
    return source


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., WholeFolder]:
    def run(study: str, source: Path, *options: str, to: str = "PREPARED") -> WholeFolder:
        words = [str(tmp_path / to), "--source", str(source), "--retain", "1", "--workers", "1", *options]
        engine.main(load_study(study), words)
        return WholeFolder.open(tmp_path / to)

    return run


def test_brats_is_the_whole_tumour_in_four_modalities(tmp_path: Path, prepare: Run) -> None:
    folder = prepare("brats", write_brats(tmp_path / "brats" / "MICCAI_BraTS2020_TrainingData"))
    assert folder.modalities == list(MODALITIES) and folder.classes == ["background", "tumour"]
    for which in ("train", "val"):
        for case in folder.cases(which):
            np.testing.assert_array_equal(folder.truth(case), labels_of((2, 1, 4)) > 0)
            for modality in MODALITIES:
                seen = folder.scale(case, modality)(folder.volume(case, modality).astype(np.float64))
                np.testing.assert_allclose((seen.mean(), seen.std()), (0, 1), atol=1e-9)


def test_brats_without_some_modalities(tmp_path: Path, prepare: Run) -> None:
    source = write_brats(tmp_path / "brats")
    for path in source.glob("*/*_t1.nii.gz"):
        path.unlink()
    with pytest.raises(ValueError, match="PREPARE='--modalities flair t1ce t2' does without"):
        prepare("brats", source)
    folder = prepare("brats", source, "--modalities", "t2", "flair")
    assert folder.modalities == ["flair", "t2"], "in the study's order, whatever the user's"
    case = folder.cases("train")[0]
    assert folder.scale(case, "t2") != folder.scale(case, "flair")
    new = find_new_cases(source, folder.preparation["layout"])
    assert [files.found[0].name for files in new[0].images] == [
        f"{new[0].volume}_{name}.nii.gz" for name in ("flair", "t2")
    ]


def test_the_labels_of_brats_that_have_another_name(tmp_path: Path, prepare: Run) -> None:
    source = write_brats(tmp_path / "brats")
    case = source / "BraTS20_Training_003"
    (case / f"{case.name}_seg.nii.gz").rename(case / "W39_1998.09.19_Segm.nii.gz")
    new = source / "BraTS20_Validation_001"
    write_volume(new / f"{new.name}_t1.nii.gz", np.ones(SHAPE, np.int16), AFFINE)
    assert len(prepare("brats", source).content["cases"]) == 4


def test_lits_is_paired_by_number(tmp_path: Path, prepare: Run) -> None:
    folder = prepare("lits", write_lits(tmp_path / "lits"))
    assert set(folder.content["cases"]) == {"volume-4", "volume-9", "volume-10", "volume-100"}
    depths = {case: entry["shape"][2] for case, entry in folder.content["cases"].items()}
    assert depths == {f"volume-{number}": 5 + number % 7 for number in (4, 9, 10, 100)}
    assert all(folder.truth(case)[3, 3, 1] == 1 for case in depths)
    window = prepare("lits", tmp_path / "lits", "--normalise", "window(-200,250)", to="WINDOW")
    for case in depths:
        image = window.volume(case, "ct").astype(np.float64)
        np.testing.assert_allclose(window.scale(case, "ct")(image), ((image + 200) / 450).clip(0, 1))
    new = find_new_cases(tmp_path / "lits" / "input", folder.preparation["layout"])
    assert sorted(case.volume for case in new) == sorted(depths)


def damage(source: Path) -> Any:
    one, two, three = (source / f"BraTS20_Training_{number:03d}" for number in (1, 2, 3))
    (one / f"{one.name}_t2.nii.gz").unlink()
    write_volume(two / f"{two.name}_seg.nii.gz", labels_of((2, 3)), AFFINE)
    write_volume(three / f"{three.name}_t1.nii.gz", np.arange(9 * 12 * 6, dtype=np.int16).reshape(9, 12, 6), AFFINE)


def test_bad_input_is_told_in_a_line_each_at_once(
    tmp_path: Path, prepare: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_brats(tmp_path / "brats")
    damage(source)
    empty = source / "BraTS20_Training_004"
    write_volume(empty / f"{empty.name}_seg.nii.gz", np.zeros(SHAPE, np.uint8), AFFINE)
    with pytest.raises(ValueError) as error:
        prepare("brats", source)
    first, *lines = str(error.value).splitlines()
    assert first.startswith("3 faults in the brats data; nothing was written") and len(lines) == 3
    for line, (case, text) in zip(
        lines, (("001", "(t2): missing"), ("002", "unexpected label 3"), ("003", "shape (9, 12, 6), but (10, 12, 6)"))
    ):
        assert line.strip().startswith(f"BraTS20_Training_{case}: ") and text in line
    assert "BraTS20_Training_004: the labels are background alone" in capsys.readouterr().out
    assert not (tmp_path / "PREPARED").exists()


def test_lits_without_a_partner_or_with_two(tmp_path: Path, prepare: Run) -> None:
    source = write_lits(tmp_path / "lits")
    (source / "segmentation" / "segmentation-9.nii").unlink()
    write_volume(source / "more" / "volume-10.nii", np.ones((9, 9, 8), np.int16), AFFINE)
    with pytest.raises(ValueError, match="2 faults") as error:
        prepare("lits", source)
    assert "segmentation-9.nii* (gt): missing" in str(error.value)
    assert "volume-10.nii* (ct): 2 files instead of one" in str(error.value)
