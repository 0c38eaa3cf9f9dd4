import numpy as np

from boundary_loss.empty_masks import BOTH, NEITHER, ONE, Touched, count_touched


def test_what_the_rule_touched_is_counted_and_said():
    empty = np.array([NEITHER, ONE, BOTH, ONE, NEITHER])
    entry = count_touched(empty, np.array([3.0, 240.5, 0.0, 260.25, 5.0]))
    assert entry.to_json() == {
        "touched": 3,
        "of": 5,
        "both_empty": {"cases": 1, "values": [0.0]},
        "one_empty": {"cases": 2, "values": [240.5, 260.25]},
    }
    assert Touched.from_json(entry.to_json()) == entry
    assert entry.text("mm") == "3 of 5: 1 both empty (0 mm), 2 one empty (240.5 to 260.2 mm)"
    assert count_touched(np.array([NEITHER]), np.array([0.5])).text() == "0 of 1"
    assert count_touched(np.zeros(0, int), np.zeros(0)).to_json() == {"touched": 0, "of": 0}
