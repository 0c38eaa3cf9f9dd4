"""Which planes a case can be cut along, and how high their pixels are."""

import pytest

from boundary_loss.report.planes import planes


@pytest.mark.parametrize(
    ("orientation", "between", "on_top", "names"),
    [
        ("LPS", 5 / 0.8, True, ["axial", "coronal", "sagittal"]),  # turned: X runs across
        ("RAI", 5 / 0.8, False, ["axial", "coronal", "sagittal"]),
        ("PSR", 5 / 0.8, False, ["sagittal", "axial", "coronal"]),  # sagittal slices: X runs across, Y up
        ("PLS", 5 / 1.2, True, ["axial", "coronal", "sagittal"]),
        ("LSA", 5 / 0.8, True, ["coronal", "axial", "sagittal"]),
        ("", 5 / 1.2, False, []),
        ("XYZ", 5 / 1.2, False, []),
        ("LLS", 5 / 0.8, True, []),
    ],
)
def test_planes_are_named_by_where_the_axes_point(
    orientation: str, between: float, on_top: bool, names: list[str]
) -> None:
    found = planes(orientation, (0.8, 1.2, 5.0))
    assert found == {"between": pytest.approx(between), "lastOnTop": on_top, "planes": names}
