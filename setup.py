"""What pyproject.toml cannot say: the names of the kernels' file and of the wheel that holds them.

The kernels are plain C that ctypes loads, so one wheel fits every Python 3 of a platform. Without a C compiler the
wheel holds Python alone; its name, which pip prints, then is ``boundary_loss-VERSION-0nokernels-py3-none-any.whl``.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

WITHOUT = "0nokernels"


class BuildKernels(build_ext):
    """Compiles ``kernels.so``, of which no part depends on Python; an earlier one is not kept if that fails."""

    def get_ext_filename(self, fullname: str) -> str:
        return str(Path(*fullname.split("."))) + EXTENSION_SUFFIXES[-1]

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception:
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
            raise


class Wheel(bdist_wheel):
    """Tags the wheel by what was compiled into it."""

    def run(self) -> None:
        super().run()
        if self.build_number == WITHOUT:
            print("boundary-loss: no kernels in C were compiled, so the CPU takes the slower way", file=sys.stderr)

    def get_tag(self) -> tuple[str, str, str]:
        platform = super().get_tag()[2]
        if any(Path(self.bdist_dir, "boundary_loss", "native").glob(f"kernels{EXTENSION_SUFFIXES[-1]}")):
            return "py3", "none", platform
        self.build_number = WITHOUT  # a part of the name, which is put together after this
        return "py3", "none", "any"


setup(cmdclass={"build_ext": BuildKernels, "bdist_wheel": Wheel})
