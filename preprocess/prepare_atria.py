"""Left atria of 2018, whole: python preprocess/prepare_atria.py data/ATRIA --source data/atria --retain 20

Cases lie in "Training Set", as in the challenge's archive, or in train and validate: a folder a patient, with
lgemri.nrrd and laendo.nrrd in it, or two folders, raw and label. Files may also be .nii.gz; an .h5 file holds both, as
image and label. What lies in "Testing Set" or test is kept for predictions.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

from pathlib import Path

from boundary_loss.preparation import Case, Files, Study, run, volume_names

IMAGE, LABEL = "lgemri", "laendo"
ROOTS = ("Training Set", "2018LA_Seg_Training Set", "train", "validate")
PAIRED = ("raw", "label")


def find_cases(source: Path) -> list[Case]:
    folders = [folder for name in ROOTS for folder in sorted(source.glob(f"{name}/*")) if folder.is_dir()]
    patients = [folder for folder in folders if folder.name not in PAIRED and not folder.name.startswith(".")]
    return [patient(folder) for folder in patients] + [case for name in ROOTS for case in pairs(source / name)]


def patient(folder: Path) -> Case:
    """Return the case of a patient's folder; if there is no image, but an .h5 file, that holds image and label."""
    image, label = Files.volume(folder, IMAGE), Files.volume(folder, LABEL)
    both = Files.match(folder, "*.h5")
    if both.found and not image.found:
        image = label = both
    return Case(volume=folder.name, patient=folder.name, images=(image,), labels=label)


def pairs(root: Path) -> list[Case]:
    """Return the cases of the folders ``raw`` and ``label``, whose files have the same names."""
    raw, label = (root / name for name in PAIRED)
    return [
        Case(volume=name, patient=name, images=(Files.volume(raw, name),), labels=Files.volume(label, name))
        for name in sorted({*volume_names(raw), *volume_names(label)})
    ]


STUDY = Study(
    name="atria",
    classes=("background", "atrium"),
    modalities=(IMAGE,),
    layout={IMAGE: f"<*>/{IMAGE}.n*"},
    values={0: 0, 255: 1, 1: 1},
    find=find_cases,
    expects="{Training Set,train,validate}/ID/{lgemri,laendo}.nrrd, or .../{raw,label}/ID.nrrd",
    kind="volumes",
    normalise="zscore",
    square_planes=True,
    usual_mm=(0.625, 0.625, 0.625),
)

if __name__ == "__main__":
    run(STUDY)
