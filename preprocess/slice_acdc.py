"""Slices of ACDC 2017: python preprocess/slice_acdc.py data/ACDC-2D --source data/acdc --retain 25

Every patient has two volumes, the frames at the end of diastole and of systole, which stay on one side of the split.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import re
from pathlib import Path

from boundary_loss.preparation import Case, Files, Study, run


def find_cases(source: Path) -> list[Case]:
    cases = []
    for folder in sorted(source.glob("training/patient*")):
        numbers = {
            found[1] for path in folder.iterdir() if (found := re.match(r"\w+_frame(\d+)(_gt)?\.nii\.gz$", path.name))
        }
        for number in sorted(numbers) or ["??"]:  # no frame at all is then told as missing files
            stem = f"{folder.name}_frame{number}"
            cases.append(
                Case(
                    volume=f"{folder.name}_{number}",
                    patient=folder.name,
                    images=(Files.match(folder, f"{stem}.nii.gz"),),
                    labels=Files.match(folder, f"{stem}_gt.nii.gz"),
                )
            )
    return cases


STUDY = Study(
    name="acdc",
    classes=("background", "right ventricle", "myocardium", "left ventricle"),
    modalities=("img",),
    layout={"img": "patient*/<patient*_frame[0-9][0-9]>.nii.gz"},
    values={0: 0, 1: 1, 2: 2, 3: 3},
    find=find_cases,
    expects="training/patientNNN/patientNNN_frameFF.nii.gz and ..._gt.nii.gz",
    shape=(256, 256),
    pictures=True,
    volumes_per_patient=2,
)

if __name__ == "__main__":
    run(STUDY)
