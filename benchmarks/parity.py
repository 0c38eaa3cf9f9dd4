"""Our metrics beside SimpleITK, medpy, MONAI and surface-distance on real masks: who measures the same, who does not.

    PYTHONPATH=src python benchmarks/parity.py --zips FOLDER [--store tests/metrics/parity.npz] [--write RESULTS.md]

FOLDER holds archives in the WMH challenge's layout (SITE/ID/wmh.nii.gz); the stored numbers are of three patients with
multiple sclerosis (Lesjak et al., Neuroinformatics 2017, CC-BY), boxes around their lesions, and a prediction made of
them: an uneven edge, some lesions missed, some invented. Label 2 is ignored, as the challenge does.
"""

import argparse
import io
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from turns import publish

from boundary_loss.metric_definitions import TOLERANCE_MM
from boundary_loss.metrics import measure
from boundary_loss.metrics.borders import bounding_box

HEADING = "Parity of metrics"
SPACING = (1.0, 1.0, 3.0)
BOX = (96, 96, 24)
"""Voxels of a stored box at most."""
METRICS = ("dsc", "iou", "precision", "recall", "avd", "hausdorff", "hd95", "hd95_directed", "hd95_wmh", "assd", "nsd",
           "lesion_recall", "lesion_f1")  # fmt: skip
Values = dict[str, float]
Masks = tuple[np.ndarray, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zips", type=Path, required=True)
    parser.add_argument("--store", type=Path, help="keep boxes and numbers here, for the tests")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    stored: dict[str, np.ndarray] = {"spacing_mm": np.array(SPACING)}
    lines = [
        "`python benchmarks/parity.py`: real lesion masks, a made prediction; label 2 ignored. A peer's number is "
        f"given where it differs from ours by more than 1e-4; {versions()}.",
        "",
        f"| case | metric | ours | {' | '.join(PEERS)} |",
        f"|---|---|---|{'---|' * len(PEERS)}",
    ]
    for case, labels in read_cases(args.zips).items():
        prediction = predict(labels)
        ours = {name: value[1] for name, value in measure(prediction, labels, SPACING, [1], METRICS).items()}
        ignored = labels == 255
        masks = (prediction == 1) & ~ignored, labels == 1
        theirs = {peer: method(masks) for peer, method in PEERS.items()}
        for name in METRICS:
            cells = [cell(ours[name], values.get(name)) for values in theirs.values()]
            lines.append(f"| {case} | {name} | {ours[name]:.4f} | {' | '.join(cells)} |")
        stored |= {f"{case}/labels": labels, f"{case}/prediction": prediction}
        stored |= {
            f"{case}/{peer}/{name}": np.array(v) for peer, values in theirs.items() for name, v in values.items()
        }
    if args.store:
        np.savez_compressed(args.store, **stored)  # type: ignore[arg-type]
    publish(lines, HEADING, args.write)


def versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("SimpleITK", "medpy", "monai", "surface-distance"))


def cell(ours: float, theirs: float | None) -> str:
    if theirs is None:
        return "–"
    return "equal" if abs(ours - theirs) <= 1e-4 else f"{theirs:.4f}"


def read_cases(folder: Path) -> dict[str, np.ndarray]:
    """``{patient: labels of a box around its lesions}``, 255 where the challenge ignores."""
    found = {}
    for archive in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(archive) as content:
            for name in sorted(n for n in content.namelist() if n.endswith("wmh.nii.gz")):
                image = nibabel.Nifti1Image.from_stream(io.BytesIO(gunzip(content.read(name))))
                labels = np.asarray(image.dataobj).round().astype(np.uint8)
                labels[labels == 2] = 255
                found[archive.stem] = labels[box_around(labels == 1)]
    return found


def gunzip(data: bytes) -> bytes:
    import gzip

    return gzip.decompress(data)


def box_around(mask: np.ndarray) -> tuple[slice, ...]:
    """Two voxels more than the lesions need on each side, or the middle of that where it is larger than BOX."""
    tight = bounding_box(mask)
    assert tight is not None
    box = []
    for side, size, limit in zip(tight, mask.shape, BOX):
        start, stop = max(side.start - 2, 0), min(side.stop + 2, size)
        spare = max(stop - start - limit, 0)
        box.append(slice(start + spare // 2, stop - (spare - spare // 2)))
    return tuple(box)


def predict(labels: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    mask = labels == 1
    numbered, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)
    missed = (rng.random(count + 1) < 0.5) & (sizes < np.median(sizes[1:]))
    mask &= ~missed[numbered]
    noise = ndimage.gaussian_filter(rng.normal(size=mask.shape), (1.5, 1.5, 0.7))
    noise /= noise.std()
    inside, outside = (ndimage.distance_transform_edt(side, sampling=SPACING) for side in (mask, ~mask))
    return ((inside - outside + noise > 0) | (noise > 3.2)).astype(np.uint8)


def medpy(masks: Masks) -> Values:
    from medpy.metric import binary

    pred, gt = masks
    return {
        "dsc": binary.dc(pred, gt),
        "iou": binary.jc(pred, gt),
        "precision": binary.precision(pred, gt),
        "recall": binary.recall(pred, gt),
        "avd": 100 * abs(binary.ravd(pred, gt)),
        "hausdorff": binary.hd(pred, gt, SPACING),
        "hd95": binary.hd95(pred, gt, SPACING),
        "assd": binary.assd(pred, gt, SPACING),
    }


def monai(masks: Masks) -> Values:
    import torch
    from monai import metrics

    pred, gt = (torch.from_numpy(mask)[None, None] for mask in masks)
    options = {"include_background": True, "spacing": SPACING}
    return {
        "dsc": metrics.compute_dice(pred, gt).item(),
        "iou": metrics.compute_iou(pred, gt).item(),
        "hausdorff": metrics.compute_hausdorff_distance(pred, gt, **options).item(),
        "hd95_directed": metrics.compute_hausdorff_distance(pred, gt, percentile=95, **options).item(),
        "assd": metrics.compute_average_surface_distance(pred, gt, symmetric=True, **options).item(),
        "nsd": metrics.compute_surface_dice(pred, gt, [TOLERANCE_MM], **options).item(),
    }


def surface_distance(masks: Masks) -> Values:
    import surface_distance as deepmind

    pred, gt = masks
    distances = deepmind.compute_surface_distances(gt, pred, SPACING)
    return {
        "dsc": deepmind.compute_dice_coefficient(gt, pred),
        "hausdorff": deepmind.compute_robust_hausdorff(distances, 100),
        "hd95_directed": deepmind.compute_robust_hausdorff(distances, 95),
        "assd": sum(deepmind.compute_average_surface_distance(distances)) / 2,
        "nsd": deepmind.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM),
    }


def simple_itk(masks: Masks) -> Values:
    """Overlap, distances of contours from distance maps, and what the WMH challenge's evaluation does."""
    import SimpleITK

    pred, gt = (SimpleITK.GetImageFromArray(mask.astype(np.uint8).transpose()) for mask in masks)
    for image in (pred, gt):
        image.SetSpacing(SPACING)
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(pred, gt)
    # With a margin of background: beyond the image a contour filter sees the mask go on, medpy and we see it end.
    margin = [1, 1, 1]
    contours = [SimpleITK.LabelContour(SimpleITK.ConstantPad(image, margin, margin), False) for image in (pred, gt)]
    maps = [
        abs(SimpleITK.SignedMaurerDistanceMap(contour, squaredDistance=False, useImageSpacing=True))
        for contour in contours
    ]
    arrays, distances = ([SimpleITK.GetArrayFromImage(image) for image in images] for images in (contours, maps))
    both = [distances[1][arrays[0] > 0], distances[0][arrays[1] > 0]]
    return {
        "dsc": overlap.GetDiceCoefficient(1),
        "iou": overlap.GetJaccardCoefficient(1),
        "precision": 1 - overlap.GetFalseDiscoveryRate(1),
        "recall": 1 - overlap.GetFalseNegativeError(1),
        "hausdorff": max(found.max() for found in both),
        "hd95": float(np.percentile(np.concatenate(both), 95)),
        "hd95_directed": max(float(np.percentile(found, 95)) for found in both),
        "assd": float(np.concatenate(both).mean()),
        **challenge(pred, gt),
    }


def challenge(pred: object, gt: object) -> Values:
    """H95, AVD, lesion recall and F1 by the definitions of the WMH challenge's evaluation, with ITK's filters."""
    import SimpleITK

    arrays = [SimpleITK.GetArrayFromImage(image).astype(bool) for image in (pred, gt)]
    eroded = [SimpleITK.GetArrayFromImage(SimpleITK.BinaryErode(image, (1, 1, 0))) for image in (pred, gt)]
    points = [np.argwhere(a & (e == 0)) * SPACING[::-1] for a, e in zip(arrays, eroded)]
    there = [cKDTree(points[1 - i]).query(points[i])[0] for i in range(2)]
    lesions = [SimpleITK.GetArrayFromImage(SimpleITK.ConnectedComponent(image, True)) for image in (pred, gt)]
    touched = [len(np.unique(lesions[i][arrays[1 - i]]).nonzero()[0]) / lesions[i].max() for i in range(2)]
    return {
        "hd95_wmh": max(float(np.percentile(distance, 95)) for distance in there),
        "avd": 100 * abs(int(arrays[0].sum()) - int(arrays[1].sum())) / int(arrays[1].sum()),
        "lesion_recall": touched[1],
        "lesion_f1": 2 * touched[0] * touched[1] / (touched[0] + touched[1]),
    }


PEERS: dict[str, Callable[[Masks], Values]] = {
    "SimpleITK": simple_itk,
    "medpy": medpy,
    "MONAI": monai,
    "surface-distance": surface_distance,
}

if __name__ == "__main__":
    main()
