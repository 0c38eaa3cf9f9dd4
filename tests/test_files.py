"""Files and folders appear whole or not at all."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from boundary_loss.files import (
    begin_folder,
    new_folder,
    publish,
    read_array,
    read_json,
    set_aside,
    sole_maker,
    sweep,
    write_array,
    write_file,
    write_text,
)


def test_new_folder_replaces_what_a_kill_left_and_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "old").touch()
    begin_folder(tmp_path / "run_tmp")
    (tmp_path / "run_tmp" / "half").touch()
    with new_folder(target) as grown:
        (grown / "new").touch()
        assert (target / "old").exists(), "the old folder stands until the new one is complete"
    assert [p.name for p in target.iterdir()] == ["new"]
    aside = [p for p in tmp_path.iterdir() if p.name.startswith("run_2")]
    assert len(aside) == 1 and (aside[0] / "old").exists()


def test_new_folder_that_fails_publishes_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "run"):
        raise RuntimeError
    assert not (tmp_path / "run").exists()


def foreign_folder(place: Path, other: Path) -> None:
    place.mkdir()
    (place / "notes.txt").write_text("mine")


@pytest.mark.parametrize(
    ("put", "what"),
    [
        (foreign_folder, "a folder that the pipeline did not make"),
        (lambda place, other: place.symlink_to(other), "a link"),
        (lambda place, other: place.symlink_to(other / "nowhere"), "a link"),
        (lambda place, other: place.write_text("mine"), "a file"),
    ],
)
def test_what_others_put_where_a_folder_grows_is_neither_written_to_nor_removed(
    tmp_path: Path, put: Callable[[Path, Path], object], what: str
) -> None:
    other = tmp_path / "other"
    foreign_folder(other, tmp_path)
    put(tmp_path / "run_tmp", other)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileExistsError, match=f"run_tmp is {what}.*move it away"), new_folder(tmp_path / "run"):
        pass
    assert sorted(tmp_path.rglob("*")) == before and (other / "notes.txt").read_text() == "mine"


def test_an_empty_folder_where_a_folder_grows_is_taken(tmp_path: Path) -> None:
    """A process that is killed may leave one before it marks it as its own."""
    (tmp_path / "run_tmp").mkdir()
    with new_folder(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "run"] and list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("put", [lambda lock, other: lock.symlink_to(other), lambda lock, other: lock.write_text("x")])
def test_a_lock_is_written_through_no_link_and_over_nobodys_file(
    tmp_path: Path, put: Callable[[Path, Path], object]
) -> None:
    (tmp_path / "other").write_text("mine")
    put(tmp_path / ".run.lock", tmp_path / "other")
    with (
        pytest.raises(FileExistsError, match=r"\.run\.lock is not a lock of this pipeline"),
        sole_maker(tmp_path / "run"),
    ):
        pass
    assert os.path.lexists(tmp_path / ".run.lock") and (tmp_path / "other").read_text() == "mine"


def test_names_of_growing_files_cannot_be_guessed(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        write_file(tmp_path / ("x" * 200), lambda grown: (seen.append(grown.name), grown.write_text("new")))
    assert seen[0] != seen[1] and [path.name for path in tmp_path.iterdir()] == ["x" * 200]


def test_what_killed_processes_left_half_written_is_swept_and_nothing_else(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from boundary_loss.files import growing_file
with growing_file(Path({str(tmp_path / "a.npy")!r})) as grown:
    print(grown.name, flush=True)
    time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    others = [".e_tmp", ".notes.1234_tmp", "d_tmp", f".link.{'0' * 16}_tmp"]
    for name in others[:-1]:
        (tmp_path / name).touch()
    (tmp_path / others[-1]).symlink_to(tmp_path / "d_tmp")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True) as other:
        assert other.stdout is not None
        growing = other.stdout.readline().strip()
        sweep(tmp_path)
        assert (tmp_path / growing).exists(), "its process lives"
        other.kill()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_set_aside_never_takes_a_taken_name(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        (tmp_path / "run").mkdir()
        aside = set_aside(tmp_path / "run")
        assert aside is not None
        names.add(aside)
    assert len(names) == 3
    assert set_aside(tmp_path / "run") is None


def test_write_file_leaves_the_old_content_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_array(path, np.arange(3))
    with pytest.raises(ValueError, match="allow_pickle"):
        np.save(path.with_name("b.npy"), np.array([object()]), allow_pickle=False)
        raise ValueError("allow_pickle")
    with pytest.raises(TypeError):
        write_text(path, None)  # type: ignore[arg-type]
    assert read_array(path).tolist() == [0, 1, 2]
    assert not [p for p in tmp_path.iterdir() if p.name.endswith("_tmp")]


def test_content_reaches_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.append((Path(f"/proc/self/fd/{descriptor}").resolve().name, (tmp_path / "report.html").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "report.html", "whole")
    assert len(synced) == 1 and synced[0][0].startswith(".report.html") and not synced[0][1]
    write_text(tmp_path / "run_tmp" / "metrics.csv", "settled when the folder is published")
    assert len(synced) == 1


def test_arrays_come_back_as_they_were_also_to_many_threads(tmp_path: Path) -> None:
    arrays = [
        np.zeros((0, 3)),
        np.float32(3).reshape(()),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.eye(2, dtype=bool),
    ]
    for i, array in enumerate(arrays):
        write_array(tmp_path / f"{i}.npy", array)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: read_array(tmp_path / f"{n % 4}.npy"), range(400)))
    for n, array in enumerate(found):
        np.testing.assert_array_equal(array, arrays[n % 4])
        assert array.dtype == arrays[n % 4].dtype and array.flags.f_contiguous == arrays[n % 4].flags.f_contiguous


def test_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a\.npy"):
        read_array(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.arange(100))
    whole = (tmp_path / "a.npy").read_bytes()
    for content in (
        whole[:-1],
        whole[:300],
        b"PK" + whole,
        whole.replace(b"<i8", b"|O8"),
        whole[:6] + b"\x07" + whole[7:],
    ):
        (tmp_path / "a.npy").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.npy cannot be read as a NumPy array .*delete it"):
            read_array(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("shape", [(1 << 58,), (1 << 29, 1 << 29), (-3,)])
def test_memory_is_not_taken_for_what_a_header_claims(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as a NumPy array"):
        read_array(tmp_path / "a.npy")
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON: it has more than"):
        read_json(tmp_path / "a.json")


def test_publish_returns_where_the_old_one_went(tmp_path: Path) -> None:
    for name in ("grown", "target"):
        (tmp_path / name).mkdir()
    aside = publish(tmp_path / "grown", tmp_path / "target")
    assert aside is not None and aside.is_dir()


def test_two_processes_do_not_make_one_folder(tmp_path: Path) -> None:
    """The second is refused while the first lives; a killed one holds nobody up."""
    target = tmp_path / "run"
    code = f"""
import sys, time
from pathlib import Path
from boundary_loss.files import new_folder
with new_folder(Path({str(target)!r})) as grown:
    (grown / "started").touch()
    print("making", flush=True)
    time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as other:
        assert other.stdout is not None and other.stdout.readline() == b"making\n"
        with pytest.raises(FileExistsError, match="another process is making"), new_folder(target):
            pass
        assert (tmp_path / "run_tmp" / "started").exists(), "what the other makes is left alone"
        other.kill()
    with new_folder(target):
        pass
    assert target.is_dir() and sorted(p.name for p in tmp_path.iterdir()) == ["run"]
