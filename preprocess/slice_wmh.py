"""Slices of WMH 2017: python preprocess/slice_wmh.py data/WMH --source data/wmh --retain 10

Label 2, other pathology, counts as background; with --ignore it counts in no loss and no metric, as the
challenge's own evaluation has it.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

from pathlib import Path

from boundary_loss.preparation import Case, Files, Study, run

IMAGES = {"flair": "pre/FLAIR.nii.gz", "t1": "pre/T1.nii.gz"}


def find_cases(source: Path) -> list[Case]:
    return [
        Case(
            volume=folder.name,
            patient=folder.name,
            images=tuple(Files.match(folder, pattern) for pattern in IMAGES.values()),
            labels=Files.match(folder, "wmh.nii.gz"),
        )
        for folder in sorted(source.iterdir())
        if folder.is_dir() and folder.name.isdigit()
    ]


STUDY = Study(
    name="wmh",
    classes=("background", "lesion"),
    modalities=tuple(IMAGES),
    layout={name: f"<*>/{pattern}" for name, pattern in IMAGES.items()},
    values={0: 0, 1: 1, 2: 0},
    ignorable=(2,),
    find=find_cases,
    expects="ID/{pre/FLAIR,pre/T1,wmh}.nii.gz, with numbers for ID",
    shape=(256, 256),
)

if __name__ == "__main__":
    run(STUDY)
