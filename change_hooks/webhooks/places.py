"""Which webhooks a configuration needs: for each endpoint, where they belong, and what they should be."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from change_hooks.core.address import server_url
from change_hooks.core.errors import ConfigurationError
from change_hooks.core.recovering import Source
from change_hooks.core.recovering import recover as read_recover
from change_hooks.core.verification import as_secrets
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.forges.webhooks import WEBHOOKS
from change_hooks.forges.webhooks.base import Wanted, Webhooks
from change_hooks.recovery.sources import WAYS, forge_of, recover_of

_WILD = frozenset("*?[")
_NAME = re.compile(r"[A-Za-z0-9_.~-]+(/[A-Za-z0-9_.~ -]+)+")
PATH = "/change_hook"


class Place(msgspec.Struct, frozen=True):
    """One webhook that a configuration needs.

    :param endpoint: the endpoint's name.
    :param source: the repository or organization, and the webhook's number where the configuration has it.
    :param wanted: what the webhook should be; its URL is empty when it is not known.
    :param handler: the endpoint's handler.
    """

    endpoint: str
    source: Source
    api: Webhooks
    wanted: Wanted
    handler: Any = None


class Asked(msgspec.Struct, frozen=True):
    """What the user asked for on the command line.

    :param endpoints: only these.
    :param repositories: instead of those that the configuration names: ``owner/name``, ``org:acme``.
    :param url: the address that forges send to: that of the server, of ``/change_hook``, or of an endpoint.
    :param secret: for endpoints whose secret is a callable; empty: no secret will be written.
    """

    endpoints: Sequence[str] = ()
    repositories: Sequence[str] = ()
    url: str = ""
    secret: str | None = None


def places(
    handlers: Mapping[str, Any],
    asked: Asked,
    *,
    http: Any,
    clock: Any,
    left_out: Callable[[str, ConfigurationError], None],
) -> Iterator[Place]:
    """The webhooks that the user asked for.

    :param handlers: of the endpoints, by the endpoints' names.
    :param http: a treq ``HTTPClient``; None: one is created.
    :param left_out: called with an endpoint that the user did not name, and why its webhooks cannot be
        managed; the others are still managed.
    :raises ConfigurationError: it is not clear which webhooks are meant.
    """
    if asked.url:
        _checked(asked.url)
    chosen = asked.endpoints or [name for name in handlers if _can(handlers[name])]
    if asked.repositories and len(chosen) > 1:
        raise ConfigurationError([f"name the endpoint of --repository: one of {', '.join(chosen)}"])
    for name in chosen:
        if name not in handlers:
            valid = ", ".join(sorted(handlers))
            raise ConfigurationError([f"no endpoint {name!r}; valid names are {valid}"])
        alone = name in asked.endpoints
        try:
            found = list(_places_of(name, handlers[name], asked, alone=alone, http=http, clock=clock))
        except ConfigurationError as error:
            if alone or asked.repositories:
                raise
            left_out(name, error)
        else:
            yield from found


def _places_of(
    name: str, handler: Any, asked: Asked, *, alone: bool, http: Any, clock: Any
) -> Iterator[Place]:
    if not _can(handler):
        valid = ", ".join(sorted(WEBHOOKS))
        raise ConfigurationError([f"{name}: webhooks can be managed at {valid}, but not at its forge"])
    kind = WEBHOOKS[handler.forge]
    sources = list(_sources(name, handler, asked.repositories, kind.kinds))
    if not sources:
        if not (alone or asked.repositories):
            return
        raise ConfigurationError(
            [
                f"{name}: name the repositories: --repository OWNER/NAME (or org:NAME), or the option"
                " 'repositories' or 'recover'"
            ]
        )
    forge = forge_of(handler, http, clock)
    if forge is None or not forge.base:
        raise ConfigurationError([f"{name}: set the option 'api' to the address of the forge's API"])
    secret = secret_of(name, handler, asked.secret)
    for source in sources:
        api = kind(forge, source, handler)
        yield Place(name, source, api, Wanted(hook_url(asked.url, name), api.events, secret), handler)


def not_among(found: Sequence[Place]) -> tuple[list[str], list[str]]:
    """Who else may hold the secrets of some webhooks' endpoints.

    :returns: the webhooks that the configuration names and that are not in *found*; and the endpoints that
        accept deliveries of repositories that the configuration does not name.
    """
    those: dict[str, list[Place]] = {}
    for place in found:
        those.setdefault(place.endpoint, []).append(place)
    others, open_ended = list[str](), list[str]()
    for name, meant in those.items():
        handler = meant[0].handler
        named = {_whose(place.source) for place in meant}
        configured = _sources(name, handler, (), WEBHOOKS[handler.forge].kinds)
        others += [f"{name}, {each.name}" for each in configured if _whose(each) not in named]
        listed = getattr(handler.settings, "repositories", None)
        if all(place.source.kind == "repository" for place in meant) and not (
            listed and all(_is_name(each, None) for each in listed)
        ):
            open_ended.append(name)
    return others, open_ended


def _whose(source: Source) -> tuple[str, str]:
    return source.repository, source.organization


def _can(handler: Any) -> bool:
    return isinstance(handler, EventHandler) and handler.forge in WEBHOOKS


def _sources(name: str, handler: Any, asked: Sequence[str], kinds: Collection[str]) -> Iterator[Source]:
    ways = WAYS.get(handler.forge)
    parts = 2 if ways is None else ways.parts
    if asked:
        try:
            found = read_recover({"from": list(asked)}).sources
        except ValueError as error:
            raise ConfigurationError([f"--repository {error}"]) from None
    else:
        named = [each for each in recover_of(handler).sources if each.kind in kinds]
        known = {each.repository for each in named}
        listed = getattr(handler.settings, "repositories", None) or ()
        found = (
            *named,
            *(Source(each) for each in listed if _is_name(each, parts) and each not in known),
        )
    for source in found:
        if source.kind not in kinds:
            raise ConfigurationError([f"{name}: webhooks of {source.name} cannot be managed"])
        if source.kind == "repository" and parts not in (None, source.repository.count("/") + 1):
            raise ConfigurationError(
                [f"{name}: {source.repository!r}: a repository's name has {parts} parts at this forge"]
            )
        yield source


def _is_name(written: str, parts: int | None) -> bool:
    """Whether an entry of the option ``repositories``, which holds patterns and addresses, is a full name."""
    return (
        not _WILD & set(written)
        and _NAME.fullmatch(written) is not None
        and parts in (None, written.count("/") + 1)
    )


def secret_of(name: str, handler: Any, given: str | None) -> str | None:
    """The secret to write: the endpoint's first one.

    :param given: for an endpoint whose secret is a callable.
    :raises ConfigurationError: the secret cannot be determined.
    """
    secrets = getattr(handler.settings, "secret", None)
    if callable(secrets):
        if given is None:
            raise ConfigurationError(
                [f"{name}: the secret is a callable; give the one to write with --secret"]
            )
        return given
    if not secrets:
        return None
    try:
        return str(as_secrets(secrets)[0], "utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(
            [f"{name}: the secret is not valid UTF-8 text, which forges require"]
        ) from None


def _checked(url: str) -> str:
    try:
        return server_url(url, "http", "https")
    except ValueError as error:
        raise ConfigurationError([f"--url: {error}"]) from None


def hook_url(url: str, endpoint: str) -> str:
    """The URL of an endpoint.

    :param url: that of the server, of its ``/change_hook``, or of the endpoint; empty: not known.
    :raises ConfigurationError: *url* is not a URL.
    """
    if not url:
        return ""
    parts = urlsplit(_checked(url))
    path = parts.path.rstrip("/")
    _, there, other = path.rpartition(f"{PATH}/")
    if there and other != endpoint:
        raise ConfigurationError(
            [
                f"--url: leads to {PATH}/{other}, not to the endpoint {endpoint!r}; give the part of the"
                f" address before {PATH}"
            ]
        )
    if not there:
        path = f"{path}/{endpoint}" if path.endswith(PATH) else f"{path}{PATH}/{endpoint}"
    return parts._replace(path=path, fragment="").geturl()


__all__ = ["PATH", "Asked", "Place", "hook_url", "not_among", "places", "secret_of"]
