"""What a submitted job brings along: its file, and what it names by relative paths. No more.

Relative paths that exist beside the job file are shipped, and the shipped job file names the
copies. Absolute paths, URLs and Hub ids mean what they mean on the cluster.
"""

import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from factory.bounded_yaml import read_yaml
from factory.engine_args import relative_path_in
from factory.errors import InputError
from factory.input_rows import FILE_SUFFIXES
from factory.job import ROLES
from factory.job_checks import check_engine_args
from factory.job_file import load_job

JOB_FILE = "job.yaml"
TOKEN_FILE = ".hf_token"
MAX_BYTES = 200 << 20
"""Of everything together: Ray keeps it in the memory of the head node, and takes 512 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A file or folder that a field of the job names."""

    field: str
    source: Path
    name: str
    """Where it lies in the bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A folder ready to be sent."""

    folder: Path
    digest: str
    """Names every byte of it but a token's."""
    num_bytes: int
    shipped: tuple[Shipped, ...]


def make_bundle(job_file: Path, folder: Path, *, hf_token: str | None = None) -> Bundle:
    """Copies a job and what it needs into an empty folder.

    Raises InputError for a job file that would be refused there too, and for one that names more
    than a job can bring along.
    """
    check_engine_args(load_job(job_file))
    _, content = read_yaml(job_file.read_text(encoding="utf-8"))
    _check_engine_paths(content, job_file.parent)
    shipped = tuple(_relative(content, job_file.parent))
    num_bytes = sum(_checked_size(one) for one in shipped)
    if num_bytes > MAX_BYTES:
        raise InputError(f"{_megabytes(num_bytes)} are too much to send: {_INSTEAD}")
    for one in shipped:
        _copy(one, folder / one.name)
    text = yaml.safe_dump(_renamed(content, shipped), sort_keys=False, allow_unicode=True)
    (folder / JOB_FILE).write_text(text, encoding="utf-8")
    digest = _digest(folder)
    if hf_token:
        token = folder / TOKEN_FILE
        token.touch(mode=0o600)
        token.write_text(hf_token, encoding="utf-8")
    return Bundle(folder=folder, digest=digest, num_bytes=num_bytes, shipped=shipped)


def pack(bundle: Bundle, to: Path) -> None:
    """Writes it as a zip file, the same bytes for the same content.

    Given a folder, Ray packs it itself, without what a `.gitignore` or `.rayignore` in any folder
    of it names, nor what is called `venv` or the like: problems would be missing and nobody told.
    """
    with zipfile.ZipFile(to, "w") as archive:
        for file in _files(bundle.folder):
            name = file.relative_to(bundle.folder).as_posix()
            archive.writestr(zipfile.ZipInfo(name), file.read_bytes())


_INSTEAD = (
    f"a job can bring {MAX_BYTES >> 20} MB along; put it on storage that the cluster sees and "
    "name it by its absolute path"
)


def _check_engine_paths(content: dict[str, Any], beside: Path) -> None:
    for role in ROLES:
        if name := relative_path_in((content.get(role) or {}).get("engine_args"), beside):
            raise InputError(
                f"{role}.engine_args.{name} names what lies beside the job file, which is not sent "
                "along: put it on storage that the cluster sees and name it by its absolute path, "
                "or take a Hub id"
            )


def _relative(content: dict[str, Any], beside: Path) -> Iterator[Shipped]:
    for field, name in _paths(content):
        path = Path(name).expanduser()
        if path.is_absolute() or "://" in name:
            continue
        if (beside / path).exists():
            source = (beside / path).resolve()
            yield Shipped(field=field, source=source, name=f"inputs/{field}/{source.name}")
        elif field == "recipe":
            raise InputError(f"recipe file {beside / path} does not exist")
        elif not _could_be_hub_id(field, name, beside / path):
            raise InputError(
                f"{field}: {beside / path} does not exist; what lies on the cluster is named by "
                "its absolute path"
            )


def _could_be_hub_id(field: str, name: str, path: Path) -> bool:
    """A name in a folder that is there means a file of it, as `load_job` has it."""
    is_in_folder = "/" in name and path.parent.is_dir()
    if name.startswith((".", "~")) or is_in_folder:
        return False
    if field == "problems.path":
        return name.count("/") <= 1 and path.suffix not in FILE_SUFFIXES
    return name.count("/") == 1


def _paths(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields that may name a file, with what they say."""
    for section, key in (("problems", "path"), *((role, "model") for role in ROLES)):
        if isinstance(content.get(section), dict):
            yield f"{section}.{key}", str(content[section][key])
    if str(content.get("recipe", "")).endswith(".py"):
        yield "recipe", str(content["recipe"])


def _checked_size(one: Shipped) -> int:
    _check_links(one)
    size = sum(file.stat().st_size for file in _files(one.source))
    if size > MAX_BYTES:
        kind = "model" if one.field.endswith(".model") else "file"
        raise InputError(
            f"{one.field}: the {kind} {one.source} has {_megabytes(size)}: {_INSTEAD}"
            + (", or take a Hub id" if kind == "model" else "")
        )
    return size


def _check_links(one: Shipped) -> None:
    """A link is copied as what it leads to, which may be anything on this machine."""
    for link in sorted(f for f in one.source.rglob("*") if f.is_symlink()):
        target = link.resolve()
        if not (target.is_relative_to(one.source) and target.is_file()):
            raise InputError(
                f"{one.field}: {link} is a link that leads to no file of {one.source}, and would "
                "not be sent as what it is: put the files themselves there, or take it out"
            )


def _files(source: Path) -> list[Path]:
    return sorted(f for f in source.rglob("*") if f.is_file()) if source.is_dir() else [source]


def _copy(one: Shipped, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if one.source.is_dir():
        shutil.copytree(one.source, to, dirs_exist_ok=True)
    else:
        shutil.copyfile(one.source, to)


def _renamed(content: dict[str, Any], shipped: tuple[Shipped, ...]) -> dict[str, Any]:
    """The job with its fields naming the copies. Aliased sections are apart from here on."""
    found = {k: dict(v) if isinstance(v, dict) else v for k, v in content.items()}
    for one in shipped:
        section, _, key = one.field.partition(".")
        if key:
            found[section][key] = one.name
        else:
            found[section] = one.name
    return found


def _digest(folder: Path) -> str:
    state = hashlib.blake2b(digest_size=8)
    for file in _files(folder):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        state.update(f"{file.relative_to(folder)} {content}\n".encode())
    return state.hexdigest()


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / (1 << 20):,.1f} MB"
