"""Seconds an epoch of a study of full size takes, what the whole study then takes, and whether it repeats itself.

    PYTHONPATH=src python benchmarks/study.py [--device cuda] [--network UNet] [--write benchmarks/RESULTS.md]

ISLES in its full size (94 cases, five modalities, 256 x 256) with the real command, for each of the four rows of
isles.make and each setting; an epoch is a training's own count, the first is left out (it warms up). The projection is
four rows of 100 epochs. Then one row is trained twice with DETERMINISTIC=1, and every array and weight is compared.
"""

import argparse
import hashlib
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from memory import full_size
from turns import machine, write_section

ROWS = {
    "gdl": ["gdl:1"],
    "gdl_surface_steal": ["gdl:1", "boundary:0.01@1"],
    "gdl_3d_surface_steal": ["gdl:1", "boundary(map=3d):0.01@1"],
    "gdl_hausdorff_w": ["gdl:1", "hausdorff:0.1@1"],
}
SETTINGS = {
    "float32": [],
    "AMP=bf16": ["--amp", "bf16"],
    "AMP=bf16 COMPILE=1": ["--amp", "bf16", "--compile"],
}
EPOCHS_OF_THE_STUDY = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--network", default="UNet")
    parser.add_argument("--cases", type=int, default=94)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=4, help="of each training, the first not counted")
    parser.add_argument("--settings", default=";".join(SETTINGS), help="separated by ';'")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    wanted = args.settings.split(";")
    lines = [
        f"{machine('cuda' if args.device == 'cuda' else 'cpu')}. {args.cases} cases of six slices, five modalities, "
        f"{args.size} x {args.size}; {args.network}; seconds an epoch, median of {args.epochs - 1}. "
        "`python benchmarks/study.py`",
        "",
        f"| setting | {' | '.join(ROWS)} | the study: 4 x {EPOCHS_OF_THE_STUDY} epochs |",
        "|---" * (len(ROWS) + 2) + "|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as name:
        data = full_size(Path(name) / "data", args.cases, 6, args.size)
        for setting in wanted:
            took = [
                epoch_seconds(Path(name) / f"{setting} {row}", data, terms, SETTINGS[setting], args)
                for row, terms in ROWS.items()
            ]
            minutes = EPOCHS_OF_THE_STUDY * sum(took) / 60
            lines.append(f"| {setting} | {' | '.join(f'{seconds:.2f}' for seconds in took)} | {minutes:.1f} min |")
            print(lines[-1], flush=True)
        lines += ["", repeats(Path(name), data, args)]
        print(lines[-1], flush=True)
    if args.write:
        write_section(args.write, "A whole study", "\n".join(lines))


def epoch_seconds(run: Path, data: Path, terms: list[str], options: list[str], args: argparse.Namespace) -> float:
    printed = train(run, data, terms, [*options, "--epochs", str(args.epochs)], args)
    seconds = [float(found) for found in re.findall(r"([\d.]+) s, left", printed)]
    if len(seconds) != args.epochs:
        raise RuntimeError(f"{len(seconds)} of {args.epochs} epochs were printed:\n{printed}")
    return statistics.median(seconds[1:])


def train(run: Path, data: Path, terms: list[str], options: list[str], args: argparse.Namespace) -> str:
    words = [sys.executable, "-m", "boundary_loss.train", str(run), "--data", str(data), "--losses", *terms]
    words += ["--network", args.network, "--device", args.device, *options]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def repeats(folder: Path, data: Path, args: argparse.Namespace) -> str:
    """Whether two trainings with DETERMINISTIC=1 leave the same bytes."""
    found = []
    for again in ("first", "second"):
        run = folder / f"deterministic {again}"
        train(run, data, ROWS["gdl_surface_steal"], ["--deterministic", "--epochs", "2"], args)
        found.append({str(path.relative_to(run)): digest(path) for path in sorted(run.rglob("*")) if kept(path)})
    differ = [name for name in found[0] if found[0][name] != found[1].get(name)]
    if len(found[0]) != len(found[1]) or differ:
        return f"DETERMINISTIC=1: {len(differ)} of {len(found[0])} files differ, as {', '.join(differ[:5])}."
    return f"DETERMINISTIC=1: all {len(found[0])} arrays, pictures and weights of two trainings are the same bytes."


def kept(path: Path) -> bool:
    return path.suffix in (".npy", ".png", ".pkl", ".npz")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
