"""What every command shares: errors without a traceback, and a record of the settings that made a folder.

A command that makes a folder takes it as its first argument and writes the rest of its arguments to
``arguments.txt`` inside. make compares that line with what it would run now; where they differ, it runs
the command, which calls :func:`refuse_other_settings`.
"""

import argparse
import errno
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from boundary_loss.console import Console, decoded, taking_any_text
from boundary_loss.files import write_text
from boundary_loss.loading import loaded
from boundary_loss.signals import Interrupted, answer, restore

RECORD = "arguments.txt"
DEBUG = "--debug"
"""Among the arguments of a command, it shows the traceback of what caused a message, as of a user's own network."""


_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_THREADS = (
    "the system lets this process start no more threads: ulimit -v or ulimit -u is too low. What is finished is kept; "
    "OMP_NUM_THREADS=1 and fewer --workers need less"
)
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


class Stop(Exception):
    """Ends a command with one message and exit status 2: the user can mend it."""


USERS_FAULTS = (Stop, ValueError, FileNotFoundError, FileExistsError, NotADirectoryError)
"""What a user can mend: said without a traceback."""


def fail(message: str, status: int) -> int:
    """Say it in one line on stderr."""
    bare = sys.stderr.stream if isinstance(sys.stderr, Console) else sys.stderr
    bare.write("\033[31merror:\033[0m " if bare.isatty() else "error: ")
    print(message, file=sys.stderr)
    return status


def say(stop: Interrupted) -> int:
    return fail(str(stop), stop.status)


def run(main: Callable[[], Any], called_off: Callable[[Interrupted], int] = say) -> None:
    """Call a command's ``main``; what ends it early is said in one line on stderr. All that it prints is printable.

    Exit status 2 for what the user can mend, 130 after Ctrl-C, 75 after SIGTERM, of which ``called_off`` tells.
    """
    loaded()
    with taking_any_text():
        _run(main, called_off)


def _run(main: Callable[[], Any], called_off: Callable[[Interrupted], int]) -> None:
    before = answer(_end)
    try:
        main()
    except USERS_FAULTS as error:
        if error.__cause__ is not None and DEBUG in sys.argv:
            traceback.print_exception(error.__cause__)
        sys.exit(fail(str(error), 2))
    except BrokenPipeError:  # an OSError too, hence before it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's last flush finds a place
        sys.exit(1)
    except OSError as error:
        sys.exit(fail(_explained(error), 2))
    except MemoryError as error:
        sys.exit(fail(f"out of memory: {error}".rstrip(": "), 2))
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        sys.exit(fail(_NO_THREADS, 2))
    except (KeyboardInterrupt, Interrupted) as stop:
        answer(signal.SIG_IGN)  # a cluster may tell us twice
        sys.exit(called_off(stop if isinstance(stop, Interrupted) else Interrupted(signal.SIGINT)))
    finally:
        restore(before)


def _end(number: int, _: object) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else Interrupted(signal.SIGTERM)


def _explained(error: OSError) -> str:
    """What the system says, of which file, and the way on."""
    said = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
    if error.errno in _DISK_FULL:
        return f"{said}. What is finished is kept: free some space, and the same command goes on from there"
    if error.errno == errno.EMFILE:
        return f"{said}. Allow more, as with ulimit -n 1024; what is finished is kept"
    if error.errno in _NOT_OURS:
        return f"{said}. Make it writable, or name another folder (with make: RD=folder)"
    return said


def settings(argv: Sequence[str], beside: Sequence[str] = ()) -> list[str]:
    """The arguments that shape the result: all but the folder (first) and the options named in ``beside``."""
    kept: list[str] = []
    dropping = False
    for word in argv[1:]:
        if word.startswith("--"):
            dropping = word.split("=")[0] in beside
        if not dropping:
            kept.append(decoded(word))
    return kept


def record(folder: Path, words: Sequence[str]) -> None:
    write_text(folder / RECORD, shlex.join(words) + "\n")


def recorded(folder: Path) -> list[str] | None:
    """Return the settings that made ``folder``, or None where it does not say.

    Raises:
        ValueError: the record is empty, cut or not text.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        words = shlex.split(path.read_text(encoding="utf-8"))
        if not words:
            raise ValueError("it is empty")
    except ValueError as error:
        raise ValueError(
            f"{path} says with which settings {folder} was made, and cannot be read ({error}); restore it, or move "
            f"{folder} away and make it again"
        ) from None
    return words


def differences(old: Sequence[str], new: Sequence[str]) -> dict[str, tuple[str, str]]:
    """``{option: (value then, value now)}`` for the options that differ; a bare flag reads as ``yes``."""
    before, now = _by_option(old), _by_option(new)
    return {
        option: (before.get(option, "not given"), now.get(option, "not given"))
        for option in sorted(before.keys() | now.keys())
        if before.get(option) != now.get(option)
    }


def _by_option(words: Sequence[str]) -> dict[str, str]:
    options: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            options[name] = [value] if value else []
        else:
            options.setdefault(name, []).append(word)
    return {name.removeprefix("--"): " ".join(values) or "yes" for name, values in options.items()}


def refuse_other_settings(folder: Path, words: Sequence[str], *, fresh: bool, in_results: bool = False) -> bool:
    """Whether ``folder`` is already what ``words`` would make; if it was made otherwise, stop and say how.

    With ``fresh`` the answer is False whatever is there: make it anew; publishing it then sets the old one aside.

    Args:
        in_results: the folder lies in RD, which can be another; folders of data have one place.
    """
    if fresh or not folder.exists():
        return False
    old = recorded(folder)
    if old is None:
        raise Stop(f"{folder} exists but was not made by this pipeline (no {RECORD}); move it away, or use FRESH=1")
    changed = differences(old, words)
    if changed:
        lines = "\n".join(f"    {name}: made with {then}, now {now}" for name, (then, now) in changed.items())
        raise Stop(
            f"{folder} was made with other settings:\n{lines}\n"
            "  FRESH=1 makes it anew and keeps the old one beside it"
            f"{'; RD=another/folder leaves it as it is' if in_results else ''}."
        )
    return True


def die_with(parent: int) -> None:
    """Exit within 0.2 s of the parent's death, even if the parent was killed by SIGKILL.

    Otherwise this process would write on into a folder that the next attempt is filling.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as all errors of a command; argparse would print every option before it."""
        self.exit(fail(f"{message.removeprefix('argument ')} (--help lists the options)", 2))


def parser(description: str) -> argparse.ArgumentParser:
    """An argument parser without abbreviations, so that a shortened option is an error and not a guess."""
    return _Parser(description=description, allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter)


def num_cores() -> int:
    """Processors that this process may use: the default of ``--workers``."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
