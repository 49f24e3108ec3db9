"""What the Hub answers to the real clients, as far as datasets and commits need it.

Clients need HF_HUB_DISABLE_XET=1, or `xet_url`. Everything is kept in memory, in `repos`.
"""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.hub.faults import Faults
from tests.hub.repos import Commit, File, Repo, Stale

TOKEN = "hf_PlantedTokenThatNobodyMaySee"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status=status, body=json.dumps(value).encode(), headers=named)


def error(status: int, message: str, code: str = "") -> Answer:
    return as_json({"error": message}, status, X_Error_Code=code, X_Error_Message=message)


class Hub:
    """What the Hub knows and answers; the server below only carries it."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, bytes] = {}
        self.faults = Faults()
        self.token = TOKEN
        self.read_only: set[str] = set()
        """Owners in whose name the token may not write."""
        self.private: set[str] = set()
        """Owners whose repos are private unless they are made otherwise."""
        self.page_size = 1000
        self.requests: list[str] = []
        self.url = ""
        self.xet_url = ""
        """Where clients put bytes by Xet: local:///folder; `large` has to know them beforehand."""
        name = r"(?P<repo>[^/]+/[^/]+)"
        routes: list[tuple[str, Callable[..., Answer]]] = [
            (r"GET /api/whoami-v2", self._whoami),
            (r"POST /api/repos/create", self._create),
            (r"POST /api/validate-yaml", lambda request: as_json({"errors": [], "warnings": []})),
            (rf"GET /api/datasets/{name}(/revision/(?P<revision>.+))?", self._info),
            (rf"GET /api/datasets/{name}/tree/(?P<revision>[^/]+)(/(?P<path>.*))?", self._tree),
            (rf"POST /api/datasets/{name}/paths-info/(?P<revision>.+)", self._paths_info),
            (rf"POST /api/datasets/{name}/preupload/(?P<revision>.+)", self._preupload),
            (rf"POST /api/datasets/{name}/branch/(?P<revision>.+)", self._branch),
            (rf"POST /api/datasets/{name}/commit/(?P<revision>.+)", self._commit),
            (rf"GET /api/datasets/{name}/commits/(?P<revision>.+)", self._commits),
            (rf"GET /api/datasets/{name}/xet-write-token/(?P<revision>.+)", self._xet_token),
            (rf"POST /datasets/{name}\.git/info/lfs/objects/batch", self._lfs_batch),
            (r"PUT /lfs/(?P<oid>[0-9a-f]{64})", self._lfs_put),
            (r"POST /lfs/verify", self._lfs_verify),
            (
                rf"(GET|HEAD) /datasets/{name}/resolve/(?P<revision>[^/]+)/(?P<path>.+)",
                self._resolve,
            ),
        ]
        self._routes = [(re.compile(pattern), answer) for pattern, answer in routes]

    def answer(self, request: Request) -> Answer:
        """The right answer, with its effect."""
        for pattern, route in self._routes:
            if found := pattern.fullmatch(f"{request.method} {request.path}"):
                groups = {k: unquote(v) for k, v in found.groupdict().items() if v is not None}
                return self._refusal(request, groups.get("repo")) or route(request, **groups)
        return error(404, f"no route for {request.method} {request.path}")

    def _refusal(self, request: Request, repo_id: str | None) -> Answer | None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if given and given != self.token:
            return error(401, "Invalid credentials in Authorization header")
        writes = request.method == "POST" and "paths-info" not in request.path
        if writes and not given and not request.path.startswith("/lfs/"):
            return error(401, "Unauthorized")
        if writes and repo_id and repo_id.split("/")[0] in self.read_only:
            return error(403, "You have read access but not the required permissions")
        return None

    def _found(self, repo: str, revision: str = "main", **given: str) -> Commit | Answer:
        if repo not in self.repos or (self.repos[repo].is_private and not given.get("token")):
            return error(404, "Repository not found", "RepoNotFound")
        found = self.repos[repo].find(revision)
        return found or error(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def _whoami(self, request: Request) -> Answer:
        return as_json({"name": "org", "type": "user", "orgs": [], "auth": {}})

    def _create(self, request: Request) -> Answer:
        owner, name = request.json["organization"], request.json["name"]
        url = f"{self.url}/datasets/{owner}/{name}"
        if owner in self.read_only:
            return error(403, f"You don't have the rights to create a dataset under {owner}")
        if f"{owner}/{name}" in self.repos:
            return as_json({"error": "You already created this dataset repo", "url": url}, 409)
        visibility = request.json.get("visibility")
        is_private = visibility == "private" or (visibility is None and owner in self.private)
        self.repos[f"{owner}/{name}"] = Repo(is_private=is_private)
        return as_json({"url": url, "name": f"{owner}/{name}"})

    def _info(self, request: Request, repo: str, revision: str = "main") -> Answer:
        commit = self._found(repo, revision, token=request.headers.get("authorization", ""))
        if isinstance(commit, Answer):
            return commit
        siblings = [{"rfilename": path} for path in commit.files]
        flags = {"private": self.repos[repo].is_private, "gated": False, "disabled": False}
        described = {"_id": "0", "id": repo, "sha": commit.oid, "siblings": siblings, "tags": []}
        return as_json({**described, **flags, "downloads": 0, "likes": 0})

    def _tree(self, request: Request, repo: str, revision: str, path: str = "") -> Answer:
        commit = self._found(repo, revision, token=request.headers.get("authorization", ""))
        if isinstance(commit, Answer):
            return commit
        prefix = f"{path}/" if path else ""
        entries: dict[str, dict[str, Any]] = {}
        for name, file in sorted(commit.files.items()):
            if name.startswith(prefix):
                parts = name.removeprefix(prefix).split("/")
                for depth in range(1, len(parts)):
                    folder = prefix + "/".join(parts[:depth])
                    entries[folder] = {"type": "directory", "path": folder, "oid": "0", "size": 0}
                entries[name] = described(name, file)
        if not entries:
            return error(404, f"{path} does not exist", "EntryNotFound")
        listed = list(entries.values())
        if request.query.get("recursive", "false").lower() != "true":
            listed = [entry for entry in listed if "/" not in entry["path"].removeprefix(prefix)]
        start = int(request.query.get("cursor", 0))
        end = start + self.page_size
        link = ""
        if end < len(listed):
            rest = f"recursive={request.query.get('recursive', 'false')}&cursor={end}"
            link = f'<{self.url}{request.path}?{rest}>; rel="next"'
        return as_json(listed[start:end], Link=link)

    def _paths_info(self, request: Request, repo: str, revision: str) -> Answer:
        commit = self._found(repo, revision, token=request.headers.get("authorization", ""))
        if isinstance(commit, Answer):
            return commit
        paths = parse_qs(request.body.decode()).get("paths", [])
        infos = [described(p, commit.files[p]) for p in paths if p in commit.files]
        folders = [p for p in paths if any(f.startswith(f"{p}/") for f in commit.files)]
        infos += [{"type": "directory", "path": p, "oid": "0", "size": 0} for p in folders]
        return as_json(infos)

    def _preupload(self, request: Request, repo: str, revision: str) -> Answer:
        commit = self._found(repo, revision, token=self.token)
        if isinstance(commit, Answer):
            return commit
        modes = []
        for asked in request.json["files"]:
            file = commit.files.get(asked["path"])
            mode = "lfs" if asked["path"].endswith(".parquet") else "regular"
            known = {"oid": file.sha256 if file.is_lfs else file.git_sha1} if file else {}
            modes.append(
                {"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, **known}
            )
        return as_json({"files": modes})

    def _commits(self, request: Request, repo: str, revision: str) -> Answer:
        """Newest first."""
        commit = self._found(repo, revision, token=request.headers.get("authorization", ""))
        if isinstance(commit, Answer):
            return commit
        known, listed = self.repos[repo].commits, [commit]
        while (parent := listed[-1].parent) is not None:
            listed.append(known[parent])
        day = "2026-01-01T00:00:00.000Z"
        named = [{"id": c.oid, "title": c.message, "message": ""} for c in listed]
        return as_json([{**one, "authors": [], "date": day} for one in named])

    def _branch(self, request: Request, repo: str, revision: str) -> Answer:
        commit = self._found(repo, request.json.get("startingPoint", "main"), token=self.token)
        if isinstance(commit, Answer):
            return commit
        if self.repos[repo].branches.setdefault(revision, commit.oid) != commit.oid:
            return error(409, "Reference already exists")
        return as_json({})

    def _xet_token(self, request: Request, repo: str, revision: str) -> Answer:
        return as_json({"casUrl": self.xet_url, "exp": 4_000_000_000, "accessToken": "none"})

    def _lfs_batch(self, request: Request, repo: str) -> Answer:
        objects = []
        for asked in request.json["objects"]:
            if asked["oid"] not in self.large:
                asked["actions"] = {
                    "upload": {"href": f"{self.url}/lfs/{asked['oid']}"},
                    "verify": {"href": f"{self.url}/lfs/verify"},
                }
            objects.append(asked)
        return as_json({"transfer": "basic", "objects": objects})

    def _lfs_put(self, request: Request, oid: str) -> Answer:
        if File(request.body, True).sha256 != oid:
            return error(400, "the content does not have this SHA-256")
        self.large[oid] = request.body
        return Answer()

    def _lfs_verify(self, request: Request) -> Answer:
        known = self.large.get(request.json["oid"])
        is_known = known is not None and len(known) == request.json["size"]
        return Answer() if is_known else error(404, "no such object")

    def _commit(self, request: Request, repo: str, revision: str) -> Answer:
        if isinstance(found := self._found(repo, revision, token=self.token), Answer):
            return found
        lines = [json.loads(line) for line in request.body.splitlines()]
        header = lines[0]["value"]
        files = {}
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "lfsFile":
                if value["oid"] not in self.large:
                    return error(400, f"{value['path']}: its content was never uploaded")
                files[value["path"]] = File(self.large[value["oid"]], True)
            elif line["key"] == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), False)
            else:
                return error(400, f"{line['key']} is not spoken here")
        parent = header.get("parentCommit")
        try:
            made = self.repos[repo].commit(revision, files, header["summary"], parent)
        except Stale:
            return error(412, "A commit has happened since. Please refresh and try again.")
        url = f"{self.url}/datasets/{repo}/commit/{made.oid}"
        return as_json({"success": True, "commitOid": made.oid, "commitUrl": url})

    def _resolve(self, request: Request, repo: str, revision: str, path: str) -> Answer:
        commit = self._found(repo, revision, token=request.headers.get("authorization", ""))
        if isinstance(commit, Answer):
            return commit
        if path not in commit.files:
            return error(404, f"{path} does not exist", "EntryNotFound")
        file = commit.files[path]
        etag = f'"{file.sha256 if file.is_lfs else file.git_sha1}"'
        size = len(file.content)
        headers = {"X-Repo-Commit": commit.oid, "ETag": etag, "Accept-Ranges": "bytes"}
        if file.is_lfs:
            headers |= {"X-Linked-Size": str(size), "X-Linked-Etag": etag}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not asked:
            return Answer(body=file.content, headers=headers)
        start, end = int(asked[1]), min(int(asked[2] or size), size - 1)
        if start >= size:
            return error(416, "beyond the end")
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        return Answer(status=206, body=file.content[start : end + 1], headers=headers)


def described(path: str, file: File) -> dict[str, Any]:
    """A file as listings show it."""
    size = len(file.content)
    entry: dict[str, Any] = {"type": "file", "path": path, "size": size, "oid": file.git_sha1}
    if file.is_lfs:
        entry["lfs"] = {"oid": file.sha256, "size": size, "pointerSize": len(file.pointer)}
    return entry
