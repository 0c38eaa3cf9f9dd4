"""The commit and the difference to it: recorded whatever the repository holds, and whatever git says."""

import subprocess
from pathlib import Path

import pytest

from boundary_loss import provenance


def run(*words: str) -> None:
    identity = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, as the current folder."""
    monkeypatch.chdir(tmp_path)
    run("init", "-q")
    (tmp_path / "code.py").write_bytes(b"a = 1\n")
    run("add", "code.py")
    run("commit", "-q", "-m", "first")
    return tmp_path


def test_a_difference_in_any_encoding_is_kept_to_the_byte(repository: Path) -> None:
    (repository / "code.py").write_bytes(b"name = '\xfc\xff'.strip()\n")
    (repository / "new.txt").touch()
    difference = provenance.difference()
    assert b"+name = '\xfc\xff'.strip()\n" in difference and difference.endswith(b"untracked: new.txt\n")
    run("checkout", "-q", "-b", "z\u00fcrich/\u2603")
    assert len(provenance.commit()) == 40 and not provenance.refusal()


def test_a_users_settings_of_git_do_not_change_it(repository: Path) -> None:
    (repository / "code.py").write_bytes(b"a = 2\n")
    plain = provenance.difference()
    run("config", "color.ui", "always")
    run("config", "diff.external", "false")
    run("config", "core.pager", "false")
    assert provenance.difference() == plain and b"+a = 2" in plain


def test_a_huge_difference_is_cut_and_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "code.py").write_bytes(b"0123456789abcdef\n" * 200_000)
    monkeypatch.setattr(provenance, "MOST_BYTES", 1 << 20)
    difference = provenance.difference()
    assert difference.endswith(b"\n# cut after 1 MB\n") and len(difference) < 1.1 * 2**20


def test_without_a_repository_or_git_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (provenance.commit(), provenance.difference(), provenance.refusal()) == ("unknown", b"", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (provenance.commit(), provenance.difference(), provenance.refusal()) == ("unknown", b"", "")


def test_a_repository_that_git_refuses_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert provenance.commit() == "unknown" and provenance.difference() == b""
    assert "dubious ownership" in provenance.refusal()


def test_a_git_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(provenance, "_PATIENCE", 0.2)
    assert provenance.commit() == "unknown" and "no answer within 0.2 s" in provenance.refusal()
