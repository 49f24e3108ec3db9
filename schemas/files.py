"""Files wherever they are: local paths and fsspec URLs like s3://bucket/run. Complete or absent.

A local file gets its name by a rename; an object store shows an object only once all of it is
there. Nothing here renames or removes folders, which object stores do not have. Credentials are the
environment's: for S3 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL and the like.
"""

import errno
import hashlib
import io
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEMPORARY = ".tmp"
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory")
"""Schemes under which a file is there when all of it is, as this module promises; the clients of
others (sftp, smb, hdfs, ...) write under the final name, and are for reading."""
NUMBERS = {
    FileNotFoundError: errno.ENOENT,
    NotADirectoryError: errno.ENOTDIR,
    PermissionError: errno.EACCES,
}
"""Clients of object stores raise these without a number, and others with any."""
EXTRAS = {"s3": "s3", "s3a": "s3"}
"""What to install for a URL's scheme, as far as this package has an extra for it."""


def place(text: str | Path) -> Path:
    """The path or URL as a path: a plain one where it is local, else one with the same methods.

    Listings of an object store are not cached: other processes write there too. Raises ValueError
    for a scheme that nothing installed here can read.
    """
    if not isinstance(text, str):
        return text
    scheme, is_url, _ = text.partition("://")
    if not is_url:
        return Path(text)
    from upath import UPath

    try:
        path: Any = UPath(text, use_listings_cache=False)
        _ = path.fs
    except ImportError as error:
        extra = EXTRAS.get(scheme)
        way = f"pip install 'prm-factory[{extra}]'" if extra else str(error)
        raise ValueError(f"{text}: no file system for {scheme}:// is installed: {way}") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"{text}: {error}") from error
    return Path(path.path) if scheme in ("file", "local") else path


def is_local(path: Path) -> bool:
    """Whether the path is one of this machine's file system."""
    return isinstance(path, Path)


def absolute(path: Path) -> Path:
    """The same place whatever the working directory."""
    return path.resolve() if is_local(path) else path


def remote_key(path: Path) -> str:
    """What the file system itself calls the file: without the URL's scheme."""
    return str(path) if is_local(path) else str(path.path)  # type: ignore[attr-defined]


def file_system(path: Path) -> Any:
    """The fsspec file system of a URL; `None` for a local path."""
    return None if is_local(path) else path.fs  # type: ignore[attr-defined]


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a URL inside is an OSError that names it, as with a local file.

    Clients of object stores raise what they like, much of it without the URL, or such that it
    cannot be pickled. What is not a missing file or a refusal is EIO. Of a local file that is
    missing pyarrow gives neither number nor name.
    """
    try:
        yield
    except Exception as error:
        if is_local(path):
            if isinstance(error, FileNotFoundError) and error.filename is None:
                text = os.strerror(errno.ENOENT)
                raise FileNotFoundError(errno.ENOENT, text, str(path)) from None
            raise
        number = next((n for kind, n in NUMBERS.items() if isinstance(error, kind)), errno.EIO)
        said = " ".join(str(error).split())
        raise OSError(number, f"{type(error).__name__}: {said}"[:400], str(path)) from None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Readers see the old content or the new one, also after a crash.

    A link stays and its file is written. Raises PermissionError for what is there and no regular
    file: a rename would put one in the place of a device or a pipe.
    """
    data = content.encode() if isinstance(content, str) else content
    if not is_local(path):
        with storage_errors(path):
            file_system(path).pipe_file(remote_key(path), data)
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    if path.exists() and not path.is_file():
        raise PermissionError(errno.EACCES, "Is no regular file and stays", str(path))
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename is None:  # a full disk is met by `write`, which knows no names
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Without it a machine that loses power may forget the name of a file it has kept."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises FileNotFoundError."""
    if is_local(path):
        return path.read_bytes()
    with storage_errors(path):
        return bytes(file_system(path).cat_file(remote_key(path)))


def write_table(path: Path, table: pa.Table, **options: Any) -> None:
    """A Parquet file, complete or absent."""
    write_atomically(path, parquet_bytes(table, **options))


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    """The table as the bytes of a Parquet file; without rows it has no row group, as `datasets`
    cannot read an empty one."""
    rows_per_group = options.pop("row_group_size", None)
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, table.schema, **{"compression": "zstd", **options}) as file:
        if len(table):
            file.write_table(table, row_group_size=rows_per_group)
    return buffer.getvalue()


def read_table(
    path: Path, *, columns: Sequence[str] | None = None, schema: pa.Schema | None = None
) -> pa.Table:
    """A Parquet file's rows; a column that the schema has and the file lacks is null."""
    names = None if columns is None else list(columns)
    if is_local(path):
        with storage_errors(path):
            return pq.read_table(path, columns=names, schema=schema, partitioning=None)
    if columns is None:
        return pq.read_table(io.BytesIO(read_bytes(path)), schema=schema)
    with storage_errors(path), path.open("rb") as file:
        return pq.read_table(file, columns=names, schema=schema)


def listed(folder: Path, pattern: str) -> list[Path]:
    """The files and folders right inside, by name; none where the folder is absent.

    Names that begin with a dot are writers' own and never listed.
    """
    try:
        with storage_errors(folder):
            found = [path for path in folder.iterdir() if fnmatch(path.name, pattern)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((p for p in found if not p.name.startswith(".")), key=lambda p: p.name)


def make_folder(folder: Path) -> None:
    """With its parents. Object stores have no folders to make.

    Raises PermissionError where a file system takes none, which as /proc says that a parent of
    which it has just been told to make it is missing.
    """
    if not is_local(folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        raise PermissionError(errno.EACCES, "No folder can be made here", str(folder)) from error


def remove(path: Path) -> None:
    """A file that is gone already is no error."""
    with storage_errors(path):
        path.unlink(missing_ok=True)


def is_there(path: Path) -> bool:
    """Whether there is such a file now."""
    with storage_errors(path):
        return path.exists()


def clear_unfinished(folder: Path) -> None:
    """Removes the files that writers left in a folder, and in those below, who were killed."""
    if is_local(folder):
        for place, _, names in os.walk(folder):
            for name in names:
                if name.startswith(".") and name.endswith(TEMPORARY):
                    Path(place, name).unlink(missing_ok=True)


def sha256_of(content: bytes) -> str:
    """Hex."""
    return hashlib.sha256(content).hexdigest()
