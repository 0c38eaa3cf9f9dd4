"""The slicing command as a user runs it: records, repeats, workers, kills."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from boundary_loss import command
from boundary_loss.files import read_json, write_json
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.preparation import engine
from boundary_loss.volumes import Geometry

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


def python(*words, **options):
    return subprocess.Popen([sys.executable, *map(str, words)], env=ENVIRONMENT, text=True, **options)


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_says_what_it_made(wmh, capsys):
    archive = {"name": "a.zip", "algorithm": "md5", "checksum": "0", "trusted": True}
    provenance = {"lineage": "a.lineage", "phantom": True, "archives": [archive]}
    provenance |= {"source": ["home"], "licence": [], "citation": [], "note": []}
    write_json(wmh.source / "lineage.json", provenance)
    folder = SlicedFolder.open(wmh.run("--fold", 1))
    about = read_json(folder.path / "slicing.json")
    assert (about["study"], about["classes"], about["shape"]) == ("wmh", ["background", "lesion"], [16, 20])
    assert about["source"] == provenance
    assert about["phantom"] is True
    assert about["kinds"] == ["3d_distmap", "flair", "gt", "gt_npy", "in_npy", "t1"]
    assert len(about["checksum"]) == 64
    assert about["preparation"] == {
        "shape": [16, 20],
        "pictures": False,
        "label_values": [0, 1],
        "layout": {"flair": "<*>/pre/FLAIR.nii.gz", "t1": "<*>/pre/T1.nii.gz"},
        "orientations": ["LPS"],
    }
    for patient in wmh.cases:
        grid = folder.grid(patient)
        assert (grid["file"], grid["shape"]) == (f"{patient}/pre/FLAIR.nii.gz", [12, 10, 3])
        np.testing.assert_allclose(Geometry.from_json(grid).affine, wmh.affine, rtol=1e-6)
    split = read_json(folder.path / "split.json")
    assert (split["fold"], split["folds"], split["seed"]) == (1, 3, 0)
    assert sorted(split["train"] + split["val"]) == sorted(wmh.cases)
    assert set(folder.volumes("val")) == set(split["val"])
    assert "positive/negative" in capsys.readouterr().out


def test_repeats_and_workers_change_nothing(wmh):
    first = content(wmh.run("--n_augment", 2))
    wmh.dest.rename(wmh.dest.with_name("first"))
    assert content(wmh.run("--n_augment", 2, workers=2)) == first


def test_the_checksum_follows_the_content(wmh):
    def checksum(*options):
        return read_json(wmh.run("--fresh", *options) / "slicing.json")["checksum"]

    plain = checksum()
    assert checksum() == plain
    assert checksum("--ignore") != plain
    assert checksum("--fold", 1) != plain


def test_a_second_call_does_nothing_and_other_settings_stop(wmh, capsys):
    wmh.run()
    before = content(wmh.dest)
    wmh.run()
    assert "already" in capsys.readouterr().out
    with pytest.raises(command.Stop, match="retain: made with 2, now 1"):
        wmh.run(retain=1)
    assert content(wmh.dest) == before
    wmh.run("--fresh", retain=1)
    assert len(list(wmh.dest.parent.glob("WMH_*"))) == 1


def test_other_archives_or_another_split_are_noticed(wmh, tmp_path):
    split = tmp_path / "own.json"
    write_json(split, {"train": ["7", "11", "100", "101"], "val": ["102"]})
    wmh.run("--split", split, retain=None)
    assert set(SlicedFolder.open(wmh.dest).volumes("val")) == {"102"}
    wmh.run("--split", split, retain=None)
    write_json(split, {"train": ["102", "11", "100", "101"], "val": ["7"]})
    with pytest.raises(command.Stop, match="has changed"):
        wmh.run("--split", split, retain=None)
    wmh.run("--split", split, "--fresh", retain=None)
    write_json(wmh.source / "lineage.json", {"phantom": False, "archives": []})
    with pytest.raises(command.Stop, match="unpacked anew"):
        wmh.run("--split", split, retain=None)


def test_bad_arguments(wmh, tmp_path, study):
    words = [str(tmp_path / "D"), "--source", str(wmh.source)]
    for bad in ([], ["--retain", "1", "--n_augment", "-1"], ["--retain", "1", "--shape", "0", "9"], ["--ret", "1"]):
        with pytest.raises(SystemExit):
            engine.main(wmh.study, words + bad)
    with pytest.raises(ValueError, match="5 patients"):
        engine.main(wmh.study, [*words, "--retain", "5"])
    with pytest.raises(FileNotFoundError, match="unpack"):
        engine.main(wmh.study, [words[0], "--source", str(tmp_path / "none"), "--retain", "1"])
    with pytest.raises(FileNotFoundError, match="no case"):
        engine.main(study("isles"), [*words, "--retain", "1"])
    with pytest.raises(ValueError, match="no label to ignore"):
        engine.main(study("isles"), [*words, "--retain", "1", "--ignore"])
    assert not (tmp_path / "D").exists()


def test_faults_end_in_status_2_without_traceback_even_optimised(wmh):
    (wmh.source / "7/wmh.nii.gz").unlink()
    words = ["-O", ROOT / "preprocess/slice_wmh.py", wmh.dest, "--source", wmh.source, "--retain", "1"]
    process = python(*words, stderr=subprocess.PIPE)
    _, told = process.communicate()
    assert process.returncode == 2
    assert "wmh.nii.gz (gt): missing" in told
    assert "Traceback" not in told


def test_from_archives_to_slices_and_back_after_a_kill(tmp_path):
    """Phantom, unpacking and slicing as make runs them; slicing is killed half-way, and the next call completes."""
    zips, raw, dest = tmp_path / "zips", tmp_path / "isles", tmp_path / "ISLES"
    assert python("-m", "boundary_loss.phantom", zips, "--study=isles", "--cases=6", "--size=48").wait() == 0
    options = ["--lineage", zips / "phantom.lineage", "--zips", zips, "--root", "TRAINING", "TESTING"]
    drop = ["--drop", "__MACOSX", "*CT_4DPWI*"]
    assert python("-O", "-m", "boundary_loss.unpack", raw, *options, *drop).wait() == 0
    assert not list(raw.rglob("*4DPWI*"))
    assert json.loads((raw / "lineage.json").read_text())["phantom"] is True

    slicer = ROOT / "preprocess/slice_isles.py"
    words = [slicer, dest, "--source", raw, "--retain=2", "--n_augment=40", "--workers=2"]
    killed = python(*words)
    growing = tmp_path / "ISLES_tmp/train/ct"
    while killed.poll() is None and not (growing.is_dir() and any(growing.iterdir())):
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not dest.exists()
    assert growing.is_dir()
    assert python("-O", *words).wait() == 0
    folder = SlicedFolder.open(dest)
    assert folder.about.phantom
    assert len(folder.volumes("val")) == 2
    assert len(folder.stems("train")) == 41 * read_json(dest / "slicing.json")["ratio"]["train"]["slices"]
    assert not growing.exists()
    assert [path.name for path in tmp_path.glob("ISLES*")] == ["ISLES"]
