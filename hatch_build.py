"""Makes of the README what the package index shows, which has no files that relative links could lead to.

With CHANGE_HOOKS_REPOSITORY, which a release sets to the address of the source, the links lead to the files
of the released version there. Without it they lead nowhere: their text stays, and pictures are left out.
A wheel that is built from a source distribution has the description of that.
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

    :param repository: the address of the source, as GitHub has it; may be empty.
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
