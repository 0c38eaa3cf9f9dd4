"""Where a result comes from: commit, difference to it, versions. Never the environment, no user or machine names."""

import importlib.metadata
import platform
import subprocess

from boundary_loss.native import library

PACKAGES = ("torch", "numpy", "scipy", "nibabel", "scikit-image", "pillow")


def git(*arguments: str) -> str | None:
    """The output of a git command in the current folder; None without git or outside a repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


def commit() -> str:
    return (git("rev-parse", "HEAD") or "unknown").strip()


def difference() -> str:
    """What the working tree holds beyond the commit: the diff of tracked files and the names of untracked ones."""
    diff = git("diff", "HEAD") or ""
    untracked = git("ls-files", "--others", "--exclude-standard") or ""
    return diff + "".join(f"untracked: {name}\n" for name in untracked.splitlines())


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    found["kernels for the CPU"] = "compiled" if library() else "none"  # they round a loss otherwise
    return found
