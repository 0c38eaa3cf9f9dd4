"""Whether the compiled kernels are in use: ``python -m boundary_loss.native``."""

from boundary_loss.native import REMEDY, library

print("the compiled kernels are in use" if library() else f"no compiled kernels; {REMEDY}")
