"""Write a study's archives, synthetic, and the lineage file that goes with them.

python -m boundary_loss.phantom data/isles-phantom-zips --study isles --cases 40 --size 128 --seed 0
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import numpy as np
from tqdm import tqdm

from boundary_loss import command
from boundary_loss.files import new_folder
from boundary_loss.phantom import acdc, atria, brats, isles, lits, wmh
from boundary_loss.phantom.archive import new_archive, write_lineage

STUDIES: dict[str, ModuleType] = {
    "isles": isles,
    "wmh": wmh,
    "acdc": acdc,
    "atria": atria,
    "brats": brats,
    "lits": lits,
}
_SEEDED = ("acdc", "isles", "wmh", "atria", "brats", "lits")
"""The studies by the second number of their seeds: new ones come last, so that no other's phantom changes."""
LINEAGE = "phantom.lineage"
SMALLEST = 32


def write(study: str, target: Path, *, cases: int, size: int, seed: int, words: list[str]) -> list[str]:
    """Write the study's archives into a new folder; the same arguments give the same bytes. Returns their names."""
    module = STUDIES[study]
    rng = np.random.default_rng([seed, _SEEDED.index(study)])
    with new_folder(target) as grown:
        with ExitStack() as stack:
            archives = {name: stack.enter_context(new_archive(grown / name)) for name in module.ARCHIVES}
            steps = module.write(archives, rng, cases=cases, size=size)
            for _ in tqdm(steps, desc=f"phantom {study}", unit="case", disable=None, leave=False):
                pass
        recipe = f"{study}, {cases} cases of size {size}, seed {seed}"
        write_lineage(grown / LINEAGE, (grown / name for name in module.ARCHIVES), recipe)
        command.record(grown, words)
    return list(module.ARCHIVES)


def arguments() -> argparse.Namespace:
    parser = command.parser(
        f"Write synthetic archives in exactly a challenge's layout, with a lineage file. Studies: {', '.join(STUDIES)}."
    )
    parser.prog = "python -m boundary_loss.phantom"
    parser.add_argument("dest", type=Path, help="folder to make, for the archives and phantom.lineage")
    parser.add_argument("--study", choices=list(STUDIES), required=True, help="which challenge to imitate")
    parser.add_argument("--cases", type=int, default=40, help="number of patients (isles: training cases)")
    parser.add_argument(
        "--size",
        type=int,
        default=128,
        help="voxels along a side of a slice, about (brats: 256 is full size, lits: 512)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="move an existing folder aside and make it anew")
    args = parser.parse_args()
    if args.cases < 1 or args.size < SMALLEST or args.seed < 0:
        parser.error(f"--cases must be at least 1, --size at least {SMALLEST}, --seed not negative")
    return args


def main() -> None:
    args = arguments()
    words = command.settings(sys.argv[1:], beside=("--fresh",))
    if command.refuse_other_settings(args.dest, words, fresh=args.fresh):
        print(f"{args.dest} is already there")
        return
    names = write(args.study, args.dest, cases=args.cases, size=args.size, seed=args.seed, words=words)
    print(f"{args.dest}: {', '.join(names)} and {LINEAGE}")


if __name__ == "__main__":
    command.run(main)
