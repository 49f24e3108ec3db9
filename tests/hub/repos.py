"""Dataset repos as the Hub keeps them: branches of commits, each a whole tree, and large files."""

import hashlib
import threading
from dataclasses import dataclass, field

GITATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"


@dataclass(frozen=True, slots=True)
class File:
    """A file's content, and whether it is stored as a large file."""

    content: bytes
    is_lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def git_sha1(self) -> str:
        """Git's name of the blob: of the pointer, for a large file."""
        blob = self.pointer if self.is_lfs else self.content
        return hashlib.sha1(b"blob %d\0%b" % (len(blob), blob)).hexdigest()

    @property
    def pointer(self) -> bytes:
        lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{self.sha256}")
        return "\n".join([*lines, f"size {len(self.content)}", ""]).encode()


@dataclass(frozen=True, slots=True)
class Commit:
    oid: str
    parent: str | None
    message: str
    files: dict[str, File]
    added: tuple[str, ...]


class Stale(Exception):
    """The branch has moved since the commit's parent."""


@dataclass(slots=True)
class Repo:
    is_private: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.commit("main", {".gitattributes": File(GITATTRIBUTES, False)}, "initial commit")

    def find(self, revision: str) -> Commit | None:
        """The commit of a branch's name or of its own."""
        return self.commits.get(self.branches.get(revision, revision))

    def commit(
        self, branch: str, files: dict[str, File], message: str, parent: str | None = None
    ) -> Commit:
        """Adds files to a branch.

        Raises Stale when `parent` is given and is not the head.
        """
        with self.lock:
            head = self.branches.get(branch)
            if parent is not None and parent != head:
                raise Stale
            tree = {**(self.commits[head].files if head else {}), **files}
            name = "\n".join([str(head), message, *(f"{p} {f.git_sha1}" for p, f in files.items())])
            oid = hashlib.sha1(name.encode()).hexdigest()
            self.commits[oid] = Commit(oid, head, message, tree, tuple(files))
            self.branches[branch] = oid
            return self.commits[oid]

    @property
    def files(self) -> dict[str, File]:
        """The tree of main."""
        return self.commits[self.branches["main"]].files

    def num_additions(self, path: str) -> int:
        """How many commits added this path."""
        return sum(path in commit.added for commit in self.commits.values())
