"""Altered copies of training slices. A slice's name and the seed decide, so that workers do not matter."""

import random

import numpy as np
from PIL import Image
from PIL.Image import Resampling, Transpose

FLIPS = ((1,), (2,), (1, 2))
MAX_DEGREES = 45.0


def flipped(arrays: list[np.ndarray], draw: random.Random) -> list[np.ndarray]:
    """Flip (C, X, Y) arrays alike along X, Y or both; distance maps flip with their labels and stay right."""
    axes = draw.choice(FLIPS)
    return [np.ascontiguousarray(np.flip(array, axes)) for array in arrays]


def turned(image: np.ndarray, labels: np.ndarray, draw: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """Flip, mirror and turn by up to 45 degrees, each with even odds; (X, Y) uint8 both.

    The image is interpolated, the labels are not; what turns in from outside is 0.
    """
    picture, classes = Image.fromarray(image), Image.fromarray(labels)
    for transpose in (Transpose.FLIP_TOP_BOTTOM, Transpose.FLIP_LEFT_RIGHT):
        if draw.random() > 0.5:
            picture, classes = picture.transpose(transpose), classes.transpose(transpose)
    if draw.random() > 0.5:
        degrees = draw.uniform(-MAX_DEGREES, MAX_DEGREES)
        picture = picture.rotate(degrees, resample=Resampling.BILINEAR)
        classes = classes.rotate(degrees, resample=Resampling.NEAREST)
    return np.asarray(picture), np.asarray(classes)
