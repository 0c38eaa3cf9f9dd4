"""Can a study be killed? Twenty times at random moments, in five ways, and compared with one left in peace.

    PYTHONPATH=src python benchmarks/soak.py [--kills 20] [--seed 0] [--study isles|atria|brats] [--write FILE]

Two copies of the repository make the same small study from synthetic archives, through make. One of them is killed
again and again; the make after the last kill ends it. Arrays, weights, pictures, tables and the sliced data must
then be the same files with the same bytes. Exit status 1 where they are not.
"""

import collections
import contextlib
import os
import platform
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from turns import publish

from boundary_loss import command
from boundary_loss.command import Stop

REPOSITORY = Path(__file__).resolve().parent.parent


def group(number: int) -> Callable[[int], None]:
    return lambda leader: os.killpg(leader, number)


def make_alone(leader: int) -> None:
    os.kill(leader, signal.SIGTERM)


def work_alone(leader: int) -> None:
    """All but make itself, without warning."""
    for process in members(leader):
        with contextlib.suppress(ProcessLookupError):
            if process != leader:
                os.kill(process, signal.SIGKILL)


Endings = collections.Counter[tuple[str, str]]
"""How often a way to kill had which ending."""

STUDIES = {
    "isles": [
        "PHANTOM=--cases 6 --size 32",
        "TRAIN=--save_train",
        "NET=UNet(width=4)",
        "RUNS=gdl gdl_3d_surface_steal",
    ],
    "atria": ["PHANTOM=--cases 6 --size 40", "RUNS=dice hybrid", "dice.sample=patch(16,16,8,each=2)"],
    "brats": ["PHANTOM=--cases 6 --size 24", "RUNS=oss_c"],
}
"""Words of make for each study: of slices; of whole volumes with a locator, patches and boxes; of points of volumes."""

WAYS: dict[str, Callable[[int], None]] = {
    "kill -9 of all": group(signal.SIGKILL),
    "kill -9 of what make runs": work_alone,
    "SIGTERM to all": group(signal.SIGTERM),
    "SIGTERM to make": make_alone,
    "Ctrl-C": group(signal.SIGINT),
}


def main() -> None:
    parser = command.parser("Kill a study again and again, and compare it with one left in peace.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the ways")
    parser.add_argument("--longest", type=float, default=6, help="seconds before a kill, beside Python's start")
    parser.add_argument("--epochs", type=int, default=150, help="of each training: enough for so many kills")
    parser.add_argument("--goals", nargs="+", default=["all"], help="of make")
    parser.add_argument("--study", choices=STUDIES, default="isles")
    parser.add_argument("--words", nargs="*", help="of make, instead of those of the study")
    parser.add_argument("--write", type=Path, help="replace the section of the study in this file")
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what ignores Ctrl-C, as with nohup, hands that down
    words = ["SRC=phantom", "RETAIN=2", f"EPC={args.epochs}", *(args.words or STUDIES[args.study])]
    make = ["make", "-f", f"{args.study}.make", f"CC={sys.executable}", *words, *args.goals]
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        peaceful, disturbed = (copy_repository(Path(place) / name) for name in ("peaceful", "disturbed"))
        finish(make, peaceful)
        endings = disturb(make, disturbed, args.kills, args.longest, random.Random(args.seed))
        finish(make, disturbed)
        alike, compared = compare(peaceful, disturbed)
    heading = f"Soak of {args.study}.make" if args.write else "Soak"
    publish(["", *section([*make[1:3], *make[4:]], endings), "", *compared], heading, args.write if alike else None)
    if not alike:
        sys.exit(1)
    if endings.total() < args.kills:
        raise Stop(f"the study was complete after {endings.total()} kills; take more --epochs")


def section(words: list[str], endings: Endings) -> list[str]:
    """Return the lines of the results that say what was killed, how, and what its last command said."""
    cores = f"{os.cpu_count()} shared cores, {platform.machine()}, torch {torch.__version__}"
    table = [f"| {way} | {ending} | {count} |" for (way, ending), count in sorted(endings.items())]
    return [
        f"`make {shlex.join(words)}`, {endings.total()} kills; {cores}.", "",
        "| way | what the command said | times |", "|---|---|---|", *table,
    ]  # fmt: skip


def copy_repository(to: Path) -> Path:
    """The files that git knows or would, without its history."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, to / name)
    return to


def start(make: list[str], where: Path) -> "subprocess.Popen[str]":
    """In a group of its own, as a terminal starts it; one thread a process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.Popen(
        make, cwd=where, env=environment | {"OMP_NUM_THREADS": "1"}, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(make: list[str], where: Path) -> None:
    process = start(make, where)
    out = process.communicate()[0]
    if process.returncode:
        raise Stop(f"{where.name}: make ended in {process.returncode}\n{out}")


def disturb(make: list[str], where: Path, kills: int, longest: float, chance: random.Random) -> Endings:
    """Start make, kill it up to ``longest`` seconds after its libraries, and say how it took it; so many times.

    Returns:
        How the kills ended: fewer than ``kills`` where the study was complete before.
    """
    endings = Endings()
    ways = [list(WAYS)[i % len(WAYS)] for i in range(kills)]
    chance.shuffle(ways)
    for i, way in enumerate(ways, start=1):
        wait = seconds_to_start() + chance.uniform(-1, longest)
        process = start(make, where)
        with contextlib.suppress(subprocess.TimeoutExpired):
            out = process.communicate(timeout=max(wait, 0.1))[0]
            if process.returncode:
                raise Stop(f"make ended by itself, in {process.returncode}, before kill {i}\n{out}")
            return endings
        WAYS[way](process.pid)
        out = process.communicate()[0]
        while list(members(process.pid)):
            time.sleep(0.05)
        lines = [line for line in out.splitlines() if line and not line.startswith("make")]
        last = next((line for line in reversed(lines) if "error:" in line), lines[-1] if lines else "nothing was said")
        endings[way, said(out)] += 1
        print(f"{i:3d}  after {wait:4.1f} s  {way:26s} status {process.returncode:4d}  {last[:110]}", flush=True)
    return endings


def said(out: str) -> str:
    """How the command that was running ended."""
    for mark in ("saved, and the same command", "what is finished is kept", "Traceback"):
        if mark in out:
            return {"s": "saved a step", "w": "one line, nothing to save", "T": "a traceback"}[mark[0]]
    return "ended without a word"


def seconds_to_start() -> float:
    """What a command takes to load its libraries: on a busy machine most of a short life."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.monotonic() - begin


def members(leader: int) -> Iterator[int]:
    """The living processes of a group."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(its_group) == leader and state != "Z":
                    yield int(entry.name)


def compare(peaceful: Path, disturbed: Path) -> tuple[bool, list[str]]:
    """Whether both hold the same files with the same bytes; and lines that say which do not."""
    expected, found = results(peaceful), results(disturbed)
    missing, more = sorted(expected - found), sorted(found - expected)
    differing = [path for path in sorted(expected & found) if not same(peaceful / path, disturbed / path)]
    kinds = collections.Counter(path.suffix for path in expected)
    lines = [f"{len(expected)} files: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}", ""]
    for what, paths in {"missing": missing, "left over": more, "differing": differing}.items():
        lines.append(f"{what}: {len(paths)}  ")
        lines += [f"    {path}" for path in paths[:10]]
    return not (missing or more or differing), lines


def results(where: Path) -> set[Path]:
    """Everything that was made, but what tells how and when: settings, differences to git, dated pages, locks."""
    story = {"run.json", "repo.diff", "checkpoint.pt", "previous_checkpoint.pt"}
    story |= {"report.html", "index.html", "archive.txt"}
    files = (path for folder in ("data", "results") for path in (where / folder).rglob("*") if path.is_file())
    return {path.relative_to(where) for path in files if path.name not in story and path.suffix != ".lock"}


def same(a: Path, b: Path) -> bool:
    return a.read_bytes() == b.read_bytes()


if __name__ == "__main__":
    command.run(main)
