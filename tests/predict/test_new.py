"""A trained network on new cases, as a user runs it."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from niftis import ACDC, PLACES, blob, save_nifti, turned, world
from torch import nn
from toys import Threshold

from boundary_loss.command import Stop
from boundary_loss.inference.decision import dice_optimal
from boundary_loss.networks import build_network
from boundary_loss.predict import new
from boundary_loss.predict.inference import Predictor
from boundary_loss.predict.new import Trained
from boundary_loss.preparation.shown import Preparation, prepare_images
from boundary_loss.training.weights import Weights, save_weights
from boundary_loss.volumes import PLACEMENT, read_volume, write_volume

SHAPE = (13, 18, 5)
ROTATED = PLACES["rotated"]
LAYOUT = {"ct": "<*>/ct.nii", "mtt": "<*>/mtt.nii"}


def write_weights(
    path: Path, *, net: str = "toys:Threshold", seed: int = 0, trained: nn.Module | None = None, **changed: Any
) -> Path:
    """Of a network that finds what is brighter than half in the last channel."""
    torch.manual_seed(seed)
    prepared = {"shape": None, "pictures": False, "label_values": (0, 1), "layout": LAYOUT, "orientations": ("RAS",)}
    prepared |= {name: changed.pop(name) for name in tuple(changed) if name in prepared}
    about = {"network": net, "in_channels": 2, "num_classes": 2, "epoch": 3, "temperature": 1.0}
    about |= {"modalities": ["ct", "mtt"], "classes": ["background", "lesion"]}
    about["preparation"] = Preparation(**prepared).as_json()  # type: ignore[arg-type]
    network = Threshold(2, 2)
    network.weight.data += seed
    save_weights(path, trained or network, about | changed)
    return path


def write_case(folder: Path, place: dict = ROTATED, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """Two modalities; the blob is bright in the second. Returns the blob."""
    rng = np.random.default_rng(seed)
    save_nifti(folder / "ct.nii", rng.integers(0, 400, shape).astype(np.int16), **place)
    bright = 20.0 * rng.random(shape) + 100.0 * blob(shape)
    save_nifti(folder / "mtt.nii", bright, **place)
    return blob(shape)


@pytest.fixture
def toy(tmp_path: Path, run_predict: Callable[..., None]) -> SimpleNamespace:
    """Three cases in a folder, weights, and the command on both."""
    weights = write_weights(tmp_path / "best.pkl")
    for number in (1, 2, 3):
        write_case(tmp_path / "cases" / f"case_{number}", seed=number)

    def run(*options: object, source: bool = True) -> Path:
        words = ["--source", tmp_path / "cases"] if source else []
        words += ["--weights", weights, "--trust_network", "--device", "cpu", *options]
        run_predict(tmp_path / "out", *words)
        return tmp_path / "out"

    return SimpleNamespace(run=run, cases=tmp_path / "cases", weights=weights, out=tmp_path / "out")


def labels(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path, mmap=False).dataobj)


def test_the_object_is_found_where_it_is(tmp_path: Path, place: dict, run_predict: Callable[..., None]) -> None:
    source = write_case(tmp_path / "cases" / "A", place)
    save_nifti(tmp_path / "truth.nii", source, **place)
    weights = write_weights(tmp_path / "best.pkl")
    run_predict(tmp_path / "out", "--weights", weights, "--source", tmp_path / "cases", "--trust_network")
    np.testing.assert_array_equal(labels(tmp_path / "out" / "A.nii.gz"), source)
    np.testing.assert_array_equal(world(tmp_path / "out" / "A.nii.gz"), world(tmp_path / "truth.nii"))
    written, read = nib.load(tmp_path / "out" / "A.nii.gz").header, nib.load(tmp_path / "cases/A/ct.nii").header
    for field in PLACEMENT:
        np.testing.assert_array_equal(written[field], read[field], err_msg=field)


def test_a_case_in_nrrd_is_answered_in_nrrd(
    tmp_path: Path, run_predict: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the header of its first modality, to the letter but for how voxels are stored."""
    pytest.importorskip("nrrd")
    source = write_case(tmp_path / "nifti")
    for name in ("ct", "mtt"):
        volume = read_volume(tmp_path / f"nifti/{name}.nii")
        write_volume(tmp_path / f"cases/A/{name}.nrrd", volume.array, volume.affine)
    path = tmp_path / "cases/A/ct.nrrd"
    path.write_bytes(path.read_bytes().replace(b"kinds:", b"# of a scanner\nname:=A: 7\nkinds:"))
    weights = write_weights(tmp_path / "best.pkl", layout={"ct": "<*>/ct.nrrd", "mtt": "<*>/mtt.nrrd"})
    words = ("--weights", weights, "--source", tmp_path / "cases", "--trust_network", "--softmax")
    run_predict(tmp_path / "out", *words)
    found = read_volume(tmp_path / "out/A.nrrd")
    np.testing.assert_array_equal(found.array, source)
    np.testing.assert_allclose(found.affine, read_volume(tmp_path / "nifti/ct.nii").affine, atol=1e-4)
    ours, theirs = ((file.read_bytes().partition(b"\n\n")[0].split(b"\n")) for file in (tmp_path / "out/A.nrrd", path))
    assert [line for line in ours if line not in theirs] == [b"type: uint8"]
    assert set(theirs) - set(ours) == {b"type: int16", b"endian: little"}
    assert len(list((tmp_path / "out/softmax").glob("A_*.nrrd"))) == 2
    capsys.readouterr()
    run_predict(tmp_path / "out", *words)
    assert "out is complete: 1 case" in capsys.readouterr().out


@pytest.mark.parametrize("pictures", [False, True])
def test_resized_and_as_pictures(tmp_path: Path, pictures: bool, run_predict: Callable[..., None]) -> None:
    source = write_case(tmp_path / "cases" / "A")
    weights = write_weights(tmp_path / "best.pkl", shape=(26, 36), pictures=pictures, label_values=(0, 85))
    words = ("--weights", weights, "--source", tmp_path / "cases", "--trust_network", "--softmax", "--batch_size", 2)
    run_predict(tmp_path / "out", *words)
    found = labels(tmp_path / "out" / "A.nii.gz")
    assert found.shape == SHAPE and set(np.unique(found)) == {0, 85}
    assert (found // 85 == source).mean() > 0.97  # interpolated images blur the border by a voxel
    inside = np.argwhere(source)
    assert (found[tuple(inside.T)] > 0).mean() > 0.9


def test_probabilities_beside_the_labels(toy: SimpleNamespace) -> None:
    out = toy.run("--softmax")
    assert sorted(path.name for path in out.iterdir()) == [
        "arguments.txt", "case_1.nii.gz", "case_2.nii.gz", "case_3.nii.gz", "predictions.json", "softmax",
    ]  # fmt: skip
    for number in (1, 2, 3):
        names = [f"case_{number}_{k}_{name}.nii.gz" for k, name in enumerate(("background", "lesion"))]
        maps = [labels(out / "softmax" / name) for name in names]
        assert all(each.dtype == np.float32 and each.shape == SHAPE for each in maps)
        np.testing.assert_allclose(sum(maps), 1, atol=1e-6)
        np.testing.assert_array_equal(maps[1] > maps[0], labels(out / f"case_{number}.nii.gz") == 1)


def test_the_largest_piece_alone_is_kept_where_that_is_asked_for(toy: SimpleNamespace) -> None:
    mtt = toy.cases / "case_1" / "mtt.nii"
    volume = labels(mtt).copy()
    volume[0, -2:, -1] = 120
    save_nifti(mtt, volume, **ROTATED)
    both = labels(toy.run() / "case_1.nii.gz")
    kept = labels(toy.run("--largest", "--softmax", "--fresh") / "case_1.nii.gz")
    assert both[0, -2:, -1].all() and not kept[0, -2:, -1].any()
    assert both.sum() == kept.sum() + 2 and kept.sum() > 2
    probs = labels(next((toy.out / "softmax").glob("case_1_1_*")))
    assert np.array_equal(probs > 0.5, both)  # as the network has them


def test_classes_of_the_best_expected_dice_are_decided_in_the_whole_case(toy: SimpleNamespace) -> None:
    write_weights(toy.weights, temperature=40.0)  # probabilities between 0.3 and 0.7
    plain = labels(toy.run("--softmax") / "case_1.nii.gz")
    probs = torch.from_numpy(np.stack([labels(next((toy.out / "softmax").glob(f"case_1_{k}_*"))) for k in (0, 1)]))
    decided = labels(toy.run("--decision", "dice", "--fresh") / "case_1.nii.gz")
    assert np.array_equal(decided, dice_optimal(probs).numpy()) and not np.array_equal(decided, plain)


def test_the_batch_size_does_not_matter() -> None:
    images = np.random.default_rng(0).random((2, 11, 9, 7)).astype(np.float32)
    options = {"num_classes": 2, "temperature": 2.0, "device": torch.device("cpu"), "softmax": True}
    whole, single = (Predictor(net=Threshold(2, 2), batch_size=size, **options)(images) for size in (7, 1))  # type: ignore[arg-type]
    np.testing.assert_array_equal(whole.classes, single.classes)
    np.testing.assert_allclose(whole.probs, single.probs, atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_gpu_says_the_same() -> None:
    images = np.random.default_rng(0).random((2, 33, 29, 7)).astype(np.float32)
    options = {"num_classes": 2, "temperature": 1.0, "batch_size": 3, "softmax": True}
    cpu, gpu = (
        Predictor(net=Threshold(2, 2).to(name), device=torch.device(name), **options)(images)  # type: ignore[arg-type]
        for name in ("cpu", "cuda")
    )
    np.testing.assert_array_equal(cpu.classes, gpu.classes)
    np.testing.assert_allclose(cpu.probs, gpu.probs, atol=1e-5)  # type: ignore[arg-type]


def test_a_killed_attempt_goes_on_where_it_was_left(toy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    predict_case = new.predict_case

    def dying(folder: Path, case: Any, *rest: Any) -> str:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(case.volume)
        return predict_case(folder, case, *rest)

    monkeypatch.setattr(new, "predict_case", dying)
    with pytest.raises(KeyboardInterrupt):
        toy.run()
    assert not toy.out.exists() and done == ["case_1", "case_2"]
    done.clear()
    toy.run()
    assert done == ["case_3"]
    assert len(list(toy.out.glob("*.nii.gz"))) == 3
    assert sorted(path.name for path in toy.out.parent.iterdir()) == ["best.pkl", "cases", "out"]


def test_what_is_there_is_not_made_twice_and_new_cases_are_added(
    toy: SimpleNamespace, capsys: pytest.CaptureFixture
) -> None:
    toy.run()
    before = {path.name: path.stat().st_mtime_ns for path in toy.out.iterdir()}
    toy.run()
    assert "is complete: 3 cases" in capsys.readouterr().out
    write_case(toy.cases / "case_4")
    toy.run()
    assert "3 of 4 cases are there already" in capsys.readouterr().out
    after = {path.name: path.stat().st_mtime_ns for path in toy.out.iterdir()}
    assert {name: after[name] for name in before} == before and "case_4.nii.gz" in after
    assert [path.name for path in toy.out.parent.glob("out*")] == ["out"]


def test_a_fault_in_a_new_case_leaves_the_others_where_they_are(toy: SimpleNamespace) -> None:
    toy.run()
    write_case(toy.cases / "case_4")
    (toy.cases / "case_4" / "mtt.nii").unlink()
    with pytest.raises(ValueError, match="case_4"):
        toy.run()
    assert len(list(toy.out.glob("*.nii.gz"))) == 3


def test_other_weights_or_settings_are_said(toy: SimpleNamespace) -> None:
    toy.run()
    with pytest.raises(Stop, match="softmax: made with not given, now yes"):
        toy.run("--softmax")
    write_weights(toy.weights, seed=1)
    with pytest.raises(Stop, match="predicted with other weights"):
        toy.run()
    toy.run("--fresh")
    assert len(list(toy.out.parent.glob("out_*"))) == 1


def test_what_a_killed_attempt_left_of_other_weights_is_not_gone_on_with(toy: SimpleNamespace) -> None:
    toy.run()
    toy.out.rename(toy.out.with_name("out_tmp"))
    (toy.out.with_name("out_tmp") / "case_3.nii.gz").unlink()
    write_weights(toy.weights, seed=1)
    stamp = (toy.out.with_name("out_tmp") / "case_1.nii.gz").stat().st_mtime_ns
    toy.run()
    assert (toy.out / "case_1.nii.gz").stat().st_mtime_ns != stamp


def test_files_of_one_case(toy: SimpleNamespace) -> None:
    files = [toy.cases / "case_1" / f"{name}.nii" for name in ("ct", "mtt")]
    for path, name in zip(files, ("A_ct.nii", "A_mtt.nii")):
        shutil.copy(path, toy.cases.parent / name)
    out = toy.run("--images", *(toy.cases.parent / name for name in ("A_ct.nii", "A_mtt.nii")), source=False)
    np.testing.assert_array_equal(labels(out / "A.nii.gz"), blob(SHAPE))


def nan(path: Path) -> None:
    array = labels(path)
    array[1, 2, 3] = np.nan
    save_nifti(path, array, **ROTATED)


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda folder: (folder / "ct.nii").unlink(), r"case_2: .*ct.nii \(ct\): missing"),
    "nan": (lambda folder: nan(folder / "mtt.nii"), r"case_2: .*mtt.nii: 1 of 1170 voxels are NaN"),
    "shape": (
        lambda folder: save_nifti(folder / "mtt.nii", np.arange(24.0).reshape(2, 3, 4), **ROTATED),
        r"shape \(2, 3, 4\), but \(13, 18, 5\) in ct.nii",
    ),
    "affine": (
        lambda folder: save_nifti(folder / "mtt.nii", np.random.rand(*SHAPE), turned((0.7, 1.3, 5.0))),  # noqa: NPY002
        "case_2: .*mtt.nii: its affine places the voxels elsewhere",
    ),
    "no nifti": (lambda folder: (folder / "ct.nii").write_text("text"), "ct.nii cannot be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_before_anything_is_written(toy: SimpleNamespace, fault: str) -> None:
    spoil, told = FAULTS[fault]
    spoil(toy.cases / "case_2")
    with pytest.raises(ValueError, match=told) as error:
        toy.run()
    assert "1 fault in the new cases; nothing was written" in str(error.value)
    assert sorted(path.name for path in toy.out.parent.iterdir()) == ["best.pkl", "cases"]


def test_affines_can_be_trusted(toy: SimpleNamespace, capsys: pytest.CaptureFixture) -> None:
    FAULTS["affine"][0](toy.cases / "case_2")
    with pytest.raises(ValueError, match="--trust_affine goes on"):
        toy.run()
    toy.run("--trust_affine")
    assert "warning: case_2" in capsys.readouterr().out


def test_another_orientation_than_the_training_had_is_said(toy: SimpleNamespace, capsys: pytest.CaptureFixture) -> None:
    axes = "".join(nib.aff2axcodes(ROTATED["sform"]))
    toy.run()
    assert f"warning: its axes point {axes}, those of the training RAS" in capsys.readouterr().out
    write_weights(toy.weights, orientations=("LPS", axes))
    toy.run("--fresh")
    said = capsys.readouterr().out
    assert "warning" not in said and "case_1: lesion " in said


def test_the_volume_is_told_in_millilitres(toy: SimpleNamespace, capsys: pytest.CaptureFixture) -> None:
    toy.run()
    millilitres = blob(SHAPE).sum() * 0.7 * 1.3 * 4.5 / 1000
    assert f"case_1: lesion {millilitres:.2f} ml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "options", "mm3"),
    [
        (ACDC, (), 1.3 * 1.3 * 10),
        ({"qform": np.diag([1300.0, 1300, 9000, 1]), "unit": "micron"}, (), 1.3 * 1.3 * 9),
        ({"qform": None, "sform": np.eye(4), "pixdim": (1, 1, 3)}, ("--trust_affine",), 3),
        ({"qform": np.eye(4)}, ("--spacing", "1,1,5"), 5),
    ],
)
def test_millilitres_follow_from_the_size_that_is_believed(
    toy: SimpleNamespace, capsys: pytest.CaptureFixture, place: dict, options: tuple, mm3: float
) -> None:
    shutil.rmtree(toy.cases)
    write_case(toy.cases / "new case", place)  # a space, too
    out = toy.run(*options)
    assert f"new case: lesion {blob(SHAPE).sum() * mm3 / 1000:.2f} ml" in capsys.readouterr().out
    written, read = nib.load(out / "new case.nii.gz").header, nib.load(toy.cases / "new case/ct.nii").header
    for field in (*PLACEMENT, "pixdim"):
        np.testing.assert_array_equal(written[field], read[field], err_msg=field)


def test_weights_that_cannot_be_used(toy: SimpleNamespace, run_predict: Callable[..., None], tmp_path: Path) -> None:
    def predict(*options: object) -> None:
        run_predict(tmp_path / "out", "--weights", toy.weights, "--source", toy.cases, *options)

    with pytest.raises(ValueError, match="toys:Threshold, which is not of this package; --trust_network"):
        predict()
    write_weights(toy.weights, net="Dimwit")
    with pytest.raises(ValueError, match="does not fit its network Dimwit"):
        predict()
    write_weights(toy.weights, preparation=None)
    with pytest.raises(ValueError, match=r"how its slices were prepared \(preparation missing\)"):
        predict("--trust_network")
    write_weights(toy.weights, classes=["background", "../lesion"])
    with pytest.raises(ValueError, match=r"best.pkl: the classes name '\.\./lesion' contains a slash"):
        predict("--trust_network")
    write_weights(toy.weights, num_classes=3)
    with pytest.raises(ValueError, match="2 classes of a network with 3"):
        predict("--trust_network")
    save_weights(toy.weights, Threshold(2, 2), {})
    with pytest.raises(ValueError, match="network, in_channels, num_classes missing"):
        predict()
    toy.weights.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="is not a file of weights"):
        predict()
    toy.weights.unlink()
    with pytest.raises(FileNotFoundError, match="no weights at"):
        predict()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": ["background", "../../../x"]}, "classes name .* contains a slash"),
        ({"classes": ["background", "background"]}, "lists background twice"),
        ({"modalities": ["ct", "--help"]}, "modalities name '--help' begins with"),
        ({"temperature": float("nan")}, "'temperature' is nan"),
        ({"layout": {"ct": "<*>/ct.nii", "mtt": "../<*>/mtt.nii"}}, "would leave the folder"),
        ({"layout": {"ct": "/etc/<*>", "mtt": "<*>"}}, "would leave the folder"),
        ({"label_values": (0, 1, 2)}, "3 label values of 2 classes"),
        ({"label_values": (0, -1)}, "whole number"),
        ({"shape": (0, 4)}, "two numbers of pixels"),
    ],
)
def test_what_foreign_weights_say_is_checked_where_it_is_read(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    path = write_weights(tmp_path / "foreign.pkl", **changed)
    with pytest.raises(ValueError, match=rf"foreign\.pkl.*{message}"):
        Trained.of(Weights.read(path))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--run", "r"),
        ("--run", "r", "--data", "d", "--weights", "w", "--source", "s"),
        ("--run", "r", "--data", "d", "--softmax"),
        ("--run", "r", "--data", "d", "--largest"),
        ("--weights", "w"),
        ("--weights", "w", "--source", "s", "--images", "i"),
        ("--weights", "w", "--source", "s", "--batch_size", "0"),
    ],
)
def test_words_that_do_not_go_together(words: tuple[str, ...], run_predict: Callable[..., None]) -> None:
    with pytest.raises(SystemExit):
        run_predict("out", *words)


def test_weights_that_are_spoilt_say_so() -> None:
    net = Threshold(1, 2)
    net.weight.data[:] = float("nan")
    predictor = Predictor(
        net=net, num_classes=2, temperature=1.0, device=torch.device("cpu"), batch_size=2, softmax=False
    )
    with pytest.raises(ValueError, match="not finite"):
        predictor(np.zeros((1, 4, 4, 1), np.float32))
    net.num_classes = 3
    with pytest.raises(ValueError, match=r"made \(1, 3, 4, 4\)"):
        predictor(np.zeros((1, 4, 4, 1), np.float32))


def test_images_are_prepared_once_and_for_all() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-5, 900, (7, 9, 2)).astype(np.int16), rng.random((7, 9, 2))]
    images = prepare_images(arrays, None, pictures=False)
    assert images.dtype == np.float32 and images.shape == (2, 7, 9, 2)
    assert images.min(axis=(1, 2, 3)).tolist() == [0, 0] and images.max(axis=(1, 2, 3)).tolist() == [1, 1]
    pictures = prepare_images(arrays, (14, 20), pictures=True)
    assert pictures.dtype == np.uint8 and pictures.shape == (2, 14, 20, 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network": 3}, "'network' is 3, expected text"),
        ({"network": "Dimwit(width=1000000000)"}, r"layers.0.weight is float32 \(10, 2, 2, 2\), expected float32 \(10"),
        ({"network": "Dimwit" + 9 * "+distances"}, "distance head more than once"),
        ({"in_channels": "2"}, "'in_channels' is '2', expected a whole number"),
        ({"temperature": 0}, "'temperature' is 0"),
        ({"temperature": 10**400}, "'temperature' is 1000"),
        ({"epoch": True}, "'epoch' is True"),
        ({"preparation": [1]}, "holds a list"),
        ({"weights": [1]}, "expected a dictionary of tensors"),
        ({"weights": {"layers.0.weight": [1.0]}}, "of type list, expected a dense tensor"),
        ({"weights": {"x": torch.zeros(1).expand(10**12)}}, "without as many numbers"),
    ],
)
def test_fields_of_weights_are_checked(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    path = write_weights(tmp_path / "best.pkl", net="Dimwit", trained=build_network("Dimwit", 2, 2))
    torch.save(torch.load(path, weights_only=True) | changed, path)
    with pytest.raises(ValueError, match=rf"best\.pkl.*{message}.*train again"):
        Weights.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weight: weight.double(), "is float64"),
        (lambda weight: weight[:1], r"float32 \(1, 2, 2, 2\), expected float32 \(10, 2, 2, 2\)"),
        (lambda weight: weight / 0, "not finite: layers.0.weight"),
        (lambda weight: torch.zeros(1).expand(weight.shape), "without as many numbers"),
        (lambda weight: weight.to("meta"), "without as many numbers"),
    ],
)
def test_tensors_of_weights_are_checked(
    tmp_path: Path, change: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    path = write_weights(tmp_path / "best.pkl", net="Dimwit", trained=build_network("Dimwit", 2, 2))
    content = torch.load(path, weights_only=True)
    name = "layers.0.weight"
    content["weights"][name] = change(content["weights"][name])
    torch.save(content, path)
    with pytest.raises(ValueError, match=rf"best\.pkl.*{message}"):
        Weights.read(path)


def test_compressed_weights_are_refused(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "best.pkl")
    with zipfile.ZipFile(path) as stored, zipfile.ZipFile(tmp_path / "bomb.pkl", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in stored.namelist():
            bomb.writestr(name, stored.read(name))
    with pytest.raises(ValueError, match=r"bomb\.pkl is not a file of weights: its records are compressed"):
        Weights.read(tmp_path / "bomb.pkl")
