"""The static files of the pages: one stylesheet, one script, one icon."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from twisted.web.resource import IResource, Resource

from change_hooks.admin.answering import protect

TYPES = {
    "page.css": b"text/css; charset=utf-8",
    "page.js": b"text/javascript; charset=utf-8",
    "icon.svg": b"image/svg+xml",
}
FOLDER = "static"


@cache
def content_of(name: str) -> bytes:
    """The contents of a file."""
    return files(__package__).joinpath(FOLDER, name).read_bytes()


@cache
def address_of(name: str) -> str:
    """The path of a file, relative to the root; it changes when the file changes."""
    return f"{FOLDER}/{name}?v={sha256(content_of(name)).hexdigest()[:12]}"


class Asset(Resource):
    """One of the files."""

    isLeaf = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def render_GET(self, request: Any) -> bytes:
        """Respond with the file."""
        protect(request, kind=TYPES[self._name])
        request.setHeader(b"cache-control", b"private, max-age=86400")
        return content_of(self._name)


def assets() -> IResource:
    """The folder with all files."""
    folder = Resource()
    for name in TYPES:
        folder.putChild(name.encode(), Asset(name))
    return folder


__all__ = ["FOLDER", "address_of", "assets", "content_of"]
