"""Named moments of a command, at which a test can make it fail. Otherwise nothing listens, and a moment costs one call.

``writing results/isles/gdl_tmp/best.pkl``, ``training step 3 of epoch 1``: each is one line of text, which is only made
where somebody listens. ``grep -rn 'reached(' src`` lists them all.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str], object]

_listeners: list[Listener] = []


def reached(moment: str, *values: object) -> None:
    """Pass the moment, with its ``{}`` replaced by the values, to the listeners: what one raises is raised here."""
    for listener in tuple(_listeners):
        listener(moment.format(*values))


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Call ``listener`` at each moment of this process until the context ends, in the thread that has reached it."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
