"""Where a result comes from: commit, difference to it, versions. Never the environment, no user or machine names."""

import importlib.metadata
import os
import platform
import subprocess
import threading
from dataclasses import dataclass
from tempfile import TemporaryFile

from boundary_loss.native import library

PACKAGES = ("torch", "numpy", "scipy", "nibabel", "scikit-image", "pillow")

MOST_BYTES = 8 << 20
"""Of a difference that are kept; a diff beyond it is a data file under version control, not code."""
_PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Answer:
    """What git said."""

    content: bytes
    is_cut: bool = False
    """Whether there was more."""
    complaint: str = ""
    """Why there is no answer; empty if there is one."""


def ask(*arguments: str) -> Answer:
    """Run a git command in the current folder and return at most MOST_BYTES of its output; raises nothing."""
    plain = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}  # a repository that may only be read answers too
    with TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                ["git", "--no-pager", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env=os.environ | plain,
            )
        except OSError as error:
            return Answer(b"", complaint=f"git cannot be run ({error.strerror or error})")
        late = threading.Timer(_PATIENCE, process.kill)
        late.start()
        with process:
            assert process.stdout is not None
            content = process.stdout.read(MOST_BYTES + 1)
            is_cut = len(content) > MOST_BYTES
            if is_cut:
                process.kill()
        in_time = late.is_alive()
        late.cancel()
        if is_cut:
            return Answer(content[:MOST_BYTES], is_cut=True)
        if process.returncode == 0:
            return Answer(content)
        said.seek(0)
        reason = said.read(2000).decode(errors="replace").strip().partition("\n")[0]
    return Answer(b"", complaint=reason if in_time and reason else f"no answer within {_PATIENCE:g} s")


def git(*arguments: str) -> str | None:
    """The output of a git command in the current folder; None without git or outside a repository."""
    answer = ask(*arguments)
    return None if answer.complaint else answer.content.decode(errors="replace")


def commit() -> str:
    return (git("rev-parse", "HEAD") or "unknown").strip()


def refusal() -> str:
    """Why a repository that is there does not tell its commit, as where it belongs to another user; else empty."""
    complaint = ask("rev-parse", "HEAD").complaint
    return "" if "not a git repository" in complaint or "cannot be run" in complaint else complaint


def difference() -> bytes:
    """What the working tree holds beyond the commit: the diff of tracked files and the names of untracked ones.

    In bytes, as the files may be in any encoding; at most MOST_BYTES of each part, after which a line says so.
    """
    diff = ask("diff", "--no-ext-diff", "--no-color", "HEAD")
    untracked = ask("ls-files", "--others", "--exclude-standard")
    names = b"".join(b"untracked: " + name + b"\n" for name in untracked.content.splitlines())
    return b"".join((diff.content, _cut(diff), names, _cut(untracked)))


def _cut(answer: Answer) -> bytes:
    return f"\n# cut after {MOST_BYTES >> 20} MB\n".encode() if answer.is_cut else b""


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    found["kernels for the CPU"] = "compiled" if library() else "none"  # they round a loss otherwise
    return found
