"""All that needs a GPU, in one command: the tests marked ``gpu``, then every benchmark that takes ``--device cuda``.

    PYTHONPATH=src python benchmarks/gpu.py [PARTS...] [--out FOLDER] [--minutes 9]      (make gpu GPU='tests dice')

It needs torch with CUDA, and pytest and hypothesis for the tests; packages that only some tests or peers need, such as
nibabel and MONAI, may be missing. The tables go to FOLDER/RESULTS.md, under the headings of benchmarks/RESULTS.md, and
all that was printed to FOLDER/log.txt, also of what ran into its limit. What no time was left for is said at the end,
with the command that runs it. The status is 1 where a part failed.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from boundary_loss import command

ROOT = Path(__file__).resolve().parent.parent
_LEAST = 20.0
"""Seconds; with fewer left no part is begun."""


@dataclass(frozen=True)
class Part:
    words: tuple[str, ...]
    """What Python runs, in the repository."""
    limit: float
    """Seconds."""


def benchmark(name: str, limit: float, *options: str) -> Part:
    return Part((f"benchmarks/{name}.py", *options), limit)


PARTS = {
    # warnings of whatever versions are here are shown, and fail nothing
    "tests": Part(("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-o", "filterwarnings=default"), 150),
    "distances": benchmark("distances", 60, "--rounds", "5"),
    "dice": benchmark("dice", 75, "--rounds", "5"),
    "vnet": benchmark("vnet_step", 60),
    "occupancy": benchmark("occupancy", 60),
    "epoch": benchmark("epoch", 60, "--networks", "UNet", "--studies", "isles", "--epochs", "3"),
    "metrics": benchmark("metrics", 40, "--rounds", "5", "--labels_only"),
    "hausdorff": benchmark("hausdorff_step", 60, "--rounds", "1"),
    "epoch_bf16": benchmark("epoch", 60, "--networks", "UNet", "--studies", "isles", "--epochs", "3", "--amp", "bf16"),
    "windows": benchmark("windows", 60),
    "from_labels": benchmark("from_labels", 60, "--rounds", "3"),
    "losses": benchmark("losses", 90, "--rounds", "3"),
    "study": benchmark("study", 180, "--settings", "float32;AMP=bf16"),
    "network": benchmark("network", 120, "--compile", "--size", "256"),
    "tiles": benchmark("tiles", 150),
}


def main() -> None:
    parser = command.parser("Run the tests and benchmarks that need a GPU, each within its time.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--out", type=Path, default=Path("results/gpu"), help="folder of the tables")
    parser.add_argument("--minutes", type=float, default=9, help="for everything together")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu only tries this script")
    args = parser.parse_args()
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        raise ValueError(f"unknown part {unknown[0]}; known: {', '.join(PARTS)}")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"torch {torch.__version__} finds no GPU")
    end = time.monotonic() + 60 * args.minutes
    args.out.mkdir(parents=True, exist_ok=True)
    results, ended = args.out.resolve() / "RESULTS.md", {}
    with (args.out / "log.txt").open("ab") as log:
        for name in args.parts or PARTS:
            print(f"== {name}", flush=True)
            ended[name] = run(name, args.device, results, end - time.monotonic(), log.fileno())
            print(f"{name}: {ended[name]}", flush=True)
    print(f"\nTables: {args.out / 'RESULTS.md'}; all that was printed: {args.out / 'log.txt'}")
    again = [name for name, how in ended.items() if how != "done"]
    if again:
        print(f"Not done: {', '.join(f'{name} ({ended[name]})' for name in again)}. To run these:")
        print(f"PYTHONPATH=src python benchmarks/gpu.py {' '.join(again)} --out {args.out} --minutes {args.minutes:g}")
    sys.exit(1 if any(how.startswith("failed") for how in ended.values()) else 0)


def run(name: str, device: str, results: Path, left: float, log: int) -> str:
    """How the part ended."""
    if left < _LEAST:
        return "no time left"
    part = PARTS[name]
    words = [*part.words, *(test_words() if name == "tests" else ("--device", device, "--write", str(results)))]
    # a session of its own, so that what a part has started ends with it
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(["src", *filter(None, [os.environ.get("PYTHONPATH")])])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    limit = min(part.limit, left)
    try:
        status = follow(process, log, limit)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    if status is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"stopped after {limit:.0f} s"
    return "done" if status == 0 else f"failed with status {status}"


def follow(process: "subprocess.Popen[bytes]", log: int, limit: float) -> int | None:
    """Show what the process prints, and log it, until it ends; its status, or None when the seconds are over."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        ended = process.poll() is not None  # before the last look, which then sees all
        printed = process.stdout.read()
        if printed:
            os.write(log, printed)
            sys.stdout.buffer.write(printed)
            sys.stdout.buffer.flush()
        elif ended:
            return process.returncode
        else:
            time.sleep(0.1)
    return None


def test_words() -> list[str]:
    """The files with a test for the GPU that can be imported here, and a few processes where pytest-xdist is there."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "pytest.mark.gpu" in path.read_text()]
    if not find_spec("nibabel"):  # its tests read NIfTI files
        files = [path for path in files if path.parent.name != "predict"]
        print("nibabel is missing: without tests/predict", flush=True)
    processes = ["--numprocesses", "10"] if find_spec("xdist") else []
    return [*processes, *(str(path.relative_to(ROOT)) for path in files)]


if __name__ == "__main__":
    command.run(main)
