"""The REST API of Azure DevOps.

Source: Microsoft, "Azure DevOps Services REST API": "Git", "Service Hooks"; "Use personal access tokens".
"""

from __future__ import annotations

from collections.abc import Sequence

from change_hooks.core.events import Repository
from change_hooks.dialects.payloads.azuredevops import RepositoryShape
from change_hooks.forges.forge import Forge, shaped_as
from change_hooks.forges.rest import Subject, names
from change_hooks.forges.tokens import basic_without_user

VERSION = {"api-version": "7.1"}


class AzureDevOps(Forge):
    """Asks Azure DevOps. Repositories are called ``organization/project/repository``; on a server of one's
    own, ``collection/project/repository``.
    """

    name = "azuredevops"
    api = "https://dev.azure.com"
    scheme = staticmethod(basic_without_user)
    git_user = "token"
    push_event = tag_event = "git.push"

    def repository_path(self, full_name: str) -> Sequence[str]:
        """See :meth:`Forge.repository_path`."""
        organization, project, name = names(full_name, 3)
        return organization, project, "_apis", "git", "repositories", name

    async def repository(self, full_name: str) -> Repository:
        """See :meth:`Forge.repository`."""
        got = await self.rest.get(*self.repository_path(full_name), query=VERSION, about=Subject(full_name))
        return shaped_as(RepositoryShape, got.value).repository()

    def git_url(self, full_name: str) -> str:
        """See :meth:`Forge.git_url`."""
        organization, project, name = names(full_name, 3)
        return f"{self.base}/{organization}/{project}/_git/{name}"


__all__ = ["VERSION", "AzureDevOps"]
