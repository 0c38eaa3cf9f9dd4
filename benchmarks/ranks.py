"""One run trained by one process and by several: their curves over each other, and how far apart they are.

    PYTHONPATH=src python benchmarks/ranks.py results/ranks --nproc 2 --network 'UNet(width=4)' --epochs 12

``one`` and ``several`` differ by rounding, which training amplifies. ``other threads`` shows how much: one process
again, with another number of threads, which adds up in another order. ``other seed`` is a real difference.
Draws val_dice.png and tra_loss.png in the folder. On GPUs: ``--device cuda``, where the threads make no difference.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from phantomstudies import write_study

ARRAYS = ("tra_loss", "val_loss", "tra_dice", "val_dice")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder for the runs")
    parser.add_argument("--nproc", type=int, default=2)
    parser.add_argument("--network", default="UNet(width=4)")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--slices", type=int, default=45, help="of the training set; 45 in batches of 8 leave 5")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    data = write_study(args.folder / "data", "isles", args.size, {"train": args.slices, "val": 20}).path
    several = f"{args.nproc} processes"
    runs = {
        "one process": train(args, data, "one", threads=1),
        several: train(args, data, "several", "--nproc", str(args.nproc), threads=1),
        "other threads": train(args, data, "other_threads", threads=2),
        "other seed": train(args, data, "other_seed", "--seed", "1", threads=1),
    }
    print("\n| largest difference to one process | " + " | ".join(runs) + " |\n|---|" + "---|" * len(runs))
    for name in ARRAYS:
        one, *_ = arrays = [np.load(run / f"{name}.npy").mean(axis=1) for run in runs.values()]
        print(f"| {name}, mean of an epoch | " + " | ".join(f"{abs(found - one).max():.1e}" for found in arrays) + " |")
    for name in ("tra_loss", "val_dice"):
        shown = [str(run) for run in runs.values()]
        call("boundary_loss.plot", str(args.folder / f"{name}.png"), "--runs", *shown, "--study", "isles")


def train(args: argparse.Namespace, data: Path, name: str, *options: str, threads: int) -> Path:
    start = time.perf_counter()
    settings = ["--network", args.network, "--epochs", str(args.epochs), "--device", args.device]
    losses = ["--losses", "gdl:1", "boundary:0.01@1", "ce:0.1@1"]  # the last is no mean over slices
    call(
        "boundary_loss.train",
        str(args.folder / name),
        "--data",
        str(data),
        *losses,
        *settings,
        *options,
        threads=threads,
    )
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return args.folder / name


def call(module: str, *words: str, threads: int = 1) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-m", module, *words], check=True, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
