"""Adapts the README for the package index, where relative links do not work.

If CHANGE_HOOKS_REPOSITORY is set to the URL of the source repository, as in a release, the links point to the
files of the released version there. Otherwise links become plain text, and pictures are left out. A wheel
built from a source distribution has the description of the latter.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

REPOSITORY = "CHANGE_HOOKS_REPOSITORY"
_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]+)\]\((?![a-z]+:)(?P<path>[^)#]+)(?P<anchor>#[^)]*)?\)")


def description(readme: str, repository: str, version: str) -> str:
    """The README without relative links.

    :param repository: the URL of the source repository at GitHub; may be empty.
    """

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link["picture"] else "blob"
        address = f"{repository}/{kind}/v{version}/{link['path']}{link['anchor'] or ''}"
        return f"{link['picture']}[{link['text']}]({address})"

    if repository:
        return _LINK.sub(absolute, readme)
    text = _LINK.sub(lambda link: "" if link["picture"] else link["text"], readme)
    return re.sub(r"\n{3,}", "\n\n", text)


class Metadata(MetadataHookInterface):
    """The fields that depend on where the source is published."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme`` and ``urls``."""
        repository, version = os.environ.get(REPOSITORY, "").rstrip("/"), metadata["version"]
        readme = (Path(self.root) / "README.md").read_text("utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": description(readme, repository, version),
        }
        metadata["urls"] = {}
        if repository:
            files = f"{repository}/blob/v{version}"
            metadata["urls"] = {
                "Changelog": f"{files}/CHANGELOG.md",
                "Documentation": f"{files}/docs/index.md",
                "Issues": f"{repository}/issues",
                "Source": repository,
            }
