"""Synthetic archives in exactly the layout of each challenge, to try the pipeline without the licensed data.

Shapes, spacings, dtypes, folder and file names are the challenge's; the anatomy is drawn from a few formulas
and noise. The lesions are small, unbalanced and surrounded by things that look like them, so that losses
differ; no score on them says anything about patients.
"""
