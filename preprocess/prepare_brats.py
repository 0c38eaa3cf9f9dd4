"""Gliomas of BraTS 2020, whole: python preprocess/prepare_brats.py data/BRATS --source data/brats --retain 45

A folder a patient, with ID_flair.nii.gz, ID_t1, ID_t1ce, ID_t2 and ID_seg in it, at most three folders deep, as in the
archives of 2018 to 2020; ``--modalities flair t1ce`` does without the others. The object is the whole tumour, labels
1, 2 and 4. What lies in folders named Validation has no labels and is kept for predictions.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

from pathlib import Path

from boundary_loss.preparation import Case, Files, Study, run

MODALITIES = ("flair", "t1", "t1ce", "t2")


def find_cases(source: Path) -> list[Case]:
    folders = [folder for depth in ("*", "*/*", "*/*/*") for folder in source.glob(depth) if is_patient(folder)]
    return [patient(folder) for folder in sorted(folders)]


def is_patient(folder: Path) -> bool:
    """Whether a folder holds volumes that are named after it, for training."""
    if "Validation" in folder.name or folder.name.startswith("."):
        return False
    return any(Files.volume(folder, f"{folder.name}_{name}").found for name in (*MODALITIES, "seg"))


def patient(folder: Path) -> Case:
    """Return the case of a patient's folder; the labels of BraTS20_Training_355 keep a name of the hospital's."""
    images = tuple(Files.volume(folder, f"{folder.name}_{name}") for name in MODALITIES)
    labels = Files.volume(folder, f"{folder.name}_seg")
    renamed = Files.match(folder, "*_Segm.nii*")
    if renamed.found and not labels.found:
        labels = renamed
    return Case(volume=folder.name, patient=folder.name, images=images, labels=labels)


STUDY = Study(
    name="brats",
    classes=("background", "tumour"),
    modalities=MODALITIES,
    layout={name: f"<*>/*_{name}.nii*" for name in MODALITIES},
    values={0: 0, 1: 1, 2: 1, 4: 1},
    find=find_cases,
    expects="ID/ID_{flair,t1,t1ce,t2,seg}.nii.gz",
    kind="volumes",
    normalise="zscore",
    square_planes=True,
    usual_mm=(1.0, 1.0, 1.0),
)

if __name__ == "__main__":
    run(STUDY)
