"""The page about one delivery, as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from twisted.web.template import Tag, tags

from change_hooks.admin.facts import Facts
from change_hooks.admin.listing import result
from change_hooks.admin.markup import counted, duration, framed, moment, repository, shown, size, state
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.shown import printable
from change_hooks.journal import Attempt, SinkState, StoredDelivery, Whole, Wish

#: How many changes are shown.
CHANGES = 50
#: How much of a payload is shown, in characters; and up to which size it is pretty-printed, in bytes.
SHOWN = 128 * 1024
LAID_OUT = 512 * 1024
FILES = 200
#: The states of deliveries that can be replayed: those with nothing left to do.
REPLAYED = ("delivered", "failed", "stored")
#: The states at a sink that wanted the delivery, but has not accepted it.
_LEFT = ("failed", "superseded")

_SECRET = re.compile(
    r'("(?:[a-z_]*_)?(?:password|secret|token|authorization)"\s*:\s*")(?:[^"\\]|\\.)+(")', re.IGNORECASE
)


class View(msgspec.Struct, frozen=True):
    """The data for the page about a delivery.

    :param wish: the replay that was requested.
    :param token: the form's token.
    """

    facts: Facts
    whole: Whole
    wish: Wish | None
    token: str


def page(view: View) -> bytes:
    """The page about one delivery."""
    stored = view.whole.stored
    title = f"{stored.dialect or 'no endpoint'} {stored.delivery}"
    return framed(
        shown(title, 80),
        tags.p(tags.a("Deliveries", href="../"), class_="back"),
        tags.h1(shown(stored.dialect or "No endpoint", 60), " ", tags.code(shown(stored.delivery))),
        tags.p(*result(stored), class_="verdict"),
        _wish(view.wish),
        _facts(stored),
        tags.h2("Timeline"),
        tags.ol(*_timeline(view.whole), class_="timeline"),
        _replay(view),
        *_changes(view.whole),
        *_request(view),
        root="../",
    )


def _wish(wish: Wish | None) -> Any:
    if wish is None:
        return ""
    to = f" to {', '.join(shown(sink, 60) for sink in wish.sinks)}" if wish.sinks else ""
    if wish.error:
        text = f"The replay{to} could not be done: {shown(wish.error)}"
        return tags.p(text, class_="note warning", role="status")
    return tags.p(
        f"A replay{to} was requested at ", moment(wish.since), ".", class_="note done", role="status"
    )


def _facts(stored: StoredDelivery) -> Tag:
    facts: list[tuple[str, Any]] = [
        ("Received", [moment(stored.received), " UTC"]),
        ("From", shown(stored.client)),
        ("Verified by", stored.verification),
        ("Event", shown(stored.event)),
        ("Repository", repository(stored.repository)),
        ("Branch", shown(stored.branch)),
        ("Author", shown(stored.author)),
        ("Size", size(stored.bytes)),
        ("Place", str(stored.seq)),
    ]
    return tags.dl(
        *(tags.div(tags.dt(name), tags.dd(value)) for name, value in facts if value), class_="facts"
    )


# The timeline ---------------------------------------------------------------------------------------


def _timeline(whole: Whole) -> Iterator[Tag]:
    stored = whole.stored
    came = f"received from {shown(stored.client)}" if stored.client else "received"
    if stored.recovered:
        came = f"recovered ({shown(stored.recovered, 20)})"
    yield tags.li(moment(stored.received), " ", came)
    if stored.status:
        yield tags.li(moment(stored.received), f" answered {stored.status}")
    for attempt in whole.attempts:
        yield _attempt(attempt)
    for sink in whole.sinks:
        yield from _next(sink)


def _attempt(attempt: Attempt) -> Tag:
    said: list[Any] = [
        moment(attempt.at),
        " ",
        shown(attempt.sink, 60),
        " ",
        state(attempt.outcome),
        f" change {attempt.index + 1}, {duration(attempt.seconds)}",
    ]
    if attempt.error:
        said += [": ", tags.span(shown(attempt.error), class_="reason")]
    if attempt.output:
        output = tags.pre(printable(attempt.output, lines=True), tabindex="0")
        said.append(tags.details(tags.summary("Output"), output))
    return tags.li(*said)


def _next(sink: SinkState) -> Iterator[Tag]:
    if sink.state == "retrying":
        yield tags.li(
            moment(sink.due) if sink.due else "soon",
            f" {shown(sink.sink, 60)} ",
            state("retrying"),
            f" next attempt, after {counted(sink.attempts, 'failure')}",
            class_="to-come",
        )
    elif sink.state == "waiting":
        yield tags.li("next ", shown(sink.sink, 60), " ", state("waiting"), class_="to-come")
    elif sink.state == "failed":
        yield tags.li(
            shown(sink.sink, 60),
            " ",
            state("failed"),
            f" gave up delivering change {sink.index + 1}: {shown(sink.error)}",
        )
    elif sink.state in ("unwanted", "superseded"):
        yield tags.li(shown(sink.sink, 60), " ", state(sink.state))


# Replay ---------------------------------------------------------------------------------------------


def _replay(view: View) -> Any:
    stored = view.whole.stored
    if stored.state not in REPLAYED or not view.facts.sinks:
        return ""
    words = stored.sinks
    boxes = (_box(name, words.get(name, ""), checked=words.get(name) in _LEFT) for name in view.facts.sinks)
    return tags.form(
        tags.h2("Replay"),
        tags.p("The current handler processes it again; the changes go to these sinks:"),
        tags.fieldset(tags.legend("Sinks", class_="hidden"), *boxes),
        tags.input(type="hidden", name="seq", value=str(stored.seq)),
        tags.input(type="hidden", name="to", value="chosen"),
        tags.input(type="hidden", name="token", value=view.token),
        tags.button("Replay", type="submit"),
        method="post",
        action="../replay",
        class_="replay",
    )


def _box(name: str, word: str, *, checked: bool) -> Tag:
    box = {"checked": "checked"} if checked else {}
    return tags.label(
        tags.input(type="checkbox", name="sink", value=name, **box),
        f" {shown(name, 60)} ",
        state(word) if word else "",
    )


# The request ------------------------------------------------------------------------------------------


def _changes(whole: Whole) -> Iterator[Any]:
    stored = whole.stored
    if not stored.changes:
        return
    yield tags.h2(counted(stored.changes, "change").capitalize())
    yield from (_change(index, change) for index, change in enumerate(whole.changes))
    if stored.changes > len(whole.changes):
        yield tags.p(f"… and {stored.changes - len(whole.changes):,} more.", class_="aside")


def _change(index: int, change: Change) -> Tag:
    about: list[Any] = [
        tags.code(shown(change.revision or "no revision", 64)),
        " ",
        tags.span(shown(change.branch or ""), class_="branch"),
        " ",
        tags.span(shown(change.author or ""), class_="author"),
    ]
    fields: list[tuple[str, Any]] = [
        ("Category", shown(change.category or "")),
        ("Project", shown(change.project or "")),
        ("Codebase", shown(change.codebase or "")),
        ("Link", shown(change.revlink or "")),
        ("Files", tags.ul(*_files(change)) if change.files else ""),
        ("Properties", _properties(change)),
    ]
    return tags.article(
        tags.h3(*about),
        tags.p(printable(change.comments[:4000], lines=True), class_="comments"),
        tags.dl(
            *(tags.div(tags.dt(name), tags.dd(value)) for name, value in fields if value), class_="facts"
        ),
        **{"aria-label": f"Change {index + 1}"},
    )


def _files(change: Change) -> Iterator[Tag]:
    files = change.files or ()
    yield from (tags.li(shown(path)) for path in files[:FILES])
    if len(files) > FILES:
        yield tags.li(f"… and {len(files) - FILES:,} more", class_="aside")


def _properties(change: Change) -> Any:
    if not change.properties:
        return ""
    text = msgspec.json.format(msgspec.json.encode(change.properties), indent=2).decode()
    return tags.pre(printable(_without_secrets(text)[:SHOWN], lines=True), tabindex="0")


def _request(view: View) -> Iterator[Any]:
    delivery = view.whole.delivery
    if delivery is None:
        yield tags.p("The headers and the payload of this request are not stored.", class_="aside")
        return
    yield tags.h2("Headers")
    yield tags.pre("\n".join(_head(delivery)), tabindex="0", **{"aria-label": "Headers"})
    yield tags.h2("Payload")
    if not view.facts.payloads:
        yield tags.p("Payloads are not shown here (change_hook_admin: 'payloads' is False).", class_="aside")
        return
    text = payload_of(delivery.body)
    yield tags.pre(text[:SHOWN], tabindex="0", **{"aria-label": "Payload"})
    if len(text) > SHOWN:
        yield tags.p(
            f"… only the first {size(SHOWN)} are shown; 'change-hooks show' prints all of it.", class_="aside"
        )


def _head(delivery: Delivery) -> Iterator[str]:
    yield printable(f"{delivery.method.decode('latin-1')} {delivery.uri.decode('latin-1')}")
    for name, values in delivery.requestHeaders.getAllRawHeaders():
        for value in values:
            yield printable(f"{name.decode('latin-1')}: {value.decode('utf-8', 'replace')}")


def payload_of(body: bytes) -> str:
    """A payload in a form that may be shown: pretty-printed if it is JSON, without apparent secrets."""
    if not body:
        return "(empty)"
    text = ""
    if len(body) <= LAID_OUT:
        try:
            text = msgspec.json.format(body, indent=2).decode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            text = ""
    return printable(_without_secrets(text or body[: 4 * SHOWN].decode("utf-8", "replace")), lines=True)


def _without_secrets(text: str) -> str:
    return _SECRET.sub(r"\1(not shown)\2", text)


__all__ = ["CHANGES", "REPLAYED", "View", "page", "payload_of"]
