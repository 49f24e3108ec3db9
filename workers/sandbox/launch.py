"""How a zygote is started: what is put around it, and what it is let see.

bubblewrap gives it a file system of its own, with nothing in it but an interpreter's libraries, and
no network, processes or users of the host. Where that cannot be had, as in most containers,
Landlock and seccomp alone keep it in. Nothing is taken for granted: a zygote that comes up has
tried its locks.
"""

import importlib.util
import json
import os
import shutil
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path

from workers.sandbox.cells import Limits

BUBBLEWRAP, LANDLOCK, UNSAFE = "bubblewrap", "landlock", "unsafe"
_NOBODY = 65534
_PACKAGE_INSIDE = "/sandbox"
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # sets, and so sympy's output, would be ordered differently by zygote
    "PYTHONUTF8": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""All that the zygote sees of an environment; cells see none."""
_FLAGS = ("-S", "-s", "-P", "-B")
"""No site and its .pth files, no user's folder, no current folder, no bytecode written."""
_BOOT = """
import json, sys, types
config = json.loads(sys.argv[1])
for name, path in (("workers", []), ("workers.sandbox", [config.pop("package")])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = path
from workers.sandbox import zygote
zygote.main(config)
"""
"""The package's own `__init__` stays out: it is the owner's side and drags asyncio in."""


class SandboxUnavailable(RuntimeError):
    """No isolation can be set up here, it broke down for good, or the sandbox was closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command for a zygote, its environment, and the isolation it makes."""

    isolation: str
    command: list[str]
    environment: dict[str, str]


def make_launch(isolation: str, limits: Limits) -> Launch:
    """The way to start a zygote in this isolation.

    Raises SandboxUnavailable where something needed for it is not installed.
    """
    config = {
        "owner": os.getpid(),
        "package": str(Path(__file__).parent),
        "sites": _sites(),
        "is_locked": isolation != UNSAFE,
        "needs_landlock": isolation == LANDLOCK,
        "uid": _NOBODY if isolation == LANDLOCK and os.getuid() == 0 else None,
        "limits": asdict(limits),
    }
    prefix = []
    if isolation == BUBBLEWRAP:
        config |= {"owner": None, "package": _PACKAGE_INSIDE}
        prefix = wrap([(str(Path(__file__).parent), _PACKAGE_INSIDE)])
    python = os.path.realpath(sys.executable)
    command = [*prefix, python, *_FLAGS, "-c", _BOOT, json.dumps(config)]
    return Launch(isolation=isolation, command=command, environment=_ENVIRONMENT)


def wrap(binds: list[tuple[str, str]]) -> list[str]:
    """What to put before a command to run it in bubblewrap, with more to read if wanted.

    Raises SandboxUnavailable if bubblewrap is not installed.
    """
    if (program := shutil.which("bwrap")) is None:
        raise SandboxUnavailable("bwrap is not on the PATH")
    options = [
        "--unshare-user --uid 65534 --gid 65534 --unshare-ipc --unshare-pid --unshare-net",
        "--unshare-uts --hostname sandbox --unshare-cgroup-try",
        "--cap-drop ALL --new-session --die-with-parent",
    ]
    command = [program, *" ".join(options).split()]
    for path in _libraries():
        if path.is_symlink():  # /lib is a link to usr/lib on most systems of today
            command += ["--symlink", os.readlink(path), str(path)]
        else:
            command += ["--ro-bind", str(path), str(path)]
    for outside, inside in binds:
        command += ["--ro-bind", outside, inside]
    return [*command, "--remount-ro", "/", "--chdir", "/", "--"]


def _libraries() -> list[Path]:
    """The interpreter and all that it loads; folders before what lies in them."""
    system = [Path(name) for name in ("/lib", "/lib64", "/usr/lib", "/usr/lib64")]
    found = {path for path in system if path.exists()}
    found |= {Path(sys.executable).resolve(), Path(os.__file__).parent, *map(Path, _sites())}
    shared = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    found |= set(shared.glob("libpython*.so*"))
    if (cache := Path("/etc/ld.so.cache")).exists():
        found.add(cache)
    return sorted(found)


def _sites() -> list[str]:
    """Folders that hold what cells may import beside the standard library."""
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    for name in ("sympy", "mpmath", "numpy"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SandboxUnavailable(f"{name} is not installed for {sys.executable}")
        folders.add(str(Path(spec.origin).parent.parent))
    return sorted(folder for folder in folders if os.path.isdir(folder))
