"""The samples of training and validation: slices, patches, whole cases and points, with distance maps, augmented."""

from boundary_loss.data.augmentation import Augmentation
from boundary_loss.data.needs import MapNeed, check_needs
from boundary_loss.data.samples import Batch, Samples
from boundary_loss.data.slices import Slices
from boundary_loss.data.view import View
from boundary_loss.data.volumes import Cases, Patches

__all__ = ["Augmentation", "Batch", "Cases", "MapNeed", "Patches", "Samples", "Slices", "View", "check_needs"]
