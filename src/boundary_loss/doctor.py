"""What is installed here, what will be slow and why: ``python -m boundary_loss doctor``.

Names and versions only, no paths and no environment, so that the page may be pasted into an issue.
"""

import importlib.metadata
import os
import platform
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from boundary_loss import __version__
from boundary_loss.native import REMEDY, library
from boundary_loss.native.build import COMPILERS


@dataclass(frozen=True)
class Package:
    """A package and what needs it."""

    name: str
    """As pip names it."""
    purpose: str
    extra: str = ""
    """Of pyproject.toml, in which it stands; empty for what is always installed, or comes with torch."""


REQUIRED = (
    Package("torch", "losses, distances, networks"),
    Package("numpy", "arrays"),
    Package("scipy", "distances without the compiled kernels, metrics"),
    Package("nibabel", "NIfTI volumes"),
    Package("scikit-image", "slicing, resizing, overlays"),
    Package("matplotlib", "plots"),
    Package("pillow", "slices as PNG"),
    Package("tqdm", "progress bars"),
)
OPTIONAL = (
    Package("triton", "the kernels for CUDA; torch's builds for CUDA bring it"),
    Package("pynrrd", "volumes as .nrrd, .nhdr", "volumes"),
    Package("h5py", "volumes as .h5", "volumes"),
    Package("trimesh", "smoothed meshes", "mesh"),
    Package("fast-simplification", "meshes of fewer triangles", "mesh"),
    Package("tensorboard", "TRACK=tensorboard", "track"),
    Package("nnunetv2", "trainers for nnU-Net", "nnunet"),
    Package("pytest", "make test", "test"),
    Package("hypothesis", "make test", "test"),
    Package("pytest-xdist", "make test", "test"),
    Package("ruff", "make check", "check"),
    Package("mypy", "make check", "check"),
    Package("import-linter", "make check", "check"),
    Package("sphinx", "make docs, in .venv-docs", "docs"),
    Package("furo", "make docs, in .venv-docs", "docs"),
    Package("myst-parser", "make docs, in .venv-docs", "docs"),
    Package("monai", "a peer of the benchmarks and of some tests", "bench"),
    Package("medpy", "a peer of the benchmarks and of some tests", "bench"),
    Package("edt", "a peer of the benchmarks", "bench"),
    Package("opencv-python-headless", "a peer of the benchmarks", "bench"),
    Package("kornia", "a peer of the benchmarks", "bench"),
    Package("pymeshmetrics", "a peer of the benchmarks and of some tests", "bench"),
    Package("surface-distance", "a peer of the benchmarks", "bench"),
)


@dataclass(frozen=True)
class Machine:
    """What decides how fast distances and losses are here."""

    cores: int
    """That this process may use."""
    threads: int
    """Of torch."""
    gpus: tuple[str, ...]
    """That torch can use, CUDA's by name; ``mps`` is Apple's."""
    cuda: str | None
    """The version of CUDA that torch was built for."""
    has_driver: bool
    """Whether NVIDIA's driver is installed."""
    has_triton: bool
    compiler: str | None
    """The C compiler that would be taken."""
    has_kernels: bool
    fault: str
    """Why the compiled kernels do not load, if they are there."""


def version(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def look() -> Machine:
    """Look at this machine; needs torch."""
    import torch

    has_cuda = torch.cuda.is_available()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if has_cuda else []
    gpus += ["mps"] if torch.backends.mps.is_available() else []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fault = _fault_of_kernels()
    return Machine(
        cores=cores,
        threads=torch.get_num_threads(),
        gpus=tuple(gpus),
        cuda=torch.version.cuda,
        has_driver=shutil.which("nvidia-smi") is not None,
        has_triton=find_spec("triton") is not None,
        compiler=next(filter(shutil.which, COMPILERS), None),
        has_kernels=library() is not None,
        fault=fault,
    )


def _fault_of_kernels() -> str:
    """What :func:`boundary_loss.native.library` warns of, without the folder."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        library()
    here = str(Path(__file__).parent)
    return "; ".join(str(warning.message).replace(here, "boundary_loss") for warning in said)


def slow(machine: Machine) -> Iterator[str]:
    """What will be slow on this machine, why, and what helps; a sentence each."""
    if machine.fault:
        yield f"on the CPU: {machine.fault}"
    elif not machine.has_kernels:
        helps = REMEDY if machine.compiler else f"install a C compiler (gcc, clang), then {REMEDY}"
        yield f"distances, fused losses and augmentation on the CPU: the kernels in C are not compiled; {helps}"
    if machine.threads < machine.cores:
        yield (
            f"work on the CPU: torch uses {machine.threads} of {machine.cores} cores; OMP_NUM_THREADS or "
            "torch.set_num_threads sets how many"
        )
    if "mps" in machine.gpus:
        yield "distances and fused losses on mps: there are no kernels for it, PyTorch's operations are taken"
    if not machine.gpus and machine.has_driver:
        why = "finds no GPU it can use" if machine.cuda else "is a build without CUDA; pytorch.org has one with"
        yield f"everything on the GPU: NVIDIA's driver is here, but torch {why}"
    if machine.cuda and machine.gpus and not machine.has_triton:
        yield "distances and fused losses on the GPU: PyTorch's operations are taken; python -m pip install triton"
    if machine.cuda and machine.gpus and machine.has_triton and not machine.compiler:
        yield "distances and fused losses on the GPU cannot start: Triton needs a C compiler (gcc, clang)"


def page(machine: Machine | None) -> str:
    """The whole answer; ``machine`` is None where torch is missing."""
    python, system = platform.python_version(), f"{platform.system()} {platform.machine()}"
    lines = [f"boundary-loss {__version__}, Python {python}, {system}"]
    if machine is not None:
        lines += list(_facts(machine))
        found = list(slow(machine))
        lines += ["", "what will be slow", *(f"  {sentence}" for sentence in found or ["nothing that is known of"])]
    lines += ["", "packages that are always needed", *map(_row, REQUIRED)]
    lines += ["", "optional packages", *map(_row, OPTIONAL)]
    return "\n".join(lines)


def _facts(machine: Machine) -> Iterator[str]:
    yield f"CPU      {machine.cores} cores, {machine.threads} threads of torch"
    yield f"kernels  {'in use' if machine.has_kernels else 'not in use'}, for the CPU"
    yield f"compiler {machine.compiler or 'none'}, for C"
    yield f"GPU      {', '.join(machine.gpus) or 'none'}; torch is built {_cuda(machine.cuda)}"
    yield f"Triton   {'installed' if machine.has_triton else 'not installed'}, for the kernels on CUDA"


def _cuda(built_for: str | None) -> str:
    return f"for CUDA {built_for}" if built_for else "without CUDA"


def _row(package: Package) -> str:
    found = version(package.name)
    missing = "" if found else f"; python -m pip install {package.name}"
    return f"  {package.name:24}{found or 'missing':16}{package.purpose}{missing}"


def main() -> int:
    """Print the page; status 1 where a package is missing that is always needed."""
    print(page(look() if find_spec("torch") else None))
    return int(any(version(package.name) is None for package in REQUIRED))
