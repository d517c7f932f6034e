"""The forges' webhooks: read, created and changed over their APIs, one module per forge."""

from __future__ import annotations

from collections.abc import Mapping

from change_hooks.forges.webhooks.azuredevops import AzureDevOpsWebhooks
from change_hooks.forges.webhooks.base import Webhooks
from change_hooks.forges.webhooks.bitbucketcloud import BitbucketCloudWebhooks
from change_hooks.forges.webhooks.bitbucketserver import BitbucketServerWebhooks
from change_hooks.forges.webhooks.gitea import GiteaWebhooks
from change_hooks.forges.webhooks.github import GitHubWebhooks
from change_hooks.forges.webhooks.gitlab import GitLabWebhooks

#: By the name of the forge.
WEBHOOKS: Mapping[str, type[Webhooks]] = {
    "azuredevops": AzureDevOpsWebhooks,
    "bitbucketcloud": BitbucketCloudWebhooks,
    "bitbucketserver": BitbucketServerWebhooks,
    "gitea": GiteaWebhooks,
    "github": GitHubWebhooks,
    "gitlab": GitLabWebhooks,
}

__all__ = ["WEBHOOKS"]
