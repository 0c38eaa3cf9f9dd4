"""Patches and cases of whole volumes: what a network is shown of them, and what comes back."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from wholes import SHAPES, write_whole

from boundary_loss.data import Augmentation, Cases, MapNeed, Patches, View
from boundary_loss.data.boxes import Boxes, CaseBox, Intensities
from boundary_loss.data.cases import ShownCases
from boundary_loss.data.frame import Box
from boundary_loss.data.view import classes_in_source
from boundary_loss.distance import signed_distance
from boundary_loss.encoding import encode_one_hot
from boundary_loss.files import read_json, write_json
from boundary_loss.folders.whole import WholeFolder

CPU = torch.device("cpu")
OWN = MapNeed("own", (1,))
ALTERED = [(), ("flip(xyz)", "noise(0.1)"), ("rotate(20,xyz)", "scale(0.8,1.2)", "flip(xyz)")]


@pytest.fixture
def data(tmp_path: Path) -> WholeFolder:
    return WholeFolder.open(write_whole(tmp_path / "WHOLE"))


def cases(
    data: WholeFolder, which: str, *fit: str, sample: str = "whole", boxes: Boxes | None = None
) -> ShownCases:  # fmt: skip
    return ShownCases(data, which, View.parse(fit, sample, ""), boxes)


def image_of(data: WholeFolder, case: str) -> np.ndarray:
    """(C, X, Y, Z), scaled."""
    return np.stack([data.scale(case, name)(np.asarray(data.volume(case, name), np.float32)) for name in ("ct", "mtt")])


def test_a_whole_case_is_shown_as_it_is(data: WholeFolder) -> None:
    samples = Patches(cases(data, "train"), needs=[OWN])
    assert samples.names == ["case_1", "case_2"] and len(samples) == 2 and samples.has_ignored  # of unequal shapes
    (batch,) = samples.batches([torch.tensor([1])], CPU)
    torch.testing.assert_close(batch.inputs[0][0], torch.from_numpy(image_of(data, "case_2")))
    np.testing.assert_array_equal(batch.labels[0], data.truth("case_2"))
    expected = signed_distance(np.array(data.truth("case_2"))[None], (0.8, 1.2, 5.0), num_classes=2, spatial_dims=3)
    np.testing.assert_allclose(batch.maps[OWN][0, 1], expected[0, 1], rtol=1e-6)
    assert (
        batch.names == ["case_2"]
        and batch.index.tolist() == [1]
        and batch.spacings.tolist() == [pytest.approx([0.8, 1.2, 5.0])]
    )


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ("whole", []),
        ("patch(6,5,3)", []),
        ("patch(7,5,3)", ["patch(7,5,3) is larger than 1 of 2 training cases, the smallest 6 x 7 x 4 voxels"]),
        ("patch(7,6,3)", ["patch(7,6,3) is larger than 2 of 2 training cases, the smallest 8 x 5 x 3 voxels"]),
    ],
)
def test_a_patch_larger_than_a_case_is_said(data: WholeFolder, sample: str, says: list[str]) -> None:
    remarks = Patches(cases(data, "train", sample=sample)).remarks
    assert remarks == [f"{line}; their patches end with the case" for line in says]


def test_unequal_cases_are_filled_up_and_what_fills_up_counts_nowhere(data: WholeFolder) -> None:
    samples = Patches(cases(data, "train"), needs=[OWN])
    (both,) = samples.batches([torch.tensor([0, 1])], CPU)
    assert both.inputs[0].shape == (2, 2, 8, 7, 4) and both.mask is not None
    for item, shape in enumerate((SHAPES["case_1"], SHAPES["case_2"])):
        inside = torch.zeros(8, 7, 4, dtype=torch.bool)
        inside[tuple(map(slice, shape))] = True
        assert torch.equal(both.labels[item] == 255, ~inside) and torch.equal(both.mask[item, 0], inside)
        assert not both.gt[item][:, ~inside].any() and not both.maps[OWN][item][:, ~inside].any()


def test_a_part_of_a_batch_has_the_size_of_the_batch(data: WholeFolder) -> None:
    """So that ranks can put the parts together."""
    samples, batch = Patches(cases(data, "train"), needs=[OWN]), torch.tensor([0, 1])
    (whole,) = samples.batches([batch], CPU)
    parts = [next(samples.batches([batch[i : i + 1]], CPU, 0, [batch])) for i in range(2)]
    for name in ("labels", "gt", "mask", "spacings"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name
    assert torch.equal(torch.cat([part.maps[OWN] for part in parts]), whole.maps[OWN])


@pytest.mark.parametrize("augment", ALTERED)
def test_a_patch_follows_from_the_seed_and_its_number_alone(data: WholeFolder, augment: tuple[str, ...]) -> None:
    shown = cases(data, "train", sample="patch(4,4,2,each=2)")
    samples = Patches(shown, needs=[OWN], augmentation=Augmentation.parse(augment))
    assert len(samples) == 4 and samples.names_of(torch.tensor([0, 3])) == ["case_1", "case_2"]
    (together,) = samples.batches([torch.tensor([3, 0])], CPU, seed=5)
    alone = [next(samples.batches([torch.tensor([sample])], CPU, seed=5)) for sample in (3, 0)]
    for i, one in enumerate(alone):
        assert torch.equal(one.inputs[0][0], together.inputs[0][i]) and torch.equal(one.labels[0], together.labels[i])
        assert torch.equal(one.maps[OWN][0], together.maps[OWN][i])
    (other,) = samples.batches([torch.tensor([3, 0])], CPU, seed=6)
    assert not torch.equal(other.inputs[0], together.inputs[0])


def test_a_patch_is_a_part_of_its_case_with_the_map_of_all_of_it(data: WholeFolder) -> None:
    samples = Patches(cases(data, "train", sample="patch(3,3,2,object=1)"), needs=[OWN])
    expected = signed_distance(np.array(data.truth("case_1"))[None], (0.8, 1.2, 5.0), num_classes=2, spatial_dims=3)
    image = image_of(data, "case_1")
    for seed in range(5):
        (batch,) = samples.batches([torch.tensor([0])], CPU, seed)
        assert (batch.labels == 1).any()
        places = [
            (slice(x, x + 3), slice(y, y + 3), slice(z, z + 2))
            for x in range(4) for y in range(5) for z in range(3)
            if np.allclose(image[:, x : x + 3, y : y + 3, z : z + 2], batch.inputs[0][0], atol=1e-6)
        ]  # fmt: skip
        (place,) = places
        np.testing.assert_array_equal(batch.labels[0], data.truth("case_1")[place])
        np.testing.assert_allclose(batch.maps[OWN][0, 1], expected[0, 1][place], rtol=1e-5)


def test_a_flip_mirrors_image_labels_and_map_together(data: WholeFolder) -> None:
    plain = Patches(cases(data, "train"), needs=[OWN])
    flipped = Patches(cases(data, "train"), needs=[OWN], augmentation=Augmentation.parse(["flip(xyz)"]))
    (before,) = plain.batches([torch.tensor([0])], CPU)
    seen = set()
    for seed in range(20):
        (after,) = flipped.batches([torch.tensor([0])], CPU, seed)
        found = [axes for axes in AXES if torch.equal(before.inputs[0].flip(axes), after.inputs[0])]
        (axes,) = found
        seen.add(tuple(axes))
        assert torch.equal(before.labels.flip(axes), after.labels)
        assert torch.equal(before.maps[OWN].flip(axes), after.maps[OWN])
    assert len(seen) > 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("augment", ALTERED)
def test_a_gpu_is_shown_the_same(
    data: WholeFolder, augment: tuple[str, ...], keeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where maps are made on the device, as of volumes that are too many to keep them."""
    monkeypatch.setattr("boundary_loss.data.cases.fit_in_memory", lambda _: keeps)
    view, gpu = cases(data, "train", "reduce(2,1,1)", sample="patch(3,4,2,each=2)"), torch.device("cuda")
    batches = [torch.tensor([3, 0]), torch.tensor([1, 2]), torch.tensor([2])]
    found = []
    for device in (CPU, gpu):
        samples = Patches(view, needs=[OWN], augmentation=Augmentation.parse(augment), device=device)
        found.append(list(samples.batches(batches, device, seed=4)))
    for host, there in zip(*found, strict=True):
        assert there.inputs[0].device.type == there.index.device.type == "cuda" and there.names == host.names
        torch.testing.assert_close(there.inputs[0].cpu(), host.inputs[0], atol=1e-4, rtol=1e-4)
        assert float((there.labels.cpu() != host.labels).float().mean()) < 0.05  # halfway between two voxels
        torch.testing.assert_close(there.index.cpu(), host.index)
        if "rotate(20,xyz)" not in augment:
            torch.testing.assert_close(there.maps[OWN].cpu(), host.maps[OWN], atol=1e-4, rtol=1e-4)


AXES = [[axis for bit, axis in enumerate((-3, -2, -1)) if number >> bit & 1] for number in range(8)]


def test_real_surroundings_turn_in(tmp_path: Path) -> None:
    """A patch that is moved shows what lies beside it in the case, and its map is of what is shown."""
    folder = WholeFolder.open(write_whole(tmp_path / "WHOLE"))
    view = cases(folder, "train", sample="patch(3,3,2)")
    moved = Patches(view, needs=[OWN], augmentation=Augmentation.parse(["shift(2.4)"]))
    still = Patches(view, needs=[OWN])
    outside = 0
    for seed in range(8):
        (before,), (after,) = (samples.batches([torch.tensor([0])], CPU, seed) for samples in (still, moved))
        outside += int((after.inputs[0] == 0).all(dim=1).any())
        assert not torch.equal(before.inputs[0], after.inputs[0])
        expected = signed_distance(after.labels, after.spacings, num_classes=2, spatial_dims=3)
        torch.testing.assert_close(after.maps[OWN][0, 1], expected[0, 1].float())
    assert outside < 8  # of a case of 6 x 7 x 4 voxels some patches stay within


def test_a_turn_about_nothing_is_the_patch_itself(data: WholeFolder) -> None:
    view = cases(data, "train", "reduce(2,1,1)", sample="patch(2,4,2)")
    still, turned = (
        Patches(view, augmentation=None if text is None else Augmentation.parse([text])) for text in (None, "rotate(0)")
    )
    for seed in range(3):
        (before,), (after,) = (samples.batches([torch.tensor([0, 1])], CPU, seed) for samples in (still, turned))
        torch.testing.assert_close(before.inputs[0], after.inputs[0], atol=1e-5, rtol=1e-5)
        assert torch.equal(before.labels, after.labels)


def test_intensity_changes_colours_between_the_least_and_the_greatest(data: WholeFolder) -> None:
    """Gamma of z-scored images would otherwise lose whatever is below the mean."""
    plain, changed = (
        Patches(cases(data, "train"), augmentation=Augmentation.parse(text)) for text in (["none"], ["intensity(0.2)"])
    )
    (before,), (after,) = (samples.batches([torch.tensor([0])], CPU, 1) for samples in (plain, changed))
    for one, other in zip(before.inputs[0][0], after.inputs[0][0], strict=True):
        assert torch.equal(one.flatten().argsort(), other.flatten().argsort()) and not torch.equal(one, other)


def truth_as_network(samples: Cases) -> "dict[str, Tensor]":
    """What is predicted of each validation case by a network that sees the truth."""
    found = {}
    for batch in samples.batches(samples.in_order(4, group=False), CPU):
        probs = encode_one_hot(batch.labels.clamp(max=1), 2, torch.float32)
        predicted, true = samples.classes(probs, batch)
        assert predicted.shape == true.shape
        found[batch.names[0]] = predicted[0]
    return found


@pytest.mark.parametrize("fit", [(), ("pad(4)",), ("stretch(16)",), ("pad(8)", "pad(16)")])
def test_predictions_come_back_to_the_grid_of_the_source(data: WholeFolder, fit: tuple[str, ...]) -> None:
    samples = Cases(cases(data, "val", *fit))
    assert samples.is_dealt and [batch.tolist() for batch in samples.in_order(4, group=True)] == [[0]]
    assert samples.planes == [f"case_3_00_000{z}" for z in range(5)]
    np.testing.assert_array_equal(truth_as_network(samples)["case_3"], data.truth("case_3"))


def boxes(*, shape: tuple[int, int, int]) -> Boxes:
    """At the origin of each case."""
    found = {name: CaseBox("val" if name == "case_3" else "train", Box((1, 2, 1), shape), True, 1.0) for name in SHAPES}
    return Boxes(size=shape, cases=found, intensities={name: Intensities(1.0, 2.0) for name in ("ct", "mtt")})


def test_what_a_box_cuts_off_counts(data: WholeFolder) -> None:
    samples = Cases(cases(data, "val", boxes=boxes(shape=(2, 2, 2))))
    (batch,) = samples.batches([torch.tensor([0])], CPU)
    assert batch.inputs[0].shape == (1, 2, 2, 2, 2)
    found, truth = truth_as_network(samples)["case_3"].numpy(), np.array(data.truth("case_3"))
    assert found.sum() == 8 < truth.sum() == 12 and (truth[found == 1] == 1).all()


def test_a_case_without_a_box_is_refused(data: WholeFolder) -> None:
    few = Boxes(size=(2, 2, 2), cases={}, intensities={})
    with pytest.raises(ValueError, match=r"boxes are of other data: case_3 of .* has none"):
        Cases(cases(data, "val", boxes=few))


def test_the_numbers_of_the_boxes_scale_a_study_that_is_scaled_as_one(data: WholeFolder) -> None:
    shown = cases(data, "val", boxes=boxes(shape=(2, 2, 2)))
    assert shown.scale("case_3", "ct") == data.scale("case_3", "ct")
    about = read_json(data.path / "whole.json")
    about["preparation"]["normalise"] = "zscore(study)"
    write_json(data.path / "whole.json", about)
    shown = cases(WholeFolder(data.path), "val", boxes=boxes(shape=(2, 2, 2)))
    assert vars(shown.scale("case_3", "ct")) == {"offset": 1.0, "factor": 0.5, "clipped": False}


def test_a_label_that_is_no_class_and_a_value_that_is_no_number_name_the_case(data: WholeFolder) -> None:
    for kind, value, message in (("gt", 7, r"train/case_2 has labels \[7\]"), ("mtt", np.nan, "train/case_2 has NaN")):
        path = data.path / kind / "case_2.npy"
        before = np.load(path)
        array = before.copy(order="F")
        array[0, 0, 0] = value
        np.save(path, array)
        with pytest.raises(ValueError, match=message):
            samples = Patches(cases(WholeFolder(data.path), "train"))
            list(samples.batches(samples.in_order(2, group=False), CPU))
        np.save(path, before)


def test_maps_of_single_slices_are_refused(data: WholeFolder) -> None:
    with pytest.raises(ValueError, match="map=2d, which whole volumes and patches do not have"):
        Patches(cases(data, "train"), needs=[MapNeed("2d", (1,))])


def test_classes_of_probabilities_are_those_of_argmax_after_interpolation() -> None:
    frame = View.parse(["reduce(2,3,2)"], "whole", "").frame((7, 8, 5))
    probs = torch.rand(4, *frame.shape, generator=torch.Generator().manual_seed(0)).softmax(0)
    expected = frame.to_source_grid(probs, 1, (1, 0, 0, 0)).argmax(0)
    assert torch.equal(classes_in_source(probs, frame).long(), expected)


@pytest.mark.parametrize(
    ("fit", "sample", "infer", "message"),
    [
        (["crop(3)"], "whole", "", "unknown fit 'crop"),
        ([], "cubes", "", "unknown sample 'cubes'; known: slices, whole, patch"),
        ([], "whole(3)", "", "sample 'whole'"),
        ([], "patch(1,2,3)", "dense", "INFER=dense does not go with SAMPLE=patch(1,2,3)"),
        ([], "patch(1,2,3)", "thick", "unknown inference 'thick'"),
        ([], "patch(1,2,3)", "windows(1)", "overlap=1 must be at least 0 and below 1"),
        ([], "patch(1,2,3)", "windows(memory=2GB)", "memory=2GB is not understood; write it as 512MiB or 2GiB"),
    ],
)
def test_words_that_say_nothing_are_refused(fit: list[str], sample: str, infer: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        View.parse(fit, sample, infer)


@pytest.mark.parametrize(("fit", "sample"), [(["reduce(2,2,1)", "pad(4)"], "whole"), ([], "patch(3,4,5,object=0.1)")])
def test_the_words_of_a_view_give_it_again(fit: list[str], sample: str) -> None:
    view = View.parse(fit, sample, "")
    words = view.words
    assert View.parse(words["fit"], words["sample"], words["infer"]) == view
