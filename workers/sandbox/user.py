"""Root becomes somebody with no rights at all, who still finds the modules.

An interpreter below a closed folder, such as a home, is out of reach for that somebody. Descriptors
opened before the change lead there all the same: `/proc/self/fd/5/sympy` starts at the descriptor
and asks nothing of the folders above it.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def become(uid: int, folders: Sequence[str]) -> list[int]:
    """Gives up root for good; the descriptors that modules are found through from now on.

    Raises OSError where that is not possible, as in a user namespace that has only root in it.
    """
    closed = [folder for folder in folders if not _is_open_to_all(Path(folder))]
    ways = {folder: os.open(folder, os.O_RDONLY | os.O_DIRECTORY) for folder in closed}
    _lead(ways)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    assert os.getresuid() == os.getresgid() == (uid, uid, uid)
    return list(ways.values())


def _is_open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))


def _lead(ways: dict[str, int]) -> None:
    """Changes where modules, and those of packages already imported, are looked for."""

    def redirect(path: str) -> str:
        for folder, fd in ways.items():
            if path == folder or path.startswith(folder + "/"):
                return f"/proc/self/fd/{fd}{path[len(folder) :]}"
        return path

    sys.path[:] = map(redirect, sys.path)
    for module in list(sys.modules.values()):
        if isinstance(path := getattr(module, "__path__", None), list):
            path[:] = map(redirect, path)
    sys.path_importer_cache.clear()
