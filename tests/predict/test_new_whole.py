"""A network of volumes shows a new case as it was shown those of its training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from niftis import turned
from toys import load_study
from trainings import train_here

from boundary_loss.data.boxes import Boxes, CaseBox, Intensities
from boundary_loss.data.locator import placed
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.predict.inference import Predictor
from boundary_loss.preparation import engine
from boundary_loss.training.weights import Weights
from boundary_loss.volumes import read_volume, write_volume

pytest.importorskip("nrrd")

AFFINE = turned((0.625, 0.625, 1.25))
CALL = ["--losses", "gdl:1", "--network", "UNet3D(width=2)", "--epochs", "1", "--batch_size", "2", "--lr", "0.02"]

POINTS = ["--fit", "stretch(16)", "--sample", "points(64,each=4)", "--infer", "dense", "--losses", "ce:1", "aux_ce:0.1"]
POINTS += ["--network", "OSSNet(width=8,channels=4)", "--lr", "1e-3"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients of unequal sizes with a bright cube, prepared as data/ATRIA; one is held out."""
    root = tmp_path_factory.mktemp("study")
    for seed, name in enumerate(("A", "B", "C", "D")):
        rng, shape = np.random.default_rng(seed), (14 + seed, 12 + seed, 9)
        labels = np.zeros(shape, np.uint8)
        labels[3:10, 4:9, 2:7] = 255
        image = (rng.integers(0, 60, shape) + labels // 3).astype(np.uint8)
        write_volume(root / "atria/Training Set" / name / "lgemri.nrrd", image, AFFINE)
        write_volume(root / "atria/Training Set" / name / "laendo.nrrd", labels, AFFINE)
    words = ["--source", str(root / "atria"), "--retain", "1", "--workers", "1", "--normalise", "zscore(study)"]
    engine.main(load_study("atria"), [str(root / "ATRIA"), *words])
    return root


def files_of(study: Path) -> tuple[str, Path]:
    """The held out case, and its image."""
    (case,) = WholeFolder(study / "ATRIA").cases("val")
    return case, study / "atria/Training Set" / case / "lgemri.nrrd"


def trained(study: Path, name: str, *words: str) -> Path:
    run = study / name
    done = train_here(run, study / "ATRIA", *CALL, *words)
    assert done.status == 0, done
    return run


@pytest.mark.parametrize(
    "words",
    [["--fit", "pad(8)"], ["--fit", "reduce(2,2,1)"], ["--sample", "patch(8,8,8)"], POINTS],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_new_case_is_predicted_as_a_validation_case(
    study: Path, tmp_path: Path, run_predict: Callable[..., None], words: list[str]
) -> None:
    run, (case, image) = trained(study, "run" + "".join(filter(str.isalnum, words[1])), *words), files_of(study)
    run_predict(tmp_path / "saved", "--run", run, "--data", study / "ATRIA")
    run_predict(tmp_path / "new", "--weights", run / "best.pkl", "--images", image, "--softmax", "--device", "cpu",
                "--batch_size", "2")  # fmt: skip
    saved, (found,) = read_volume(tmp_path / f"saved/{case}.nrrd"), (tmp_path / "new").glob("*.nrrd")
    new = read_volume(found)
    np.testing.assert_array_equal(new.array, saved.array)
    np.testing.assert_array_equal(new.affine, saved.affine)
    assert set(np.unique(new.array)) <= {0, 255} and new.array.shape == read_volume(image).array.shape
    probs = np.stack([read_volume(path).array for path in sorted((tmp_path / "new/softmax").iterdir())])
    np.testing.assert_allclose(probs.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(probs[1] > probs[0], new.array == 255)


def test_a_locator_finds_the_boxes_of_new_cases(
    study: Path, tmp_path: Path, run_predict: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """By the size of the training's boxes and the intensities in them, which are not those of whole volumes."""
    locator, (case, image) = trained(study, "locator", "--fit", "reduce(2,2,1)"), files_of(study)
    data = WholeFolder(study / "ATRIA")
    sources = {name: data.truth(name).shape for which in ("train", "val") for name in data.cases(which)}
    found = {
        name: CaseBox("val" if name == case else "train", placed(None, (8, 8, 4), source), False, 0.5)
        for name, source in sources.items()
    }
    Boxes(size=(8, 8, 4), cases=found, intensities={"lgemri": Intensities(70.0, 20.0)}).write(study / "BOXES")
    run = trained(study, "boxed", "--boxes", str(study / "BOXES"))
    weights = Weights.read(run / "best.pkl")
    assert weights.box == (8, 8, 4) and weights.preparation is not None
    assert weights.preparation.scale == {"lgemri": (70.0, 1 / 20)}
    with pytest.raises(ValueError, match="is shown boxes of 8 x 8 x 4 voxels; --locator"):
        run_predict(tmp_path / "out", "--weights", run / "best.pkl", "--images", image, "--device", "cpu")
    with pytest.raises(ValueError, match="leave --locator out"):
        run_predict(tmp_path / "out", "--weights", locator / "best.pkl", "--locator", locator / "best.pkl",
                    "--images", image, "--device", "cpu")  # fmt: skip
    words = ["--weights", run / "best.pkl", "--locator", locator / "best.pkl", "--images", image, "--device", "cpu"]
    run_predict(tmp_path / "new", *words)
    (path,) = (tmp_path / "new").glob("*.nrrd")
    new = read_volume(path).array
    inside = np.argwhere(new)
    assert new.shape == sources[case] and (len(inside) == 0 or (np.ptp(inside, axis=0) < (8, 8, 4)).all())
    if "found nothing" in capsys.readouterr().out:  # then the box is that of the training
        run_predict(tmp_path / "saved", "--run", run, "--data", study / "ATRIA")
        np.testing.assert_array_equal(new, read_volume(tmp_path / f"saved/{case}.nrrd").array)


def test_the_predictor_of_a_view_is_the_network_on_what_is_shown(study: Path) -> None:
    """A box is cut out, and beyond it is background."""
    run = trained(study, "runs8", "--fit", "pad(8)")
    weights = Weights.read(run / "best.pkl")
    net = weights.build()
    options = {"num_classes": 2, "temperature": 1.0, "device": next(net.parameters()).device, "batch_size": 1}
    predict = Predictor(net=net, softmax=True, view=weights.view, **options)  # type: ignore[arg-type]
    images = np.random.default_rng(0).random((1, 11, 9, 7)).astype(np.float32)
    box = placed(None, (8, 8, 4), (11, 9, 7))
    found = predict(images, box)
    assert found.classes.shape == (11, 9, 7) and found.probs is not None
    outside = np.ones((11, 9, 7), bool)
    outside[box.slices] = False
    assert not found.classes[outside].any() and (found.probs[0][outside] == 1).all()


def test_another_inference_is_asked_for_by_name(
    study: Path, tmp_path: Path, run_predict: Callable[..., None]
) -> None:  # fmt: skip
    run, (_, image) = trained(study, "points", *POINTS), files_of(study)
    files = ["--weights", run / "best.pkl", "--images", image, "--device", "cpu"]
    for name, words in {"as_trained": [], "dense": ["--infer", "dense"], "coarse": ["--infer", "coarse(1)"]}.items():
        run_predict(tmp_path / name, *files, *words)
    found = [read_volume(next((tmp_path / name).glob("*.nrrd"))).array for name in ("as_trained", "dense", "coarse")]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    with pytest.raises(ValueError, match="INFER=windows does not go with SAMPLE=points"):
        run_predict(tmp_path / "none", *files, "--infer", "windows")


def test_a_network_of_points_is_asked_at_any_resolution(
    study: Path, tmp_path: Path, run_predict: Callable[..., None]
) -> None:  # fmt: skip
    run, (_, image) = trained(study, "finer", *POINTS), files_of(study)
    files = ["--weights", run / "best.pkl", "--images", image, "--device", "cpu"]
    source = read_volume(image)
    found = {}
    for name, factor in (("own", 1), ("third", 3), ("coarser", 0.4)):
        voxel = ",".join(str(size / factor) for size in source.spacing_mm)
        run_predict(tmp_path / name, *files, "--resolution", voxel, "--softmax")
        found[name] = read_volume(next((tmp_path / name).glob("*.nrrd")))
        np.testing.assert_allclose(found[name].spacing_mm, np.divide(source.spacing_mm, factor), rtol=1e-5)
    run_predict(tmp_path / "plain", *files)
    plain = read_volume(next((tmp_path / "plain").glob("*.nrrd")))
    np.testing.assert_array_equal(found["own"].array, plain.array)
    np.testing.assert_allclose(found["own"].affine, plain.affine, atol=1e-6)
    middle = found["third"].array[1::3, 1::3, 1::3]  # three voxels share each side, the middle one lies at the centre
    np.testing.assert_array_equal(middle, plain.array)
    np.testing.assert_allclose(found["third"].affine @ [1, 1, 1, 1], plain.affine @ [0, 0, 0, 1], atol=1e-4)
    assert found["coarser"].array.shape == tuple(round(size * 0.4) for size in plain.array.shape)


def test_a_resolution_is_asked_of_networks_of_points_alone(
    study: Path, tmp_path: Path, run_predict: Callable[..., None]
) -> None:  # fmt: skip
    run, (_, image) = trained(study, "voxels", "--fit", "pad(8)"), files_of(study)
    with pytest.raises(ValueError, match=r"--resolution: the network of .* answers at the voxels"):
        run_predict(tmp_path / "out", "--weights", run / "best.pkl", "--images", image, "--resolution", "1,1,1")
    assert not (tmp_path / "out").exists()
