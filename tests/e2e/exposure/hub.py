"""Runs in the server's image: stands in for the Hugging Face Hub, with one private model that has one branch.

Arguments: the folder of the model's files, the model's name, its branch, and the token without which nothing is told.
The log has a line for each answer.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

folder, name, branch, token = Path(sys.argv[1]), *sys.argv[2:5]
files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
digests = {path: hashlib.file_digest(path.open("rb"), "sha256").hexdigest() for path in files.values()}
commit = hashlib.sha1("".join(digests.values()).encode()).hexdigest()  # noqa: S324  as Git names commits
info = {"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files]}
tree = [
    {"type": "file", "path": file, "size": path.stat().st_size, "oid": digests[path]} for file, path in files.items()
]


class Hub(BaseHTTPRequestHandler):
    """The part of the Hub's API by which its library fetches a model."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {token}":
            self.answer(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
            return
        path = unquote(urlsplit(self.path).path)
        for revision in (branch, commit):
            if path == f"/api/models/{name}/revision/{revision}":
                self.answer(200, {"Content-Type": "application/json"}, json.dumps(info).encode())
                return
            if path == f"/api/models/{name}/tree/{revision}":
                self.answer(200, {"Content-Type": "application/json"}, json.dumps(tree).encode())
                return
            if path.startswith(place := f"/{name}/resolve/{revision}/"):
                self.send(files.get(path.removeprefix(place)))
                return
        self.answer(404, {"X-Error-Code": "RevisionNotFound"})

    do_HEAD = do_GET  # noqa: N815  as the library calls it

    def send(self, path: Path | None) -> None:
        """Answer with a file or the part of it that is asked for, or that there is none."""
        if not path:
            self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        size = path.stat().st_size
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
        first, last = (int(part[1]), min(int(part[2]), size - 1)) if part else (0, size - 1)
        self.send_response(206 if part else 200)
        if part:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{digests[path]}"')
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as content:
                content.seek(first)
                if part:
                    self.wfile.write(content.read(last + 1 - first))
                else:
                    shutil.copyfileobj(content, self.wfile)

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        """Answer with a few bytes."""
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


ThreadingHTTPServer(("", 8080), Hub).serve_forever()
