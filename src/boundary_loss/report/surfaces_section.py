"""Write the page's section of surfaces: the pictures that ``make mesh`` made, run by run beside each other."""

from collections.abc import Mapping
from html import escape
from typing import Any

from boundary_loss.report.html import bullets
from boundary_loss.report.surfaces import Surfaces

INTRODUCTION = (
    "Truth and prediction of each run at its best epoch, coloured by the distance between them; the meshes themselves "
    "are in the run's folder mesh, in mm. Click a picture to enlarge it."
)


def html(surfaces: Surfaces) -> str:
    cases = "\n".join(map(_case, surfaces.cases))
    return f'<p class="faint">{INTRODUCTION}</p>\n{cases}\n{bullets(surfaces.notes)}'


def _case(case: Mapping[str, Any]) -> str:
    word = f" <small>{escape(case['word'])}</small>" if case["word"] else ""
    pictures = "".join(_picture(case["name"], picture) for picture in case["pictures"])
    return f'<h3>{escape(case["name"])}{word}</h3><div class="surfaces">{pictures}</div>'


def _picture(name: str, picture: Mapping[str, Any]) -> str:
    dice = picture.get("dice")
    said = picture["run"] + ("" if dice is None else f", Dice {dice:.3f}")
    about = escape(f"Surfaces of truth and prediction: {name}, {said}")
    image = f'<img loading="lazy" alt="{about}" src="{escape(picture["image"])}">'
    enlarged = f'<label><input type="checkbox" class="unseen">{image}</label>'
    return f"<figure>{enlarged}<figcaption>{escape(said)}</figcaption></figure>"
