"""Act at a named moment of a command (see boundary_loss.events)."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import count

from boundary_loss.events import Listener


def once(moment: str, action: Callable[[], object], nth: int = 1) -> Listener:
    """A listener that does ``action`` when the pattern ``moment`` (``*`` is any text) is reached for the nth time."""
    times = count(1)

    def listener(reached: str) -> None:
        if fnmatchcase(reached, moment) and next(times) == nth:
            action()

    return listener
