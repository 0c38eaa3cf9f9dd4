"""Back to the scanner's space: predictions as NIfTI volumes, voxel on voxel with the images they belong to.

restore.py    slices -> a volume in the grid of its source
saved.py      the predictions that a training saved
inference.py  a network on a volume, slice by slice or whole
locating.py   the box that a network is shown of a new case
cases.py      which new cases there are
new.py        a folder of predictions of new cases, gone on with where it was left
__main__.py   the command
"""
