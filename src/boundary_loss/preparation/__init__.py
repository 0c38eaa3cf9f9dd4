"""From unpacked volumes to a folder of slices or of whole volumes: one engine, a short declaration for each dataset.

``preprocess/slice_*.py`` and ``prepare_*.py`` say where a dataset's files are and what must be true of them; everything
else is here:

    study.py         what a dataset declares
    options.py       which headers are believed, for slicing and prediction alike
    checks.py        what must be true of every case, before anything is written
    label_values.py  the label values of a file, and the classes made of them
    split.py         which patients are held out
    shown.py         what a network is shown of a case: normalised, resized
    slices.py        one case: prepare, measure distances, cut into slices, write
    whole.py         one case: keep its arrays as they are, measure what scales them
    normalisation.py how values become what a network sees of whole volumes
    recording.py     what is written down of either kind of folder
    copies.py        altered copies of training slices
    workers.py       cases in parallel
    engine.py        the command
    layout.py        new, unlabelled cases in a folder
"""

from boundary_loss.preparation.engine import run
from boundary_loss.preparation.study import Case, Files, Study, volume_names

__all__ = ["Case", "Files", "Study", "run", "volume_names"]
