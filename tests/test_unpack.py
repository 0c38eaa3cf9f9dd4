import hashlib
import json
import stat
import sys
import zipfile
from types import SimpleNamespace

import pytest

from boundary_loss import command, unpack


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Writes archives with their lineage, and unpacks them as the command would."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zips").mkdir()

    def write(members, name="a.zip"):
        path = tmp_path / "zips" / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for member, content in members.items() if isinstance(members, dict) else members:
                opened.writestr(member, content)
        return path

    def accept():
        lines = ["# Source: the archive's home"]
        for path in sorted((tmp_path / "zips").iterdir()):
            lines.append(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.name}")
        (tmp_path / "x.lineage").write_text("\n".join(lines))

    def run(*options):
        words = ["unpack", "out", "--lineage", "x.lineage", "--zips", "zips", *options]
        monkeypatch.setattr(sys, "argv", words)
        unpack.main()
        return sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file())

    return SimpleNamespace(write=write, accept=accept, run=run, path=tmp_path)


OWN = ["arguments.txt", "lineage.json"]


def test_unpacks_whole_with_its_record(study):
    study.write({"d/": b"", "d/x.nii": b"x", "d/e/y.nii": b"yy"})
    study.accept()
    assert study.run() == [*OWN[:1], "d/e/y.nii", "d/x.nii", OWN[1]]
    record = json.loads((study.path / "out/lineage.json").read_text())
    digest = hashlib.md5((study.path / "zips/a.zip").read_bytes()).hexdigest()
    assert record["archives"] == [{"name": "a.zip", "algorithm": "md5", "checksum": digest, "trusted": False}]
    assert record["phantom"] is False
    assert record["source"] == ["the archive's home"]
    assert not (study.path / "out/d/x.nii").stat().st_mode & stat.S_IWUSR  # raw data is read-only


def test_again_does_nothing_and_other_options_stop(study, capsys):
    study.write({"d/x": b"x", "d/y": b"y"})
    study.accept()
    study.run()
    study.run()
    assert "already" in capsys.readouterr().out
    with pytest.raises(command.Stop, match="strip"):
        study.run("--strip", "1")
    assert "x" in study.run("--strip", "1", "--fresh")
    assert len(list(study.path.glob("out_*"))) == 1


@pytest.mark.parametrize("hidden", ["__MACOSX/d/._x.nii", "d/._x.nii", "._d/x.nii", "d/.DS_Store"])
def test_what_a_mac_hides_in_a_zip_is_left_there(study, hidden):
    study.write({"d/x.nii": b"x", hidden: b"\0\5\x16\7"})
    study.accept()
    assert study.run() == [*OWN[:1], "d/x.nii", OWN[1]]


@pytest.mark.parametrize(("method", "told"), [(9, "Deflate64"), (93, "Zstandard"), (77, "method 77")])
def test_a_method_that_python_lacks_is_told_with_a_way_out(study, method, told):
    path = study.write({"d/x.nii": bytes(5000)})
    content = bytearray(path.read_bytes())
    for place in (8, content.index(b"PK\1\2") + 10):
        content[place : place + 2] = method.to_bytes(2, "little")
    path.write_bytes(content)
    study.accept()
    with pytest.raises(ValueError, match=rf"(?s)a.zip.*1 of 1 members, such as d/x.nii.*{told}.*7z x.*TRUST=1"):
        study.run()
    assert not (study.path / "out").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_told_of_every_method(study, method):
    path = study.path / "zips" / "a.zip"
    with zipfile.ZipFile(path, "w", method) as opened:
        opened.writestr("x.nii", bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    content[70:90] = bytes(20)
    path.write_bytes(content)
    study.accept()
    with pytest.raises(ValueError, match=r"a.zip, member x.nii: cannot be unpacked"):
        study.run()


@pytest.mark.parametrize("prefix", ["training", "ACDC/database/training"])
def test_root_takes_old_and_new_layouts(study, prefix):
    study.write({f"{prefix}/p1/a.nii": b"", f"{prefix}/p1/a_4d.nii": b"", "ACDC/database/testing/p9/a.nii": b""})
    study.accept()
    assert study.run("--root", "training", "--drop", "*_4d.nii") == [*OWN, "training/p1/a.nii"]


def test_strip_and_drop(study):
    study.write({"Site/107/pre/T1.nii": b"", "Site/107/orig/T1.nii": b"", "__MACOSX/Site/._x": b"", "top": b""})
    study.accept()
    assert study.run("--strip", "1", "--drop", "orig", "__MACOSX") == ["107/pre/T1.nii", *OWN]


def test_all_missing_archives_are_named_with_their_source(study):
    for name in ("a.zip", "b.zip", "c.zip"):
        study.write({"x": name}, name)
    study.accept()
    for name in ("a.zip", "c.zip"):
        (study.path / "zips" / name).unlink()
    with pytest.raises(FileNotFoundError) as error:
        study.run()
    told = str(error.value)
    assert "a.zip, c.zip" in told
    assert "b.zip" not in told
    assert all(text in told for text in ("the archive's home", "SRC=phantom", "zips"))


def test_every_wrong_checksum_is_told_unless_trusted(study, capsys):
    for name in ("a.zip", "b.zip"):
        study.write({name: b"old"}, name)
    study.accept()
    for name in ("a.zip", "b.zip"):
        study.write({name: b"new"}, name)
    with pytest.raises(ValueError, match=r"(?s)a\.zip.*b\.zip.*TRUST=1"):
        study.run()
    assert not (study.path / "out").exists()
    study.run("--trust")
    assert "warning" in capsys.readouterr().err
    record = json.loads((study.path / "out/lineage.json").read_text())
    assert [archive["trusted"] for archive in record["archives"]] == [True, True]


@pytest.mark.parametrize(
    "name, told",
    [("../evil", "leaves"), ("d/../../evil", "leaves"), ("/evil", "absolute"), ("C:/evil", "absolute"),
     ("d\\evil", "backslash")],
)  # fmt: skip
def test_members_that_leave_the_folder_are_refused(study, name, told):
    study.write({"ok": b"x", name: b"evil"})
    study.accept()
    with pytest.raises(ValueError, match=told):
        study.run()
    assert not (study.path / "out").exists()
    assert not list(study.path.rglob("evil"))


def test_a_zero_byte_in_a_name_is_refused(study):
    path = study.write({"a_b": b"x"})
    path.write_bytes(path.read_bytes().replace(b"a_b", b"a\0b"))
    study.accept()
    with pytest.raises(ValueError, match="zero byte"):
        study.run()


@pytest.mark.parametrize(
    ("name", "told"), [("a/" * 2000 + "x", "2000 folders deep"), ("d/" + "x" * 300, "a name of more than 255 bytes")]
)
def test_names_that_no_disk_takes_are_refused(study, name, told):
    study.write({"ok": b"x", name: b"x"})
    study.accept()
    with pytest.raises(ValueError, match=told):
        study.run()
    assert not (study.path / "out").exists()


def test_a_member_without_a_name_is_refused(study):
    path = study.write({"x": b"1"})
    content = bytearray(path.read_bytes())
    for header, length in ((b"PK\3\4", 26), (b"PK\1\2", 28)):  # the one byte of the name becomes an extra field
        place = content.index(header) + length
        content[place : place + 4] = b"\0\0\1\0"
    path.write_bytes(content)
    study.accept()
    with pytest.raises(ValueError, match="has no name"):
        study.run()


@pytest.mark.parametrize("large", [False, True])
def test_a_list_of_members_that_fills_the_memory_is_refused_unread(study, large):
    path = study.write({"x": b"1"})
    content = path.read_bytes()
    end = bytearray(content[content.index(b"PK\5\6") :])
    end[12:16] = (0xFFFFFFFF if large else 1 << 30).to_bytes(4, "little")
    record = b"PK\6\6" + bytes(36) + (1 << 40).to_bytes(8, "little") + bytes(8)
    pointer = b"PK\6\7" + bytes(4) + (content.index(b"PK\5\6")).to_bytes(8, "little") + bytes(4)
    path.write_bytes(content[: content.index(b"PK\5\6")] + (record + pointer if large else b"") + end)
    study.accept()
    with pytest.raises(ValueError, match=r"its list of members has (1|1024)\.0 GiB"):
        study.run()


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_damage_of_every_method_is_one_message(study, method):
    path = study.path / "zips" / "a.zip"
    with zipfile.ZipFile(path, "w", method) as opened:
        opened.writestr("x", bytes(range(256)) * 400)
    whole = path.read_bytes()
    for place in range(35, whole.index(b"PK\1\2"), 7):  # after the version of an LZMA encoder, which is not read
        content = bytearray(whole)
        content[place] ^= 0xFF
        path.write_bytes(content)
        study.accept()
        with pytest.raises(ValueError, match=r"a\.zip, member x: cannot be unpacked"):
            study.run("--fresh")
    assert not (study.path / "out").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_are_refused(study, kind):
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    study.write([(info, "/etc/passwd")])
    study.accept()
    with pytest.raises(ValueError, match="link or a special"):
        study.run()


def test_encrypted_members_are_refused(study):
    path = study.write({"x": b"content"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    study.accept()
    with pytest.raises(ValueError, match="encrypted"):
        study.run()


@pytest.mark.parametrize("keep", [0.5, 0.99, 0.0])
def test_a_truncated_archive_is_refused(study, keep):
    path = study.write({f"{i}": bytes(range(256)) * 9 for i in range(9)})
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    study.accept()
    with pytest.raises(ValueError, match="whole zip"):
        study.run()


def test_damaged_content_is_refused(study):
    path = study.write({"x": bytes(range(256)) * 40})
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    study.accept()
    with pytest.raises(ValueError, match="cannot be unpacked"):
        study.run()
    assert not (study.path / "out").exists()


def test_a_member_larger_than_it_declares_is_refused(study):
    path = study.write({"x": bytes(5000)})
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2") + 24
    content[place : place + 4] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    study.accept()
    with pytest.raises(ValueError, match=r"refused|cannot be unpacked"):
        study.run()


def test_bombs_are_refused_but_zeros_may_shrink(study, monkeypatch):
    study.write({"x": bytes(1_000_000)})  # about 1000:1
    study.accept()
    assert "x" in study.run()
    monkeypatch.setattr(unpack, "RATIO_FROM", 500_000)
    with pytest.raises(ValueError, match="bomb"):
        study.run("--fresh")
    monkeypatch.setattr(unpack, "MAX_RATIO", 10_000)
    monkeypatch.setattr(unpack, "MAX_BYTES", 999_999)
    with pytest.raises(ValueError, match="limit"):
        study.run("--fresh")


def test_collisions_are_refused(study):
    study.write({"GE3T/1/x": b"1"}, "a.zip")
    study.write({"Utrecht/1/x": b"2"}, "b.zip")
    study.accept()
    with pytest.raises(ValueError, match=r"1/x.*a\.zip.*b\.zip"):
        study.run("--strip", "1")
    assert "GE3T/1/x" in study.run()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicates_and_files_used_as_folders_are_refused(study):
    study.write([("x", b"1"), ("x", b"2")])
    study.accept()
    with pytest.raises(ValueError, match="two members"):
        study.run()
    study.write([("x", b"1"), ("x/y", b"2")])
    study.accept()
    with pytest.raises(ValueError, match="is a file"):
        study.run()


def test_nothing_selected_is_an_error(study):
    study.write({"x": b"1"})
    study.accept()
    with pytest.raises(ValueError, match="nothing to unpack"):
        study.run("--root", "training")


def test_a_full_disk_is_told_beforehand(study, monkeypatch):
    study.write({"x": b"1"})
    study.accept()
    disk = SimpleNamespace(f_bavail=1, f_frsize=1000, f_files=0, f_favail=0)
    monkeypatch.setattr("os.statvfs", lambda _: disk)
    with pytest.raises(ValueError, match="unpacking writes 1 bytes, and 268 MB must stay free"):
        study.run()


def test_a_lineage_file_may_move_but_not_accept_others(study, capsys):
    study.write({"x.nii": b"x"})
    study.accept()
    study.run()
    (study.path / "my copies").mkdir()
    copy = (study.path / "x.lineage").rename(study.path / "my copies" / "renamed.lineage")
    study.run("--lineage", str(copy))
    assert "already unpacked" in capsys.readouterr().out
    copy.write_text(f"{'0' * 32}  a.zip\n")
    with pytest.raises(command.Stop, match=r"lineage: made with x\.lineage, now"):
        study.run("--lineage", str(copy))
