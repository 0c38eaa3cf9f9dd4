import hashlib

import pytest

from boundary_loss.lineage import UNKNOWN, Lineage, check

MD5, OTHER, SHA = "0" * 32, "1" * 32, "A" * 64


def read(tmp_path, text):
    (tmp_path / "x.lineage").write_text(text)
    return Lineage.read(tmp_path / "x.lineage")


def test_reads_what_md5sum_and_sha256sum_print(tmp_path):
    lineage = read(
        tmp_path, f"# Source: here\n# Source: there\n# free text\n\n{MD5}  a.zip\n{OTHER} *b c.zip\n{SHA}  a.zip\n"
    )
    assert lineage.archives == {"a.zip": (MD5, SHA.lower()), "b c.zip": (OTHER,)}
    assert lineage.header["Source"] == ("here", "there")
    assert not lineage.phantom


def test_a_phantom_says_so(tmp_path):
    assert read(tmp_path, f"# Phantom: isles\n{MD5}  a.zip\n").phantom


@pytest.mark.parametrize("line", ["abc  a.zip", MD5, f"{MD5}  ../a.zip", f"{MD5}  C:\\a.zip", f"{MD5}  ..", "a.zip"])
def test_a_bad_line_is_named(tmp_path, line):
    with pytest.raises(ValueError, match="line 2"):
        read(tmp_path, f"{MD5}  ok.zip\n{line}\n")


def test_empty_and_missing_files(tmp_path):
    with pytest.raises(ValueError, match="no archive"):
        read(tmp_path, "# Source: nowhere\n")
    with pytest.raises(FileNotFoundError, match="no lineage file"):
        Lineage.read(tmp_path / "none.lineage")


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_any_accepted_checksum_will_do(tmp_path, algorithm):
    path = tmp_path / "a.zip"
    path.write_bytes(b"content")
    right = hashlib.new(algorithm, b"content").hexdigest()
    told = []
    checked = check(path, (MD5, right), trust=False, progress=told.append)
    assert (checked.algorithm, checked.checksum, checked.trusted) == (algorithm, right, False)
    assert sum(told) == 7


def test_a_wrong_checksum_shows_all_expected_and_the_found(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"content")
    with pytest.raises(ValueError) as error:
        check(path, (MD5, OTHER), trust=False, progress=lambda _: None)
    assert all(text in str(error.value) for text in (MD5, OTHER, hashlib.md5(b"content").hexdigest(), "a.zip"))
    trusted = check(path, (MD5,), trust=True, progress=lambda _: None)
    assert trusted.trusted
    assert trusted.checksum == hashlib.sha256(b"content").hexdigest()


def test_a_checksum_that_was_never_published_fits_no_file(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"content")
    with pytest.raises(ValueError, match="knows no checksum") as error:
        check(path, (UNKNOWN,), trust=False, progress=lambda _: None)
    assert all(hashlib.new(name, b"content").hexdigest() in str(error.value) for name in ("md5", "sha256"))
    assert check(path, (UNKNOWN,), trust=True, progress=lambda _: None).trusted


@pytest.mark.parametrize(
    "name, count", [("ISLES", 2), ("wmh", 3), ("acdc", 1), ("ATRIA", 1), ("BRATS", 1), ("LITS", 2)]
)
def test_the_studies_lineages(name, count, request):
    lineage = Lineage.read(request.config.rootpath / "lineage" / f"{name}.lineage")
    assert len(lineage.archives) == count
    assert all(lineage.header[title] for title in ("Source", "Licence", "Citation"))
    assert not lineage.phantom
