"""Own data, whole: python preprocess/prepare_own.py data/NAME-prepared --source data/NAME --retain 40

``python -m boundary_loss.own`` has put the files of the source together and says what they are.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import sys
from pathlib import Path

from boundary_loss import command
from boundary_loss.own import study_of
from boundary_loss.preparation import run


def source() -> Path:
    """Return what ``--source`` names: it says what the study is."""
    words = sys.argv[1:]
    if "--source" not in words[:-1]:
        raise command.Stop("give --source, the folder that python -m boundary_loss.own has made")
    return Path(words[words.index("--source") + 1])


if __name__ == "__main__":
    command.run(lambda: run(study_of(source())))
