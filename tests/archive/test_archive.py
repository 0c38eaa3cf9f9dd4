"""Packed whole, read with suspicion, put back as it was."""

import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from toyruns import write_row
from toys import REPOSITORY

from boundary_loss.archive import __main__ as archive
from boundary_loss.archive import packing
from boundary_loss.archive.hashing import MANIFEST
from boundary_loss.archive.reading import unpack, verify

Call = Callable[..., None]


@pytest.fixture
def packed(runs: list[Path], tmp_path: Path, call: Call) -> Path:
    """An archive of three runs and of what lies beside them."""
    folder = runs[0].parent
    (folder / "val_dice.png").write_bytes(b"picture")
    (folder / "report.html").write_text("page")
    (folder / "half_tmp").mkdir()
    (folder / "half_tmp" / "rows.json").write_text("{}")
    (folder / ".hidden").write_text("x")
    (folder / "link.png").symlink_to(folder / "val_dice.png")
    call(archive.main, "pack", tmp_path / "archives", "--folder", folder, "--stamp", folder / "archive.txt")
    return Path((folder / "archive.txt").read_text().strip())


def content(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return {info.name: info for info in tar}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_packed_and_what_is_not(packed: Path) -> None:
    names = list(content(packed))
    assert names[:-1] == sorted(names[:-1]) and names[-1] == f"toy/{MANIFEST}"
    for name in ("toy/gdl/run.json", "toy/gdl/val_3d_hd95.npy", "toy/gdl/iter003/val/case_4_00_0001.png",
                 "toy/val_dice.png", "toy/report.html"):  # fmt: skip
        assert name in names
    assert not [name for name in names if "_tmp" in name or "checkpoint" in name or "link" in name or "/." in name]
    assert "toy/archive.txt" not in names


def test_members_are_nobodys(packed: Path) -> None:
    for info in content(packed).values():
        assert (info.uid, info.gid, info.uname, info.gname, info.mode) == (0, 0, "", "", 0o644)


def test_name_says_repository_date_commit_host_and_study(packed: Path) -> None:
    stem = packed.name.removesuffix(".tar.gz")
    assert stem.endswith("-toy-phantom")  # these runs are synthetic, and the study's name did not say so
    assert time.strftime("%y%m%d")[:4] in stem
    assert not os.access(packed, os.W_OK) or os.geteuid() == 0
    assert packed.stat().st_mode & 0o777 == 0o444


def test_name_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "my study"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setattr(packing.socket, "gethostname", lambda: "scanner 7.hospital.org")
    name = packing.archive_name("isles")
    assert name == f"my_study-{time.strftime('%y%m%d')}-nogit-scanner_7-isles.tar.gz"


def test_round_trip_with_times(packed: Path, runs: list[Path], tmp_path: Path) -> None:
    os.utime(runs[0] / "val_dice.npy", (1_600_000_000, 1_600_000_000))
    folder, aside = unpack(packed, tmp_path / "back")
    assert (folder, aside) == (tmp_path / "back" / "toy", None)
    before, after = tree(runs[0].parent), tree(folder)
    assert after.items() <= before.items()
    assert after.keys() >= {"gdl/run.json", "report.html"}
    for name in ("gdl/run.json", "report.html"):
        assert int((folder / name).stat().st_mtime) == int((runs[0].parent / name).stat().st_mtime)


def test_same_files_same_bytes_and_never_overwritten(packed: Path, runs: list[Path], call: Call) -> None:
    folder, stamp = runs[0].parent, runs[0].parent / "archive.txt"
    first = packed.read_bytes()
    for number in (2, 3):
        call(archive.main, "pack", packed.parent, "--folder", folder, "--stamp", stamp)
        again = Path(stamp.read_text().strip())
        assert again.name == packed.name.removesuffix(".tar.gz") + f"-{number}.tar.gz"
        assert again.read_bytes() == first == packed.read_bytes()
    assert len(list(packed.parent.iterdir())) == 3


def test_without_hard_links_nothing_is_overwritten_either(
    packed: Path, runs: list[Path], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        if Path(target).exists():
            raise FileExistsError(target)
        raise PermissionError("no hard links here")

    monkeypatch.setattr(packing.os, "link", refuse)
    call(archive.main, "pack", packed.parent, "--folder", runs[0].parent)
    assert len(list(packed.parent.iterdir())) == 2


def test_only_the_runs_named_and_the_ledger(
    runs: list[Path], tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("toy.make").write_text("gdl.losses := gdl:1\n")  # of the study that run.json names
    call(archive.main, "pack", tmp_path / "a", "--folder", runs[0].parent, "--runs", runs[1], "--stamp", "stamp.txt")
    names = content(Path(Path("stamp.txt").read_text().strip()))
    assert "toy/toy.make" in names and "toy/gdl_surface_steal/run.json" in names
    assert not [name for name in names if name.startswith("toy/gdl/")]


def test_another_ledger_in_the_folder_is_not_replaced_in_silence(runs: list[Path], tmp_path: Path, call: Call) -> None:
    (tmp_path / "toy.make").write_text("gdl.losses := gdl:1\n")
    words = ("pack", tmp_path / "a", "--folder", runs[0].parent, "--ledger", tmp_path / "toy.make")
    (runs[0].parent / "toy.make").write_text("gdl.losses := gdl:1\n")
    call(archive.main, *words)
    (runs[0].parent / "toy.make").write_text("gdl.losses := gdl:2\n")
    with pytest.raises(ValueError, match=r"toy\.make differ, and would be one file"):
        call(archive.main, *words)


def test_unfinished_missing_or_foreign_runs_are_refused(runs: list[Path], tmp_path: Path, call: Call) -> None:
    folder = runs[0].parent
    runs[2].rename(folder / "gdl_hausdorff_w_tmp")
    with pytest.raises(FileNotFoundError, match="gdl_hausdorff_w_tmp is not finished"):
        call(archive.main, "pack", tmp_path / "a", "--folder", folder, "--runs", *runs)
    with pytest.raises(ValueError, match="does not lie in"):
        call(archive.main, "pack", tmp_path / "a", "--folder", tmp_path, "--runs", runs[0])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="there is nothing to pack"):
        call(archive.main, "pack", tmp_path / "a", "--folder", tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="no ledger at"):
        call(archive.main, "pack", tmp_path / "a", "--folder", folder, "--ledger", tmp_path / "none.make")
    assert not (tmp_path / "a").exists()


def test_a_file_that_changes_while_packed_leaves_no_archive(
    runs: list[Path], tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = packing.tarfile.TarFile.addfile

    def meddle(self: tarfile.TarFile, info: tarfile.TarInfo, file: object = None) -> None:
        original(self, info, file)  # type: ignore[arg-type]
        if info.name.endswith("gdl/val_dice.npy"):
            (runs[0] / "val_dice.npy").write_bytes(b"new")

    monkeypatch.setattr(packing.tarfile.TarFile, "addfile", meddle)
    with pytest.raises(ValueError, match=r"val_dice.npy changed while it was packed"):
        call(archive.main, "pack", tmp_path / "a", "--folder", runs[0].parent)
    assert list((tmp_path / "a").iterdir()) == []


def test_killed_while_packing_leaves_nothing_that_looks_whole(runs: list[Path], tmp_path: Path) -> None:
    folder = runs[0].parent
    with (folder / "large.csv").open("wb") as file:
        file.write(os.urandom(60_000_000))
    words = [sys.executable, "-m", "boundary_loss.archive", "pack", str(tmp_path / "a"), "--folder", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list((tmp_path / "a").glob(".*_tmp")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "a").glob("*.tar.gz"))
    (folder / "large.csv").unlink()
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    assert [str(path) for path in (tmp_path / "a").iterdir()] == [done.stdout.strip()]
    assert verify(Path(done.stdout.strip())) > 10


def test_what_stood_there_moves_aside(
    packed: Path, runs: list[Path], call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs[0].parent
    before = tree(folder)
    call(archive.main, "unpack", packed, folder.parent)
    (aside,) = folder.parent.glob("toy_2*")
    assert tree(aside) == before
    assert f"what stood at {folder} is kept as {aside}" in capsys.readouterr().out
    assert not list(folder.parent.glob("*_tmp"))


def test_verify_counts_the_files(packed: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    call(archive.main, "verify", packed)
    assert f"{len(content(packed)) - 1} files, all as they were packed" in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_truncated_archives_are_refused_and_leave_nothing(packed: Path, tmp_path: Path, share: float) -> None:
    short = tmp_path / "short.tar.gz"
    whole = packed.read_bytes()
    short.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=r"short.tar.gz (is damaged or truncated|has no MANIFEST)"):
        verify(short)
    with pytest.raises(ValueError, match="nothing was unpacked"):
        unpack(short, tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []


def test_a_flipped_bit_is_found(packed: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.tar.gz"
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 4
    spoilt.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged or truncated|not as it was packed"):
        verify(spoilt)


def write(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], *, manifest: bool = True) -> Path:
    """An archive made by hand, with a manifest that fits."""
    sums = [f"{hashlib.sha256(data).hexdigest()}  {info.name.partition('/')[2]}\n" for info, data in members]
    if manifest:
        data = "".join(sums).encode()
        members = [*members, (entry(f"toy/{MANIFEST}", data), data)]
    with gzip.open(path, "wb") as zipped, tarfile.open(fileobj=zipped, mode="w|") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def entry(name: str, data: bytes, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data) if kind == tarfile.REGTYPE else 0, kind, link
    return info


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (entry("/toy/x", b"1"), "is empty"),
        (entry("toy/../../x", b"1"), "is '..'"),
        (entry("..", b"1"), "is '..'"),
        (entry("toy/..\\..\\x", b"1"), "a slash or a backslash"),
        (entry("C:/x", b"1"), "unexpected member 'C:/x'"),
        (entry("", b"1"), "is empty"),
        (entry("toy//b", b"1"), "is empty"),
        (entry("toy/./b", b"1"), "is '.'"),
        (entry("toy/.b", b"1"), "a hidden name"),
        (entry("toy/a\nb", b"1"), "cannot be printed"),
        (entry("toy/" + "x/" * 2000 + "b", b"1"), "2002 folders deep"),
        (entry("toy/" + "x" * 300, b"1"), "300 bytes"),
        (entry("toy/x", b"", tarfile.SYMTYPE, "/etc/passwd"), "not a plain file"),
        (entry("toy/x", b"", tarfile.LNKTYPE, "toy/a"), "not a plain file"),
        (entry("toy/x", b"", tarfile.CHRTYPE), "not a plain file"),
        (entry("toy/x", b"", tarfile.FIFOTYPE), "not a plain file"),
        (entry("other/x", b"1"), "unexpected member 'other/x'"),
        (entry("toy/a", b"1"), "unexpected member 'toy/a'"),  # twice
        (entry("toy", b"1"), "unexpected member 'toy'"),
    ],
)
def test_members_that_would_do_harm_are_refused(tmp_path: Path, info: tarfile.TarInfo, message: str) -> None:
    harmful = write(tmp_path / "harmful.tar.gz", [(entry("toy/a", b"1"), b"1"), (info, b"1" * info.size)])
    for read in (verify, lambda path: unpack(path, tmp_path / "back")):
        with pytest.raises(ValueError, match=message):
            read(harmful)
    assert not (tmp_path / "back").exists() or list((tmp_path / "back").iterdir()) == []
    assert not (tmp_path / "x").exists()


def raw(kind: bytes, size: int, name: str = "toy/x") -> bytes:
    """A header of its own making, which says what it likes of the size."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def pax(*records: bytes) -> bytes:
    """An extended header with these ``keyword=value``, and the file that it is of."""
    lines = []
    for record in records:
        length = len(record) + 3
        length += len(str(length + len(str(length)))) - 1
        lines.append(b"%d %s\n" % (length, record))
    content = b"".join(lines)
    return raw(tarfile.XHDTYPE, len(content)) + content + b"\0" * (-len(content) % 512) + raw(tarfile.REGTYPE, 0)


EXBI = 1 << 60


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (raw(tarfile.GNUTYPE_SPARSE, EXBI), "not a plain file"),
        (pax(b"GNU.sparse.major=1", b"GNU.sparse.realsize=%d" % EXBI), "the keyword 'GNU.sparse.major'"),
        (raw(tarfile.REGTYPE, EXBI), "its end is missing|holds more than"),
        (raw(tarfile.XHDTYPE, 1 << 30), "an extended header of 1073741824 bytes"),
        (raw(tarfile.XGLTYPE, 1 << 30), "not a plain file"),
        (raw(tarfile.GNUTYPE_LONGNAME, 1 << 30), "not a plain file"),
        (raw(tarfile.REGTYPE, 1 << 30, f"toy/{MANIFEST}"), f"its {MANIFEST} has 1073741824 bytes for 1 files"),
        (pax(b"mtime=inf"), "the mtime 'inf'"),
        (pax(b"mtime=1e30"), "the mtime '1e30'"),
        (pax(b"mtime=99999999999"), "an impossible time"),
        (pax(b"size=-512"), "the size '-512'"),
        (pax(b"path=toy/../../x"), "is '..'"),
        (pax(b"path=toy/a", b"path=toy/b"), "the keyword 'path'"),
        (raw(tarfile.XHDTYPE, 4) + b"9 ab".ljust(512, b"\0"), "cannot be read"),
        (b"x" * 512, "damaged or truncated"),
    ],
)
def test_what_a_header_claims_is_bounded_before_it_is_believed(tmp_path: Path, content: bytes, message: str) -> None:
    first = raw(tarfile.REGTYPE, 0, "toy/a")
    (tmp_path / "claims.tar.gz").write_bytes(gzip.compress(first + content))
    for read in (verify, lambda path: unpack(path, tmp_path / "back")):
        with pytest.raises(ValueError, match=rf"claims\.tar\.gz.*({message})"):
            read(tmp_path / "claims.tar.gz")
    assert list((tmp_path / "back").iterdir()) == []


def test_nothing_follows_an_archive(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    tar = gzip.decompress(whole)
    other = gzip.compress(raw(tarfile.REGTYPE, 0, "other/x"))
    for content in (
        whole + other,
        whole + b"\0",
        gzip.compress(tar + raw(tarfile.REGTYPE, 0)),
        gzip.compress(tar + b"1"),
    ):
        (tmp_path / "more.tar.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"more\.tar\.gz: something follows"):
            verify(tmp_path / "more.tar.gz")
    (tmp_path / "bare.tar.gz").write_bytes(gzip.compress(tar.rstrip(b"\0")))
    with pytest.raises(ValueError, match="damaged or truncated"):
        verify(tmp_path / "bare.tar.gz")


ODD = "notes 12:30 – Größe, #1 (copy) & 'x' \"y\".txt"


def test_files_with_odd_names_come_back(runs: list[Path], tmp_path: Path, call: Call) -> None:
    folder = runs[0].parent
    for place in (folder, runs[0], folder / "view"):
        place.mkdir(exist_ok=True)
        (place / ODD).write_text("mine")
    (folder / "-x").write_text("an option?")
    os.utime(folder / "-x", (-5, -5))
    call(archive.main, "pack", tmp_path / "a", "--folder", folder)
    (path,) = (tmp_path / "a").iterdir()
    back, _ = unpack(path, tmp_path / "back")
    for name in (ODD, f"gdl/{ODD}", f"view/{ODD}", "-x"):
        assert (back / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("name", ["a\nb", "back\\slash", os.fsdecode(b"\xff"), "d/" * 40 + "x"])
def test_files_that_could_not_be_unpacked_are_refused_by_name(
    runs: list[Path], tmp_path: Path, call: Call, name: str
) -> None:
    (runs[0] / name).parent.mkdir(parents=True, exist_ok=True)
    (runs[0] / name).write_text("mine")
    with pytest.raises(ValueError, match=r"cannot be packed:\n    .*gdl/(?s:.*)Rename them"):
        call(archive.main, "pack", tmp_path / "a", "--folder", runs[0].parent)
    assert not (tmp_path / "a").exists()


def command(*words: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    words = (sys.executable, "-m", "boundary_loss.archive", *words)
    return subprocess.Popen(
        [str(word) for word in words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_folders_of_one_name_packed_at_once_give_an_archive_each(tmp_path: Path) -> None:
    for place in ("a", "b"):
        run = write_row(tmp_path / place / "isles", "gdl", np.full(3, float(ord(place))))
        (run / "large.csv").write_bytes(os.urandom(3_000_000))
    packing = [command("pack", tmp_path / "archives", "--folder", tmp_path / place / "isles") for place in "ab"]
    for place, process in zip("ab", packing, strict=True):
        said, errors = process.communicate()
        assert process.returncode == 0, errors
        folder, _ = unpack(Path(said.strip()), tmp_path / f"back {place}")
        assert tree(folder) == tree(tmp_path / place / "isles")
    assert len(list((tmp_path / "archives").iterdir())) == 2


def test_unpacked_twice_at_once_each_is_whole_or_refused(packed: Path, tmp_path: Path) -> None:
    processes = [command("unpack", packed, tmp_path / "back") for _ in range(2)]
    ended = [(process.communicate()[1], process.returncode) for process in processes]
    assert 0 in [status for _, status in ended]
    for errors, status in ended:
        assert status == 0 or "another process is making" in errors
    for folder in (tmp_path / "back").iterdir():
        assert len(tree(folder)) == len(content(packed)) - 1


def test_what_others_put_where_it_unpacks_is_left_alone(packed: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "toy_tmp").symlink_to(elsewhere)
    with pytest.raises(FileExistsError, match="toy_tmp is a link"):
        unpack(packed, tmp_path / "back")
    assert list(elsewhere.iterdir()) == []


def test_content_other_than_the_manifests_is_refused(tmp_path: Path) -> None:
    wrong = "0" * 64
    for text, message in (
        (f"{wrong}  a\n", "a was changed"),
        ("", "a is not in the manifest"),
        (f"{hashlib.sha256(b'1').hexdigest()}  a\n{wrong}  b\n", "b is missing"),
        (f"{hashlib.sha256(b'1').hexdigest()}  a\n" * 2, "lists a twice"),
        (f"{hashlib.sha256(b'1').hexdigest()} a\n", "has the line"),
    ):
        members = [(entry("toy/a", b"1"), b"1"), (entry(f"toy/{MANIFEST}", text.encode()), text.encode())]
        with pytest.raises(ValueError, match=message):
            unpack(write(tmp_path / "a.tar.gz", members, manifest=False), tmp_path / "back")
        assert list((tmp_path / "back").iterdir()) == []
    bare = write(tmp_path / "bare.tar.gz", [(entry("toy/a", b"1"), b"1")], manifest=False)
    with pytest.raises(ValueError, match="has no MANIFEST"):
        verify(bare)
    with pytest.raises(ValueError, match=r"damaged or truncated|has no MANIFEST"):
        verify(REPOSITORY / "LICENSE")
    with pytest.raises(FileNotFoundError, match="no archive at"):
        verify(tmp_path / "none.tar.gz")


def test_runs_of_seeds_are_packed_and_come_back(tmp_path: Path, call: Call) -> None:
    home = tmp_path / "results" / "toy"
    runs = [write_row(home, f"gdl/seed{i}", np.zeros(3)) for i in (0, 1)]
    write_row(home, "gdl/seed2_tmp", np.zeros(3))
    call(archive.main, "pack", tmp_path / "archives", "--folder", home, "--stamp", home / "archive.txt")
    path = Path((home / "archive.txt").read_text().strip())
    names = list(content(path))
    assert "toy/gdl/seed1/val_3d_dsc.npy" in names and not [name for name in names if "seed2" in name]
    folder, _ = unpack(path, tmp_path / "back")
    assert tree(folder / "gdl" / "seed0") == tree(runs[0])
