"""Altered slices at each step: text of the ledger -> what is drawn -> images, labels and maps together."""

from boundary_loss.data.augmentation.augment import Augmentation

__all__ = ["Augmentation"]
