"""Data sets that people have already: the folder or ``.tar`` of nnU-Net v2 or of the Medical Segmentation Decathlon.

dataset.py     what a data set declares, whichever its layout; faults, all at once
nnunet.py      the layout of nnU-Net v2
decathlon.py   the layout of the Decathlon
tarball.py     the members of a .tar
plan.py        2D or 3D, and what fits the sizes
bring.py       the files of a study: links, unpacked members, channels one by one
study.py       the study that the preparation runs
"""

from boundary_loss.own.study import study_of

__all__ = ["study_of"]
