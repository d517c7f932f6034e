"""What can be recovered from each forge, and the runners that do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from change_hooks.core.recovering import Recover, Source
from change_hooks.core.stored import ALL, Stored
from change_hooks.dialects.handler import HookHandler
from change_hooks.dialects.methods import method_name
from change_hooks.forges.azuredevops_log import AzureDevOpsLog
from change_hooks.forges.forge import Forge
from change_hooks.forges.github_log import GitHubLog
from change_hooks.forges.gitlab_log import GitLabLog
from change_hooks.forges.logged import Log
from change_hooks.forges.push_logs import BitbucketServerLog, GiteaLog
from change_hooks.interfaces import IJournal
from change_hooks.plugins import FORGE_GROUPS, installed
from change_hooks.recovery.catch_up import GRACE, CatchUp
from change_hooks.recovery.heads import Heads
from change_hooks.recovery.recovered import Acceptance, Runner
from change_hooks.recovery.remotes import Addressed, Named

#: The time limit of each request to the forge, in seconds, and how often a reading request is attempted.
TIME_LIMIT, ATTEMPTS = 20.0, 3


class Ways(msgspec.Struct, frozen=True):
    """How to recover from a forge.

    :param log: creates the log of a source; the last argument is the path in which its webhook's URL ends.
    :param vias: valid values of ``via`` besides ``heads``; the first is the default.
    :param kinds: the kinds of sources that have a log: see :attr:`Source.kind`.
    :param parts: how many parts a repository's name has; None: any number.
    """

    log: Callable[[Any, Source, str], Log]
    vias: tuple[str, ...]
    kinds: tuple[str, ...]
    parts: int | None = 2


WAYS: Mapping[str, Ways] = {
    "azuredevops": Ways(AzureDevOpsLog, ("fetch",), ("repository", "organization"), 3),
    "github": Ways(GitHubLog, ("fetch", "redeliver"), ("repository", "organization", "app")),
    "bitbucketserver": Ways(BitbucketServerLog, ("fetch",), ("repository",)),
    "gitea": Ways(GiteaLog, ("fetch",), ("repository",)),
    "gitlab": Ways(GitLabLog, ("fetch", "redeliver"), ("repository", "organization"), None),
}


def problems(forge: str, recover: Recover, journal: object) -> list[str]:
    """Problems with the option ``recover`` of an endpoint; each text follows the option's name.

    :param forge: the short name of the endpoint's forge.
    :param journal: the configured journal.
    """
    if not recover.sources:
        return []
    if journal is None:
        return ["needs a journal (change_hook_journal)"]
    ways = WAYS.get(forge)
    via = _via(ways, recover)
    valid = ("heads",) if ways is None else (*ways.vias, "heads")
    if via not in valid:
        return [f"cannot have 'via': {via!r} here; valid names are {', '.join(valid)}"]
    named = forge in installed(FORGE_GROUPS).names()
    kinds: tuple[str, ...] = ("repository", "url") if named else ("url",)
    if via != "heads" and ways is not None:
        kinds = ways.kinds
    parts = 2 if ways is None else ways.parts
    for source in recover.sources:
        if source.kind not in kinds:
            return [f"cannot have {_EXAMPLES[source.kind]} in 'from' here with 'via': {via!r}"]
        if source.kind == "repository" and parts not in (None, source.repository.count("/") + 1):
            return [f"has {source.repository!r}; a repository's name has {parts} parts at this forge"]
    return []


_EXAMPLES = {"repository": "'OWNER/NAME'", "organization": "'org:NAME'", "app": "'app'", "url": "an address"}


def _via(ways: Ways | None, recover: Recover) -> str:
    return recover.via or (ways.vias[0] if ways is not None else "heads")


def recover_of(handler: Any) -> Recover:
    """The option ``recover`` of an endpoint's handler."""
    found = getattr(getattr(handler, "settings", None), "recover", None)
    return found if isinstance(found, Recover) else Recover()


def stored_of(handler: Any) -> Stored:
    """Which parts of an endpoint's deliveries are stored."""
    return handler.stored() if isinstance(handler, HookHandler) else ALL


def asks_again(handler: Any) -> bool:
    """Whether the endpoint's forge is asked for redeliveries."""
    return recover_of(handler).via == "redeliver"


def runners(handler: Any, journal: IJournal, acceptance: Acceptance, http: Any, clock: Any) -> list[Runner]:
    """The runners that recover to an endpoint, one per source.

    :param handler: the endpoint's handler.
    :param http: a treq ``HTTPClient``; None: one is created.
    :raises RestError: the options do not allow recovery.
    """
    recover = recover_of(handler)
    if not recover.sources:
        return []
    forge = forge_of(handler, http, clock)
    ways = WAYS.get(handler.forge)
    grace = GRACE if recover.every is None else min(GRACE, recover.every)
    if ways is None or _via(ways, recover) == "heads":
        return [_heads(source, forge, journal, acceptance, clock, grace=grace) for source in recover.sources]
    return [
        CatchUp(
            source.name,
            ways.log(forge, source, f"/change_hook/{acceptance.endpoint}"),
            journal,
            acceptance,
            clock,
            handles=lambda event: bool(event) and hasattr(handler, method_name(event)),
            redeliver=_via(ways, recover) == "redeliver",
            grace=grace,
        )
        for source in recover.sources
    ]


def compares(handler: Any) -> bool:
    """Whether recovered deliveries have other ids than those that the forge sends."""
    recover = recover_of(handler)
    ways = WAYS.get(getattr(handler, "forge", ""))
    return bool(recover.sources) and (
        ways is None or _via(ways, recover) == "heads" or ways.log in (BitbucketServerLog, GiteaLog)
    )


def forge_of(handler: Any, http: Any, clock: Any) -> Forge | None:
    """The API of an endpoint's forge; None: there is no client for that forge.

    :param http: a treq ``HTTPClient``; None: one is created.
    """
    try:
        factory = installed(FORGE_GROUPS).load(handler.forge)
    except KeyError:
        return None
    made: Forge = factory(handler.settings, http, clock, time_limit=TIME_LIMIT, attempts=ATTEMPTS)
    return made


def _heads(
    source: Source,
    forge: Forge | None,
    journal: IJournal,
    acceptance: Acceptance,
    clock: Any,
    *,
    grace: float,
) -> Runner:
    where: Named | Addressed = Addressed(source.url)
    if forge is not None and source.repository:
        where = Named(forge, source.repository)
    asked = forge if source.repository else None
    return Heads(source.name, where, journal, acceptance, clock, forge=asked, grace=grace)


__all__ = [
    "WAYS",
    "Ways",
    "asks_again",
    "compares",
    "forge_of",
    "problems",
    "recover_of",
    "runners",
    "stored_of",
]
