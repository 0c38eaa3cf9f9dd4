"""Class maps, one-hot and probabilities."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boundary_loss.distance import approximate_distance
from boundary_loss.encoding import (
    as_labels,
    check_probabilities,
    class2one_hot,
    is_label,
    one_hot2class,
    probs2class,
    probs2one_hot,
    scatter_classes,
)
from boundary_loss.shapes import IGNORED


@given(st.integers(1, 5), st.integers(1, 3), st.sampled_from([(4,), (3, 5), (2, 3, 4)]), st.integers(0, 1000))
def test_one_hot_round_trip(K: int, B: int, shape: tuple[int, ...], seed: int) -> None:
    labels = torch.randint(0, K, (B, *shape), generator=torch.Generator().manual_seed(seed))
    one_hot = class2one_hot(labels, K)
    assert one_hot.shape == (B, K, *shape) and one_hot.dtype == torch.int32
    assert (one_hot.sum(dim=1) == 1).all()
    assert torch.equal(one_hot2class(one_hot), labels)
    assert torch.equal(probs2class(one_hot.float()), labels) or K == 1
    assert torch.equal(probs2one_hot(one_hot.float()), one_hot)


def test_ignored_voxels_have_no_class() -> None:
    labels = torch.tensor([[[0, 1], [IGNORED, 1]]], dtype=torch.uint8)
    one_hot = class2one_hot(labels, 2)
    assert one_hot[0, :, 1, 0].sum() == 0
    assert torch.equal(one_hot2class(one_hot), labels.long())


@pytest.mark.parametrize("labels", [torch.tensor([[2]]), torch.tensor([[-1]])])
def test_unknown_labels_are_named(labels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        class2one_hot(labels, 2)


@pytest.mark.parametrize("dtype", [torch.uint16, torch.float32, torch.bool])
def test_one_hot_of_labels_of_other_types(dtype: torch.dtype) -> None:
    labels = torch.tensor([[0, 1]])
    assert torch.equal(class2one_hot(labels.to(dtype), 2), class2one_hot(labels, 2))


def test_255_that_may_be_the_object_is_refused() -> None:
    labels = torch.tensor([[0, 255, 255]])
    for dtype in (torch.uint8, torch.int64, torch.float32):
        with pytest.raises(ValueError, match=r"pass labels == 255; .* ignore_index=255"):
            class2one_hot(labels.to(dtype), 2)
    assert class2one_hot(labels, 2, ignore_index=255).tolist() == [[[1, 0, 0], [0, 0, 0]]]
    assert class2one_hot(torch.tensor([[0, 255, 1]]), 2).tolist() == [[[1, 0, 0], [0, 0, 1]]]
    assert class2one_hot(labels == 255, 2).tolist() == [[[1, 0, 0], [0, 1, 1]]]


@pytest.mark.parametrize(("dtype", "ignored"), [(torch.uint8, -1), (torch.int8, 255), (torch.int64, 2**40)])
def test_a_label_that_the_type_cannot_hold_is_nowhere(dtype: torch.dtype, ignored: int) -> None:
    labels = torch.tensor([[0, 1]]).to(dtype)
    assert not is_label(labels, ignored).any()
    assert class2one_hot(labels, 2, ignore_index=ignored).sum() == 2


def test_a_class_may_be_ignored() -> None:
    assert class2one_hot(torch.tensor([[0, 1, 2]]), 3, ignore_index=1).sum(dim=1).tolist() == [[1, 0, 1]]


def test_among_many_classes_255_is_one() -> None:
    labels = torch.tensor([[0, 255, 299]])
    assert class2one_hot(labels, 300).sum() == 3
    assert probs2one_hot(class2one_hot(labels, 300).float()).sum() == 3


def test_an_array_has_no_most_probable_class() -> None:
    with pytest.raises(ValueError, match="probs must be a tensor, got ndarray"):
        probs2class(np.zeros((1, 2, 3, 3)))  # type: ignore[arg-type]


@pytest.mark.parametrize("K", [2, 3, 5, 20])
def test_the_most_probable_class_is_argmax_ties_included(K: int) -> None:
    probs = torch.randint(0, 4, (2, K, 9, 7), generator=torch.Generator().manual_seed(K)) / 4
    assert torch.equal(probs2class(probs), probs.argmax(dim=1))
    narrow = probs2class(probs, dtype=torch.uint8)
    assert narrow.dtype == torch.uint8 and torch.equal(narrow.long(), probs.argmax(dim=1))


def test_logits_are_told_from_probabilities() -> None:
    check_probabilities(torch.softmax(torch.randn(2, 3, 4, 4), dim=1))
    with pytest.raises(ValueError, match="softmax"):
        check_probabilities(torch.randn(2, 3, 4, 4) * 5)
    with pytest.raises(ValueError, match="softmax"):
        check_probabilities(torch.tensor([0.5, float("inf")]))
    with pytest.raises(ValueError, match="some are NaN"):
        check_probabilities(torch.tensor([0.5, float("nan")]))


def test_more_classes_than_the_type_of_the_labels_counts() -> None:
    labels = torch.tensor([[0, 1, 200]], dtype=torch.uint8)
    assert class2one_hot(labels, K=300).sum(dim=(0, 2)).nonzero().flatten().tolist() == [0, 1, 200]


@pytest.mark.parametrize("classes", [None, (0, 1, 2), (2, 0), [1]])
def test_some_classes_at_their_place_among_all(classes: list[int] | None) -> None:
    full = torch.randn(2, 3, 4)
    chosen = [0, 1, 2] if classes is None else list(classes)
    found = scatter_classes(full[:, chosen], classes, 3)
    assert torch.equal(found[:, chosen], full[:, chosen])
    assert not found[:, [k for k in range(3) if k not in chosen]].any()


def test_an_array_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"labels must be a tensor, got ndarray; torch\.as_tensor"):
        class2one_hot(np.zeros((1, 2, 2), np.int64), K=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="probs must be a tensor, got ndarray"):
        approximate_distance(np.zeros((2, 2), np.float32))  # type: ignore[arg-type]


INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64]
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, torch.bool])
def test_labels_of_every_type_are_read(dtype: torch.dtype) -> None:
    labels = torch.tensor([[0, 1], [1, 0]])
    found = as_labels(labels.to(dtype))
    assert torch.equal(found.long(), labels) and not found.is_floating_point()
    assert (found == 1).any() and found.unique().numel() == 2  # which PyTorch lacks for the wider unsigned types
    assert as_labels(labels) is labels


@pytest.mark.parametrize(("value", "shown"), [(0.5, "found 0.5"), (torch.nan, "found nan"), (torch.inf, "found inf")])
@pytest.mark.parametrize("dtype", FLOATS)
def test_what_is_no_whole_number_is_no_label(dtype: torch.dtype, value: float, shown: str) -> None:
    with pytest.raises(ValueError, match=f"truth must be whole numbers, {shown}; .*nearest neighbour"):
        as_labels(torch.tensor([0, 1, value], dtype=dtype), "truth")


@pytest.mark.parametrize("value", [1e10, -1e30, 0.9999999])
def test_nearly_or_hugely_whole_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=f"found {re.escape(repr(value))}"):  # to the last digit
        as_labels(torch.tensor([value], dtype=torch.float64))


def test_complex_numbers_are_no_labels() -> None:
    with pytest.raises(ValueError, match="complex64"):
        as_labels(torch.zeros(2, dtype=torch.complex64))
