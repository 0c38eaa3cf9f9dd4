"""What each number means, in words that stand beside the numbers."""

DEFINITIONS = {
    "val_3d_dsc": "Dice coefficient 2|P∩G| / (|P|+|G|) of all voxels of a volume, P predicted and G ground truth.",
    "val_3d_hausdorff": "Hausdorff distance: the largest distance from a border voxel of one mask to the nearest "
    "border voxel of the other, in both directions, in mm with the volume's spacing.",
    "val_3d_hd95": "95th percentile of the distances of both borders pooled (not the larger of two directed "
    "percentiles), in mm with the volume's spacing.",
    "val_3d_assd": "Average symmetric surface distance: the mean of the distances of all border voxels of both masks "
    "to the other mask's border, in mm.",
    "val_dice": "Dice coefficient of a single slice. A slice that is empty and predicted empty counts 1, which raises "
    "the mean of studies with many empty slices; not to be compared with the Dice of volumes.",
    "val_hausdorff": "Hausdorff distance within a single slice, in mm with the slice's spacing.",
    "val_boundary": "Boundary loss of the hard prediction (Kervadec et al. 2019): the mean over a slice of the signed "
    "distance map of the ground truth (mm, negative inside) where the class is predicted, 0 elsewhere.",
    "tra_dice": "Dice coefficient of single training slices, as the network stood while it trained.",
    "tra_loss": "Unweighted value of each loss on the training batches.",
    "val_loss": "Unweighted value of each loss on the validation batches.",
}

EMPTY_RULE = (
    "Where a class is absent from both ground truth and prediction, Dice is 1 and distances are 0. Where it is absent "
    "from exactly one of them, Dice is 0 and distances are the diagonal of the volume (or slice) in mm."
)

CHOICE_OF_EPOCH = (
    "The best epoch of each run was chosen on the same validation cases that are reported here, which is optimistic; "
    "the last epoch is free of that choice."
)
