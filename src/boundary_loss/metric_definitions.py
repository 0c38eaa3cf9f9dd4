"""Every metric of a run folder by the name of its array: what it means, its unit, the challenges' own sets.

``val_3d_*`` is measured on volumes, ``val_*`` on slices: 2D and 3D never share an array. Light: no SciPy, no torch.
make reads the names of arrays and sets from this file with sed, so each begins a line of its table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from boundary_loss.empty_masks import DISTANCE, EJECTION, NO_RULE, PERCENT, SCORE

SLICES = "slices"
POINTS = "points"
ITEMS = {
    SLICES: "",
    "volumes": "Dice coefficient of all voxels of a case, in the grid of its source.",
    POINTS: "Dice coefficient of the points of a case that were sampled, not of its voxels.",
}
"""What ``tra_dice`` and ``val_dice`` have a row for, and what their Dice then is; that of slices is defined below."""

TOLERANCE_MM = 2.0
"""Of ``val_3d_nsd``."""


@dataclass(frozen=True)
class Metric:
    """How an array of a run folder is drawn and read."""

    label: str
    unit: str = ""
    lower_is_better: bool = False
    rows: str = "val"
    """Which list of ``rows.json`` names axis 1; empty where the axis has no names (batches)."""
    columns: str = "classes"
    """Which list of ``rows.json`` names axis 2."""
    definition: str = ""
    where_empty: str = NO_RULE
    """Which part of the empty-mask rule (:mod:`boundary_loss.empty_masks`) holds for it."""
    items: str = SLICES
    """What the lists ``train`` and ``val`` name: one of ITEMS."""

    @property
    def noun(self) -> str:
        """What is counted along axis 1: volumes, patients, slices or batches."""
        of_items = SLICES if self.items == SLICES else "volumes"
        return {"": "batches", "train": of_items, "val": of_items}.get(self.rows, self.rows)

    @property
    def decimals(self) -> int:
        """Three for an overlap, two for millimetres and millilitres, one for percentages and counts."""
        return {"mm": 2, "ml": 2, "%": 1, "lesions": 1}.get(self.unit, 3)


def _per_volume(label: str, definition: str, *, unit: str = "", rule: str = SCORE, lower: bool = False) -> Metric:
    head, comma, tail = label.partition(",")
    return Metric(f"validation {head} per volume{comma}{tail}", unit, lower, "volumes", "classes", definition, rule)


def _score(label: str, definition: str) -> Metric:
    return _per_volume(label, definition)


def _distance(label: str, definition: str) -> Metric:
    return _per_volume(label, definition, unit="mm", rule=DISTANCE, lower=True)


def _error(label: str, definition: str, unit: str, rule: str = NO_RULE) -> Metric:
    return _per_volume(label, definition, unit=unit, rule=rule, lower=True)


_LESION = "A lesion is a connected component, voxels that touch at a face, edge or corner being connected"
_DIRECTED = "The larger of the two directed 95th percentiles of surface, in mm"
_MEAN = "Mean distance over the area of both surfaces, in mm"
_SHARE = f"Share of both surfaces' area that lies within {TOLERANCE_MM:g} mm of the other (Nikolov et al. 2018)"
_SURFEL = (
    "a surface is the cells of 2 x 2 x 2 voxels that it runs through, each counting by the area there, and distances "
    "are between their middles; as in surface-distance."
)
_MESH = (
    "a surface is the triangles of marching cubes half way between voxels, each counting by its area, and distances "
    "are from their middles to the nearest place of the other; as in pymeshmetrics (Podobnik and Vrtovec 2025)."
)
_SMOOTH = (
    "as for meshes, whose places are first moved between the same two voxels to where the mask, smoothed by a Gaussian "
    "of 1.5 voxels, has the level that keeps its volume."
)
_SLICE_DICE = (
    "A slice that is empty and predicted empty counts 1, which raises the mean of studies with many empty slices; "
    "not to be compared with the Dice of volumes."
)

_TRAINING: dict[str, Metric] = {
    "tra_loss": Metric("training loss", "", True, "", "losses",
                       "Unweighted value of each loss on the training batches."),
    "val_loss": Metric("validation loss", "", True, "", "losses",
                       "Unweighted value of each loss on the validation batches."),
    "tra_dice": Metric("training Dice per slice (empty slice predicted empty = 1)", rows="train", where_empty=SCORE,
                       definition="Dice coefficient of single training slices, as the network stood while it trained. "
                       + _SLICE_DICE),
    "val_dice": Metric("validation Dice per slice (empty slice predicted empty = 1)", where_empty=SCORE,
                       definition="Dice coefficient of a single slice. " + _SLICE_DICE),
}  # fmt: skip

_OF_EVERY_STUDY: dict[str, Metric] = {
    "val_3d_dsc": _score("Dice", "Dice coefficient 2|P∩G| / (|P|+|G|) of all voxels of a volume, P predicted and G "
                         "ground truth."),
    "val_3d_iou": _score("IoU", "Intersection over union |P∩G| / |P∪G| of all voxels of a volume (Jaccard index)."),
    "val_3d_precision": _score("precision", "Share |P∩G| / |P| of the predicted voxels that are right."),
    "val_3d_recall": _score("recall", "Share |P∩G| / |G| of the ground truth's voxels that are found."),
    "val_3d_hausdorff": _distance("Hausdorff distance", "Hausdorff distance: the largest distance from a border voxel "
                                  "of one mask to the nearest border voxel of the other, in both directions, in mm "
                                  "with the volume's spacing."),
    "val_3d_hd95": _distance("HD95, pooled", "95th percentile of the distances of both borders pooled (not the larger "
                             "of two directed percentiles), in mm with the volume's spacing; as in medpy."),
    "val_3d_hd95_directed": _distance("directed HD95, maximum", "The larger of the two directed 95th percentiles of "
                                      "border distances, in mm with the volume's spacing; as in MONAI."),
    "val_3d_hd95_wmh": _distance("H95 of the WMH challenge", "The larger of the two directed 95th percentiles, as the "
                                 "WMH challenge measures it: a border voxel has one of its eight neighbours in the "
                                 "slice outside the mask; beyond the image's edge counts as inside. The border of a "
                                 "mask that fills its slices is their edge."),
    "val_3d_assd": _distance("average symmetric surface distance", "Average symmetric surface distance: mean of the "
                             "distances of all border voxels of both masks to the other's border, in mm."),
    "val_3d_nsd": _score(f"surface Dice at {TOLERANCE_MM:g} mm", "Normalised surface Dice (Nikolov et al. 2018), of "
                         "border voxels: the share of both masks' border voxels that lie within "
                         f"{TOLERANCE_MM:g} mm of the other's border."),
    "val_3d_volume_error": _error("volume error", "Difference |V(P) − V(G)| of the volumes, absolute, in ml.", "ml"),
    "val_3d_avd": _error("relative volume difference", "Absolute volume difference |V(P) − V(G)| / V(G), in per cent "
                         "(AVD of the WMH challenge).", "%", PERCENT),
    "val_3d_lesion_recall": _score("lesion recall", f"Share of the ground truth's lesions that any predicted voxel "
                                   f"touches. {_LESION} (WMH challenge)."),
    "val_3d_lesion_precision": _score("lesion precision", "Share of the predicted lesions that touch the ground truth. "
                                      f"{_LESION}."),
    "val_3d_lesion_f1": _score("lesion F1", "Harmonic mean of lesion recall and lesion precision (WMH challenge). "
                               f"{_LESION}. One blob over everything is one right lesion that finds all others: read "
                               "it beside Dice."),
    "val_3d_lesion_difference": _error("lesion count difference", "Number of predicted lesions against those of the "
                                       f"ground truth, absolute difference. {_LESION}.", "lesions"),
    "val_hausdorff": Metric("validation Hausdorff distance per slice", "mm", True, SLICES, where_empty=DISTANCE,
                            definition="Hausdorff distance within a single slice, in mm with the slice's spacing."),
    "val_boundary": Metric("validation boundary value per slice", "mm", True, SLICES,
                           definition="Boundary loss of the hard prediction (Kervadec et al. 2019): the mean over a "
                           "slice of the signed distance map of the ground truth (mm, negative inside) where the class "
                           "is predicted, 0 elsewhere."),
}  # fmt: skip

_OF_PAIRS: dict[str, Metric] = {
    "val_ejection_error": Metric("validation ejection fraction error per patient", "%", True, "patients",
                                 where_empty=EJECTION,
                                 definition="Absolute error of the ejection fraction (EDV − ESV) / EDV of a ventricle, "
                                 "in percentage points, from a patient's two volumes: the end of diastole is the one "
                                 "where the ground truth's ventricle is larger."),
}  # fmt: skip

_OF_AREAS: dict[str, Metric] = {
    "val_3d_hd95_surfel": _distance("HD95 of surfels", f"{_DIRECTED}: {_SURFEL}"),
    "val_3d_assd_surfel": _distance("average surface distance of surfels", f"{_MEAN}: {_SURFEL}"),
    "val_3d_nsd_surfel": _score("surface Dice of surfels", f"{_SHARE}: {_SURFEL}"),
    "val_3d_hd95_mesh": _distance("HD95 of meshes", f"{_DIRECTED}: {_MESH}"),
    "val_3d_assd_mesh": _distance("average surface distance of meshes", f"{_MEAN}: {_MESH}"),
    "val_3d_nsd_mesh": _score("surface Dice of meshes", f"{_SHARE}: {_MESH}"),
    "val_3d_hd95_smooth": _distance("HD95 of smooth meshes", f"{_DIRECTED}: {_SMOOTH}"),
    "val_3d_assd_smooth": _distance("average surface distance of smooth meshes", f"{_MEAN}: {_SMOOTH}"),
    "val_3d_nsd_smooth": _score("surface Dice of smooth meshes", f"{_SHARE}: {_SMOOTH}"),
}

METRICS: dict[str, Metric] = _TRAINING | _OF_EVERY_STUDY | _OF_AREAS | _OF_PAIRS
TRAINING_ARRAYS = tuple(_TRAINING)
EVALUATION_ARRAYS = tuple(_OF_EVERY_STUDY)
AREA_ARRAYS = tuple(_OF_AREAS)
"""Only where they are asked for: they take longer than all others together."""
PAIR_ARRAYS = tuple(_OF_PAIRS)
"""Only where patients have two volumes, at the end of diastole and of systole."""

METRIC_SETS: dict[str, tuple[str, ...]] = {
    "default": ("val_3d_dsc", "val_3d_hd95", "val_3d_hausdorff", "val_3d_assd", "val_dice", "val_hausdorff",
                "val_boundary"),
    "isles": ("val_3d_dsc", "val_3d_hausdorff", "val_3d_assd", "val_3d_precision", "val_3d_recall",
              "val_3d_volume_error"),
    "wmh": ("val_3d_dsc", "val_3d_hd95_wmh", "val_3d_avd", "val_3d_lesion_recall", "val_3d_lesion_f1"),
    "acdc": ("val_3d_dsc", "val_3d_hausdorff", "val_3d_volume_error", "val_ejection_error"),
    "volumes": ("val_3d_dsc", "val_3d_iou", "val_3d_precision", "val_3d_recall", "val_3d_hausdorff", "val_3d_hd95",
                "val_3d_assd"),
    "surfaces": ("val_3d_hd95", "val_3d_assd", "val_3d_nsd", *AREA_ARRAYS),
    "all": (*EVALUATION_ARRAYS, "val_dice"),
}  # fmt: skip
"""By name: today's default, what each challenge ranked by (ISLES 2018, WMH 2017, ACDC 2017), that of volumes, every
definition of a surface, and all that are measured without being asked for."""


def metric(name: str, items: str = SLICES) -> Metric:
    """Return the metric of that name, of a run whose items are these."""
    if name not in METRICS:
        raise ValueError(f"unknown metric '{name}'; known: {', '.join(METRICS)}")
    found = METRICS[name]
    if items == SLICES or found.rows not in ("train", "val"):
        return found
    which = "training" if found.rows == "train" else "validation"
    label = f"{which} Dice {'per volume' if items == 'volumes' else 'on sampled points'}"
    return replace(found, label=label, definition=ITEMS[items], items=items)


def expand(words: Sequence[str]) -> list[str]:
    """Names of arrays from names of arrays and of sets, each once, in the order given."""
    found: dict[str, None] = {}
    for word in words:
        if word not in METRIC_SETS and word not in METRICS:
            raise ValueError(f"unknown metric '{word}'; sets: {', '.join(METRIC_SETS)}; arrays: {', '.join(METRICS)}")
        found |= dict.fromkeys(METRIC_SETS.get(word, (word,)))
    return list(found)
