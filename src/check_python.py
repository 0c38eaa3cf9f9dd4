"""Print ``ready`` if this Python can run the study, else what is wrong: python src/check_python.py PACKAGE ...

Old Pythons must be able to read this file, hence no newer syntax.
"""

import os
import sys


def hidden():
    """Modules of Python itself that a folder of PYTHONPATH would replace, with the replacing file."""
    folders = filter(os.path.isdir, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    for folder in folders:
        for name in sorted(os.listdir(folder)):
            is_module = name.endswith(".py") or os.path.isfile(os.path.join(folder, name, "__init__.py"))
            if is_module and name.split(".")[0] in sys.stdlib_module_names:
                yield name.split(".")[0], os.path.join(folder, name)


def fault(packages):
    """What is wrong; None if nothing is."""
    if sys.version_info < (3, 11):
        return "it is Python " + sys.version.split()[0]
    for module, path in hidden():
        return path + " hides Python's own module " + module + " (rename it, or take its folder out of PYTHONPATH)"
    from importlib.util import find_spec

    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        return "it lacks " + ", ".join(missing)
    return None


if __name__ == "__main__":
    print(fault(sys.argv[1:]) or "ready")
