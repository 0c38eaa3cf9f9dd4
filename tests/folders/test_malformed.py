"""Every field of every JSON file that commands read is spoilt in turn: one line that names the file, never a traceback.

Commands end with one line on USERS_FAULTS; anything else that a reader raises would be a traceback.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toyruns import write_runs
from toys import write_sliced

from boundary_loss.archive.rerun import Recipe, describe
from boundary_loss.command import USERS_FAULTS
from boundary_loss.files import read_json, write_json, write_text
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.sliced import SETS, SlicedFolder
from boundary_loss.index import StudyResults
from boundary_loss.metric_definitions import METRICS
from boundary_loss.preparation.shown import Preparation
from boundary_loss.report import absent_section, provenance_section
from boundary_loss.report.findings import differences
from boundary_loss.report.report_data import KEPT, kept, read_kept, take_or_kept
from boundary_loss.report.table import collect, touched_texts
from boundary_loss.statistics.comparison import find_runs, runs_in, warnings_of
from boundary_loss.unpack import read_source

HOSTILE: list[Any] = [None, "../../x", "a\nb", -1, float("nan"), 10**30, [], {}, [None], {"a": [1]}]
GRID = {"file": "ct.nii", "shape": [4, 5, 6], "qform_code": 1, "sform_code": 0, "xyzt_units": 2}
GRID |= dict.fromkeys(("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"), 0.0)
GRID |= {key: [1.0, 1.0, 1.0, 2.0] for key in ("srow_x", "srow_y", "srow_z", "pixdim")}
ARCHIVE = {"name": "a.zip", "algorithm": "md5", "checksum": "0", "trusted": True}
SOURCE = {"lineage": "toy.lineage", "phantom": False, "archives": [ARCHIVE]}
SOURCE |= {"source": ["home"], "licence": ["free"], "citation": [], "note": []}
PREPARATION = {"shape": [20, 24], "pictures": False, "label_values": [0, 1], "layout": {"ct": "<*>/ct.nii"}}
COUNTS = {"touched": 1, "of": 4, "both_empty": {"cases": 1, "values": [1.0]}}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study in a folder of its own: data/TOY, unpacked, results/toy."""
    home = tmp_path_factory.mktemp("study")
    data, results = write_sliced(home / "data" / "TOY"), home / "results" / "toy"
    more = {"source": SOURCE, "preparation": PREPARATION | {"orientations": ["LPS"]}}
    more |= {"orientation": {"case_4": "LPS"}, "patient": {"case_4": "somebody"}}
    write_json(data / "slicing.json", read_json(data / "slicing.json") | more)
    write_json(data / "grids.json", {"case_4": GRID})
    write_json(home / "unpacked" / "lineage.json", SOURCE)
    runs = write_runs(results, data, {"gdl": 2, "ce": 2})
    for run in runs:
        about = {"data_source": SOURCE, "data_arguments": ["--fold", "0"], "compiled": False, "other_arithmetic": []}
        write_json(run / "run.json", read_json(run / "run.json") | about | {"of_the_future": {"a": [1]}})
        write_json(run / "evaluation.json", {"val_3d_dsc": COUNTS | {"last": COUNTS}})
    scores = collect(find_runs(runs), ["val_3d_dsc"])
    take_or_kept(scores, [data], None, results, ["--metrics", "val_3d_dsc"])
    variables = {"EPC": "2", "RUNS": "gdl", "gdl.losses": "gdl:1 boundary:1", "gdl.schedule": "steal(0.01)"}
    write_json(results / "made_with.json", {"ledger": "toy.make", "data": ["data/TOY"], "variables": variables})
    write_text(home / "toy.make", "")
    return home


def read_run(study: Path) -> None:
    """As the report, the index and the archive do."""
    runs = find_runs(runs_in(study / "results" / "toy"))
    scores = collect(runs, ["val_3d_dsc", "val_dice", "tra_loss"])
    seen = read_kept(study / "results" / "toy")
    assert seen is not None
    provenance_section.html(scores, seen)
    differences(runs), warnings_of(runs), StudyResults(folder=study, runs=tuple(runs)).made
    for shown in scores.comparisons:
        touched_texts(shown)
    for run in runs:
        run.patients, run.epochs, [run.row_names(name) for name in METRICS if run.has(name)]


def read_data(study: Path) -> None:
    data = SlicedFolder.open(study / "data" / "TOY")
    for which in SETS:
        for stem in data.stems(which)[:1]:
            data.spacing(which, stem), data.labels(which, stem), data.image(which, stem)
        for volume in data.volumes(which):
            data.spacing_3d(volume), data.orientation(volume), data.patient(volume)
    data.grid("case_4"), data.split, data.about.source
    assert data.preparation is None or Preparation.from_json(data.preparation, data.path, len(data.classes))


def read_report_data(study: Path) -> None:
    results = study / "results" / "toy"
    scores, seen = collect(find_runs(runs_in(results)), ["val_3d_dsc"]), read_kept(results)
    assert seen is not None
    provenance_section.html(scores, seen)
    if kept(scores, results) is not None:
        absent_section.html(scores, seen)


def read_recipe(study: Path) -> None:
    describe(Recipe.of(study / "results" / "toy"))


def read_lineage(study: Path) -> None:
    assert read_source(study / "unpacked")


FILES: dict[str, Callable[[Path], None]] = {
    **dict.fromkeys([f"results/toy/gdl/{name}" for name in ("run.json", "rows.json", "evaluation.json")], read_run),
    **dict.fromkeys([f"data/TOY/{name}" for name in ("slicing.json", "split.json", "grids.json")], read_data),
    **dict.fromkeys([f"data/TOY/{name}" for name in ("spacing_3d.json", "val/spacing.json")], read_data),
    f"results/toy/{KEPT}": read_report_data,
    "results/toy/made_with.json": read_recipe,
    "unpacked/lineage.json": read_lineage,
}


def places(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every value in a file; of a list its first item stands for all."""
    yield place
    if place[:1] == ("gallery",):  # handed on to the page's scripts as it is
        return
    inside = (
        content.items() if isinstance(content, dict) else enumerate(content[:1] if isinstance(content, list) else [])
    )
    for key, value in inside:
        yield from places(value, (*place, key))


def spoilt(content: Any) -> Iterator[tuple[str, Any]]:
    """The content with one value replaced, or left out; and what was done."""
    for *path, key in (place for place in places(content) if place):
        for value in (*HOSTILE, "left out"):
            changed = copy.deepcopy(content)
            at = changed
            for step in path:
                at = at[step]
            if value == "left out":
                del at[key]
            else:
                at[key] = value
            yield f"{[*path, key]} = {value!r}", changed
    yield from ((f"all = {value!r}", value) for value in HOSTILE)


@pytest.mark.parametrize("name", FILES)
def test_a_spoilt_field_is_named_or_does_no_harm(study: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study)
    path, read, refused = study / name, FILES[name], 0
    before = read_json(path)
    read(study)
    for what, content in spoilt(before):
        path.write_text(json.dumps(content))
        try:
            read(study)
        except USERS_FAULTS as error:
            refused += 1
            said = str(error)
            assert "\n" not in said and (str(study) in said or "archive" in said), f"{what}: {said}"
        except Exception as error:
            raise AssertionError(f"{name}: {what}") from error
    write_json(path, before)
    read(study)
    assert refused > len(HOSTILE)


@pytest.mark.parametrize("dtype", ["int8", "complex64", "U3", "datetime64[s]", "V8"])
def test_an_array_of_metrics_holds_floats(study: Path, dtype: str) -> None:
    path = study / "results" / "toy" / "gdl" / "val_3d_dsc.npy"
    before = np.load(path)
    np.save(path, np.zeros(before.shape, dtype))
    with pytest.raises(ValueError, match=r"val_3d_dsc\.npy holds .*, expected float32; delete it"):
        RunFolder.find(path.parent).array("val_3d_dsc")
    np.save(path, before)
