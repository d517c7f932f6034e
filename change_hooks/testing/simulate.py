"""Deliveries as forges send them, from a repository on this machine.

So a configuration can be tried before the forge knows its address. Recorded deliveries show what a forge
sends: one with the requested kind of event is rewritten for the local repository
(:mod:`change_hooks.testing.retold`), and gets its id and signature from the dialect's own handler. So every
dialect with recorded deliveries can be simulated without code of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from time import time
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from twisted.web.http_headers import Headers

import change_hooks
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import ConfigurationError, DeliveryError
from change_hooks.core.events import Comment, Event, Ignored, PullRequest, RefUpdate
from change_hooks.core.verification import as_secrets
from change_hooks.dialects.handler import Context, HookHandler, make_handler
from change_hooks.flow import proceed
from change_hooks.plugins import installed
from change_hooks.testing.recorded import Recorded, recorded
from change_hooks.testing.retold import ZEROS, About, retold
from change_hooks.vcs import Commit

#: The events that can be simulated, if the dialect has them.
EVENTS = ("push", "new-branch", "tag", "forced-push", "deletion", "pull-request", "ping")
#: The recorded deliveries that come with this package.
SHIPPED = Path(change_hooks.__file__).parent / "recorded"
_JSON = "application/json"


class Push(msgspec.Struct, frozen=True):
    """The event to simulate.

    :param commits: oldest first.
    :param branch: the branch, or the tag.
    :param address: the repository's web page: ``https://forge.example/owner/name``.
    :param parent: the commit before the first one.
    :param event: one of :data:`EVENTS`.
    """

    commits: list[Commit]
    branch: str
    address: str
    parent: str
    event: str = "push"

    @property
    def before(self) -> str:
        """The commit that the ref pointed to; zeros for a new ref."""
        if self.event in ("new-branch", "tag"):
            return ZEROS
        if self.event == "forced-push":
            return "f" * 40
        return self.commits[-1].id if self.event == "deletion" else self.parent

    @property
    def after(self) -> str:
        """The commit that the ref points to; zeros for a deleted ref."""
        return ZEROS if self.event == "deletion" else self.commits[-1].id


#: The web page of a repository that does not exist.
MADE_UP = "https://forge.example/owner/project"


def made_up(count: int, branch: str, address: str = MADE_UP, event: str = "push") -> Push:
    """Made-up commits, different ones each time."""
    author = "Ann Example <ann@example.com>"
    commits = [
        Commit(token_hex(20), author, author, int(time()), f"Made up ({number})", ["README.md"])
        for number in range(1, count + 1)
    ]
    return Push(commits=commits, branch=branch, address=address, parent=token_hex(20), event=event)


class Simulated(NamedTuple):
    """A delivery to be sent.

    :param id: empty if the forge sends none.
    :param query: the query of the URL, for instance a token.
    """

    body: bytes
    headers: dict[str, str]
    id: str = ""
    query: str = ""


class CannotSimulate(ValueError):
    """The dialect or event cannot be simulated."""


#: Words in the names of recorded deliveries that are special cases.
_ODD = (
    *("null", "fork", "draft", "form", "version", "annotated", "not_", "without", "no_", "least", "back"),
    *("remote", "add_on", "personal", "mercurial", "revision", "skip", "source_deleted", "capped", "numbers"),
    "short_name",
)


class _Example(NamedTuple):
    recorded: Recorded
    event: Event


def simulate(
    dialect: str,
    push: Push,
    secret: str | None,
    *,
    options: Mapping[str, Any] | None = None,
    folders: Sequence[Path] = (),
) -> Simulated:
    """An event as a forge sends it.

    :param secret: the receiver's secret; None: the delivery is not signed.
    :param options: the endpoint's options, if they affect how a delivery is signed.
    :param folders: folders with more recorded deliveries, in subfolders named like their dialects.
    :raises CannotSimulate: there is no recorded delivery of this dialect and kind.
    """
    if dialect == "base":
        return _base(push, secret)
    handler = _handler(dialect, options or {})
    examples = {**_shipped(dialect), **_examples(dialect, folders, options or {})}
    if not examples:
        names = sorted({path.name for path in SHIPPED.iterdir() if path.is_dir()} | {"base"})
        raise CannotSimulate(
            f"there are no recorded deliveries of {dialect!r}; valid names are {', '.join(names)}"
        )
    example = examples.get(push.event)
    if example is None:
        known = ", ".join(event for event in EVENTS if event in examples)
        raise CannotSimulate(f"{dialect} has no {push.event}; valid events are {known}")
    return _sent(handler, example, push, secret)


def _handler(dialect: str, options: Mapping[str, Any]) -> HookHandler[Any]:
    try:
        made = make_handler(installed().load(dialect), options, Context(name=dialect))
    except KeyError:
        raise CannotSimulate(f"there is no dialect {dialect!r}") from None
    except ConfigurationError as error:
        raise CannotSimulate(f"{dialect}: {error}") from None
    if not isinstance(made, HookHandler):
        raise CannotSimulate(f"the handler of {dialect!r} does not declare how its sender signs")
    return made


@lru_cache
def _shipped(dialect: str) -> dict[str, _Example]:
    return _examples(dialect, [SHIPPED], {})


def _examples(dialect: str, folders: Sequence[Path], options: Mapping[str, Any]) -> dict[str, _Example]:
    """The best recorded delivery for each kind of event."""
    found: dict[str, tuple[Any, _Example]] = {}
    cls, names = _alike(dialect)
    places = [(folder, name) for name in names for folder in folders]
    for rank, (folder, name) in enumerate(places):
        for each in recorded(folder, name):
            if each.options not in ({}, options):
                continue
            for event in _reported(each, cls, dialect, options):
                kind = _kind(event)
                order = (rank, *_plainness(each, event))
                if kind and (kind not in found or order < found[kind][0]):
                    found[kind] = order, _Example(each, event)
    examples = {kind: example for kind, (_, example) in found.items()}
    if "new-branch" in examples and "push" not in examples:
        examples["push"] = examples["new-branch"]  # The delivery does not say whether the branch is new.
    return examples


def _alike(dialect: str) -> tuple[Any, list[str]]:
    """The handler class of a dialect, and the dialects that it reads, this one first."""
    registry = installed()
    cls = registry.load(dialect)
    return cls, [dialect, *(name for name in registry.names_of(cls) if name != dialect)]


def _reported(each: Recorded, cls: Any, dialect: str, options: Mapping[str, Any]) -> Iterator[Event]:
    events: list[Event] = []
    handler = make_handler(cls, options, Context(name=dialect, reported=events.extend))
    delivery = each.delivery()
    with suppress(DeliveryError):
        # Nothing is looked up at the forge for an unverified delivery.
        handler.getChanges(delivery.replace(verification="none"))
    return iter(events if len(events) == 1 else ())


def _kind(event: Event) -> str:
    if isinstance(event, Ignored):
        return "ping" if "ping" in event.reason or "webhook works" in event.reason else ""
    if isinstance(event, PullRequest):
        return "pull-request" if event.action == "opened" else ""
    if isinstance(event, Comment):
        return ""
    if event.after is None:
        return "" if event.is_tag else "deletion"
    if event.before is None and event.created is not False:
        return "tag" if event.is_tag else "new-branch"
    return "" if event.is_tag else "forced-push" if event.forced else "push"


def _plainness(each: Recorded, event: Event) -> tuple[Any, ...]:
    """Sorts the plainest first: nothing null, no fork, no draft; for a push, with all its commits."""
    case = each.name.partition("__")[2]
    odd = any(word in case for word in _ODD)
    listed = len(event.commits) if isinstance(event, RefUpdate) else 0
    forked = isinstance(event, PullRequest) and event.head.repository != event.base.repository
    repository = getattr(event, "repository", None)
    nameless = repository is not None and not repository.full_name
    return nameless, odd, forked, bool(getattr(event, "total", None)), -min(listed, 2), len(each.body), case


def _sent(handler: HookHandler[Any], example: _Example, push: Push, secret: str | None) -> Simulated:
    each, now, new = example.recorded, time(), str(uuid4())
    original = each.delivery().replace(verification="signature")
    name = handler.delivery_id(original) or ""
    old = name.rpartition(":")[2]
    about = About(
        push.address,
        push.branch,
        before=push.before,
        after=push.after,
        commits=push.commits,
        id=new,
        now=now,
    )
    document = retold(each.payload, example.event, about, id=old, received=each.received)
    body = each.sent(json.dumps(document, ensure_ascii=False).encode())
    headers = {header: new if value == name else value for header, value in each.headers.items()}
    headers.update(handler.naming(_event(handler, each), new))
    raw = Headers({name: [value] for name, value in headers.items()})
    delivery = Delivery(b"POST", b"/", raw, body, dialect=each.dialect, received=now)
    if secret is not None:
        delivery = handler.sign(delivery, as_secrets(secret)[0])
    sent = {
        name.decode("ascii"): values[-1].decode("utf-8")
        for name, values in delivery.requestHeaders.getAllRawHeaders()
    }
    named = handler.delivery_id(
        _stored(handler, delivery).replace(verification="signature" if secret else "none")
    )
    return Simulated(delivery.body, sent, named or "", delivery.uri.partition(b"?")[2].decode("ascii"))


def _stored(handler: HookHandler[Any], delivery: Delivery) -> Delivery:
    """The delivery as a receiver stores it: without its secrets."""
    with suppress(DeliveryError):
        kept = proceed(handler.verified(delivery))
        if isinstance(kept, Delivery):
            return kept
    return delivery


def _event(handler: Any, each: Recorded) -> str:
    delivery = each.delivery()
    name: str = handler.event(delivery, handler.document(delivery))
    return name


def _base(push: Push, secret: str | None) -> Simulated:
    last = push.commits[-1]
    fields = {
        "author": last.author,
        "committer": last.committer,
        "comments": last.message,
        "revision": last.id,
        "when": last.when,
        "files": last.files,
        "branch": push.branch,
        "repository": push.address,
        "project": push.address.rpartition("/")[2],
        "src": "git",
    }
    if push.event != "push":
        raise CannotSimulate(f"base has no {push.event}; valid events are push")
    body = json.dumps(fields, ensure_ascii=False).encode()
    delivery = Delivery(b"POST", b"/", Headers({"content-type": [_JSON]}), body, dialect="base")
    if secret is not None:
        delivery = _handler("base", {}).sign(delivery, as_secrets(secret)[0])
    headers = delivery.requestHeaders.getAllRawHeaders()
    return Simulated(body, {name.decode("ascii"): values[-1].decode() for name, values in headers})


__all__ = ["EVENTS", "MADE_UP", "CannotSimulate", "Push", "Simulated", "made_up", "simulate"]
