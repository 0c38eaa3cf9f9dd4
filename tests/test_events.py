"""Named moments: who listens hears them, and may end the work there."""

import pytest
from moments import once

from boundary_loss.events import heard_by, reached


def test_a_listener_hears_the_moments_until_it_stops() -> None:
    heard: list[str] = []
    reached("step {} of {}", 1, 3)
    with heard_by(heard.append):
        reached("step {} of {}", 2, 3)
    reached("step {} of {}", 3, 3)
    assert heard == ["step 2 of 3"]


def test_what_a_listener_raises_ends_the_work_at_the_nth_time_that_fits() -> None:
    def fail() -> None:
        raise OSError("full")

    with heard_by(once("writing */val/*.png", fail, nth=2)):
        for path in ("a/val/1.png", "a/train/1.png", "a/val/1.npy"):
            reached("writing {}", path)
        with pytest.raises(OSError, match="full"):
            reached("writing {}", "b/val/2.png")
        reached("writing {}", "b/val/3.png")
