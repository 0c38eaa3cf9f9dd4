"""Slices of ISLES 2018: python preprocess/slice_isles.py data/ISLES --source data/isles --retain 20

Only TRAINING is cut: the challenge's testing cases have no label.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

from pathlib import Path

from boundary_loss.preparation import Case, Files, Study, run

MODALITIES = {"ct": "CT", "cbf": "CT_CBF", "cbv": "CT_CBV", "mtt": "CT_MTT", "tmax": "CT_Tmax"}
IMAGES = {name: f"SMIR.Brain.XX.O.{kind}.*/*.nii" for name, kind in MODALITIES.items()}


def find_cases(source: Path) -> list[Case]:
    return [
        Case(
            volume=folder.name,
            patient=folder.name,
            images=tuple(Files.match(folder, pattern) for pattern in IMAGES.values()),
            labels=Files.match(folder, "SMIR.Brain.XX.O.OT.*/*.nii"),
        )
        for folder in sorted(source.glob("TRAINING/case_*"))
    ]


STUDY = Study(
    name="isles",
    classes=("background", "lesion"),
    modalities=tuple(IMAGES),
    layout={name: f"<case_*>/{pattern}" for name, pattern in IMAGES.items()},
    values={0: 0, 1: 1},
    find=find_cases,
    expects="TRAINING/case_N/SMIR.Brain.XX.O.{CT,CT_CBF,CT_CBV,CT_MTT,CT_Tmax,OT}.ID/*.nii",
)

if __name__ == "__main__":
    run(STUDY)
