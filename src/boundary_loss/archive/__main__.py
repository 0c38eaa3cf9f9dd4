"""Pack a study's results, check an archive, put one back.

python -m boundary_loss.archive pack archives --study isles --folder results/isles
python -m boundary_loss.archive verify archives/boundary-loss-261121-0a1b2c3-host-isles.tar.gz
python -m boundary_loss.archive unpack archives/boundary-loss-261121-0a1b2c3-host-isles.tar.gz results
python -m boundary_loss.archive rerun archives/boundary-loss-261121-0a1b2c3-host-isles.tar.gz
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
from pathlib import Path

from boundary_loss import command
from boundary_loss.archive.packing import pack
from boundary_loss.archive.reading import unpack, verify
from boundary_loss.archive.redraw import check
from boundary_loss.archive.rerun import MADE_WITH, rerun
from boundary_loss.files import write_json, write_text
from boundary_loss.folders.run import RUN, RunFolder
from boundary_loss.statistics.comparison import runs_in


def arguments() -> argparse.Namespace:
    parser = command.parser("Pack a study's results, check an archive, put one back.")
    actions = parser.add_subparsers(dest="action", required=True)
    packing = actions.add_parser("pack", help="write archives/REPO-DATE-HASH-HOST-STUDY.tar.gz", allow_abbrev=False)
    packing.add_argument("destination", type=Path, help="the folder of archives")
    packing.add_argument("--study", help="name in the archive's name; default: the folder's")
    packing.add_argument("--folder", type=Path, required=True, help="what is packed, as results/isles")
    packing.add_argument("--runs", type=Path, nargs="+", help="runs in that folder; default: all finished ones")
    packing.add_argument("--ledger", type=Path, help="the study's file; default: STUDY.make where it is here")
    packing.add_argument("--made_with", nargs="+", default=[], metavar="NAME=VALUE", help="make's variables, for rerun")
    packing.add_argument("--data", nargs="+", default=[], help="sliced data of the runs, for rerun")
    packing.add_argument("--stamp", type=Path, help="a file to write the archive's path into, last")
    unpacking = actions.add_parser("unpack", help="put a study back, as results/isles", allow_abbrev=False)
    unpacking.add_argument("archive", type=Path)
    unpacking.add_argument("destination", type=Path, help="the folder of results, as results")
    verifying = actions.add_parser("verify", help="checksums, arrays, and all drawn again", allow_abbrev=False)
    verifying.add_argument("archive", type=Path)
    verifying.add_argument("--quick", action="store_true", help="checksums only")
    again = actions.add_parser("rerun", help="the commands that made an archive", allow_abbrev=False)
    again.add_argument("archive", type=Path)
    again.add_argument("--run", action="store_true", help="run them here, and compare what comes out")
    again.add_argument("--make", nargs="+", action="extend", default=[], metavar="NAME=VALUE",
                       help="further variables for make, instead of the archive's")  # fmt: skip
    again.add_argument("--trust_code", action="store_true", help="where it names networks or losses by import path")
    return parser.parse_args()


def find_ledger(given: Path | None, run: Path) -> Path | None:
    """Return the ledger file given, or that of the run's study if it is in the current folder."""
    if given is not None:
        if not given.is_file():
            raise FileNotFoundError(f"no ledger at {given}")
        return given
    default = Path(f"{RunFolder(run).record.study}.make")
    return default if default.is_file() else None


def main() -> None:
    args = arguments()
    if args.action == "verify":
        print(f"{args.archive}: {verify(args.archive)} files, all as they were packed")
        if not args.quick:
            print("\n".join(check(args.archive)))
    elif args.action == "rerun":
        rerun(args.archive, run=args.run, make=args.make, trust_code=args.trust_code)
    elif args.action == "unpack":
        folder, aside = unpack(args.archive, args.destination)
        if aside is not None:
            print(f"what stood at {folder} is kept as {aside}")
        print(f"{folder} unpacked")
    else:
        runs = args.runs or runs_in(args.folder)
        ledger = find_ledger(args.ledger, runs[0]) if runs and (runs[0] / RUN).is_file() else args.ledger
        if args.made_with and ledger is not None:
            variables = dict(word.split("=", 1) for word in args.made_with)
            write_json(args.folder / MADE_WITH, {"ledger": ledger.name, "data": args.data, "variables": variables})
        study = args.study or args.folder.resolve().name
        archive = pack(args.destination, study, args.folder, runs, ledger=ledger, stamp=args.stamp)
        print(archive)
        if args.stamp is not None:
            write_text(args.stamp, f"{archive}\n")


if __name__ == "__main__":
    command.run(main)
