"""The folders that the pipeline writes: the names and formats of their files. Importable without torch.

prepared.py  a folder of data ready for training, whatever kind: what its readers may ask
sliced.py    one of slices: images, labels, distance maps, spacings, split
whole.py     a folder of whole volumes, one preparation for slices, patches and points of them
epoch.py     the predictions of one epoch, as pictures or packed
volume_classes.py  those of one whole volume
run.py       a run: arrays, weights, settings, best epoch
grids.py     where the voxels of a source file lay
naming.py    the names of slices
pictures.py  arrays of bytes as PNGs
records.py   JSON files, checked as they are read
"""

from boundary_loss.folders import sliced, whole  # each makes its kind of prepared folder known

__all__ = ["sliced", "whole"]
