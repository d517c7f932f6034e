"""The page that asks for confirmation before deliveries are replayed, as HTML."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from twisted.web.template import Tag, tags

from change_hooks.admin.detail import REPLAYED
from change_hooks.admin.facts import Facts
from change_hooks.admin.markup import counted, framed, moment, repository, shown, state
from change_hooks.admin.query import FILTERS, Query
from change_hooks.journal import Listed, StoredDelivery

#: How many deliveries are replayed at once.
MOST = 1000
#: How many of them are listed.
LISTED = 20


class View(msgspec.Struct, frozen=True):
    """The data for the page.

    :param listed: the deliveries that match.
    :param token: the form's token.
    """

    query: Query
    facts: Facts
    listed: Listed
    token: str


def page(view: View) -> bytes:
    """The page that asks for confirmation."""
    meant = [line for line in view.listed.lines if line.state in REPLAYED]
    left = len(view.listed.lines) - len(meant)
    number = counted(len(meant), "delivery", "deliveries")
    return framed(
        "Replay",
        tags.p(tags.a("Deliveries", href=f"./{view.query.encoded()}"), class_="back"),
        tags.h1(f"Replay {number}?" if meant else "Nothing to replay"),
        tags.p(_said(view.query), class_="aside"),
        tags.p(
            f"{counted(left, 'more matches', 'more match')}, still in progress or without changes.",
            class_="aside",
        )
        if left
        else "",
        tags.p(f"These are the newest {MOST:,} that match, or those found in time.", class_="note warning")
        if view.listed.before is not None
        else "",
        _form(view, meant, number) if meant else "",
    )


def _said(query: Query) -> str:
    asked = [f"{name} {shown(getattr(query, name), 80)}" for name in FILTERS if getattr(query, name)]
    return f"Filter: {', '.join(asked)}." if asked else "No filter: all deliveries."


def _form(view: View, meant: Sequence[StoredDelivery], number: str) -> Tag:
    rows = [
        tags.li(
            moment(line.received),
            " ",
            shown(line.dialect, 40),
            " ",
            repository(line.repository),
            " ",
            shown(line.branch, 80),
            " ",
            state(line.state),
        )
        for line in meant[:LISTED]
    ]
    if len(meant) > LISTED:
        rows.append(tags.li(f"… and {len(meant) - LISTED:,} more", class_="aside"))
    return tags.form(
        tags.ul(*rows, class_="meant"),
        tags.fieldset(
            tags.legend("Replay to"),
            _way("untaken", "the sinks that have not accepted it", checked=True),
            _way("chosen", "these sinks, even if they have accepted it:", checked=False),
            *(
                tags.label(
                    tags.input(type="checkbox", name="sink", value=name),
                    f" {shown(name, 60)}",
                    class_="indented",
                )
                for name in view.facts.sinks
            ),
        ),
        *(tags.input(type="hidden", name="seq", value=str(line.seq)) for line in meant),
        tags.input(type="hidden", name="token", value=view.token),
        tags.button(f"Replay {number}", type="submit"),
        " ",
        tags.a("Cancel", href=f"./{view.query.encoded()}"),
        method="post",
        action="replay",
        class_="replay",
    )


def _way(value: str, label: str, *, checked: bool) -> Tag:
    box = {"checked": "checked"} if checked else {}
    return tags.label(tags.input(type="radio", name="to", value=value, **box), f" {label}")


__all__ = ["MOST", "View", "page"]
