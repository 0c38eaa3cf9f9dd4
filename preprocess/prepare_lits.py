"""Livers of LiTS 2017, whole: python preprocess/prepare_lits.py data/LITS --source data/lits --retain 20

A CT volume-N.nii and its labels segmentation-N.nii belong together by their number, in whatever folders they lie. The
object is the liver with its tumours, labels 1 and 2. All of the CT is scaled alike, air and metal included, unless
``--normalise 'window(-200,250)'`` shows so many Hounsfield units alone.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import re
from pathlib import Path

from boundary_loss.preparation import Case, Files, Study, run

IMAGE, LABEL = "volume", "segmentation"
NAMED = re.compile(rf"(?:{IMAGE}|{LABEL})-(\d+)\.nii(?:\.gz)?")


def find_cases(source: Path) -> list[Case]:
    found = (NAMED.fullmatch(path.name) for path in Files.match(source, "**/*.nii*").found)
    return [
        Case(
            volume=f"{IMAGE}-{number}",
            patient=f"{IMAGE}-{number}",
            images=(Files.match(source, f"**/{IMAGE}-{number}.nii*"),),
            labels=Files.match(source, f"**/{LABEL}-{number}.nii*"),
        )
        for number in sorted({match[1] for match in found if match}, key=lambda digits: (int(digits), digits))
    ]


STUDY = Study(
    name="lits",
    classes=("background", "liver"),
    modalities=("ct",),
    layout={"ct": "<*>.nii"},
    values={0: 0, 1: 1, 2: 1},
    find=find_cases,
    expects="volume-N.nii and segmentation-N.nii",
    kind="volumes",
    normalise="zscore",
    square_planes=True,
)

if __name__ == "__main__":
    run(STUDY)
