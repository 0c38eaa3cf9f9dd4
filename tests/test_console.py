"""What commands print reaches every terminal, and only as text."""

import io
import os
import subprocess
import sys

import pytest
from toys import REPOSITORY

from boundary_loss.console import Console, printable, taking_any_text

SAID = "0.81 ± 0.02, n ≤ 5, φ − 3–4 · Müller"
ENCODINGS = {
    "utf-8": SAID,
    "latin-1": "0.81 ± 0.02, n <= 5, phi - 3-4 · Müller",
    "ascii": "0.81 +/- 0.02, n <= 5, phi - 3-4 * M\\xfcller",
}


def written(text: str, encoding: str = "utf-8") -> str:
    below = io.BytesIO()
    stream = io.TextIOWrapper(below, encoding=encoding, newline="")
    Console(stream).write(text)
    stream.flush()
    return below.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_takes_all_text(encoding: str) -> None:
    assert written(SAID, encoding) == ENCODINGS[encoding]


def test_no_encoding_fails_on_any_character() -> None:
    for encoding in (*ENCODINGS, "cp1252", "koi8-r", "utf-16-le"):
        for number in (*range(0x3000), 0x65E5, 0xD800, 0xDCFF, 0xFEFF, 0x1F600):
            written(chr(number), encoding)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\x9b2Jb", r"a\x9b2Jb"),
        ("a\rb\x08c\x7f", r"a\x0db\x08c\x7f"),
        ("gdl\u202elcp", r"gdl\u202elcp"),
        ("b\udcc3\udcbcndary", "bündary"),
        ("b\udcffd", r"b\xffd"),
        ("two\tcolumns\nand lines", "two\tcolumns\nand lines"),
    ],
)
def test_names_cannot_drive_the_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_a_progress_bar_goes_back_to_the_start_of_its_line() -> None:
    assert written("\r 3/7") == "\r 3/7"


def test_the_streams_are_as_before_at_the_end() -> None:
    before = sys.stdout, sys.stderr
    with pytest.raises(KeyError), taking_any_text():
        raise KeyError
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("locale", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_a_command_survives_a_bare_locale(locale: dict[str, str]) -> None:
    code = f"from boundary_loss import command\ndef main():\n print({SAID!a})\n raise ValueError('\\xb1 \\x1b')\n"
    bare = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONPATH": str(REPOSITORY / "src"), **locale}
    done = subprocess.run(
        [sys.executable, "-c", code + "command.run(main)"], env=bare, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout.decode("ascii").strip()) == (2, ENCODINGS["ascii"])
    assert done.stderr.decode("ascii").strip() == r"error: +/- \x1b"
