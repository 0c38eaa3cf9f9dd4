"""nnU-Net v2 with losses of the boundary, and its results in our metrics and statistics.

loss.py            the terms, and the loss that adds one to nnU-Net's own; needs torch only
mixins.py          what a trainer class inherits to train with a term
trainers/          named trainers, the only files that nnU-Net is pointed at
catalogue.py       the names of these trainers, and the export line that makes nnU-Net find them
layout.py          where nnU-Net keeps predictions, ground truths, labels and folds
images.py          a prediction and its ground truth, on one grid
measuring.py       the metrics of a case, for each label or region
summary.py         ``surface_summary.json``, beside nnU-Net's ``summary.json``
evaluation.py      from a folder of predictions to that file, in parallel, from where it was interrupted
comparison.py      several trainers in our statistics

``python -m boundary_loss.integrations.nnunet`` prints the line and the names, or measures (``evaluate``, ``compare``).
Importing this package imports none of them.
"""
