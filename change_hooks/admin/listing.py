"""The list of deliveries, as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

import msgspec
from twisted.web.template import Tag, tags

from change_hooks.admin.facts import EndpointFacts, Facts
from change_hooks.admin.markup import counted, framed, moment, repository, shown, size, state
from change_hooks.admin.query import Query
from change_hooks.journal import STATES, Listed, SinkSummary, StoredDelivery, Summary

COLUMNS = ("Time (UTC)", "Endpoint", "Event", "Repository, branch", "Result", "Sinks")
#: The states of a sink's health, from good to bad.
TAKEN, WAITS, RETRIES, DEAD = "ok", "waiting", "retrying", "failed"


class View(msgspec.Struct, frozen=True):
    """The data for the list.

    :param listed: the deliveries.
    :param summary: a summary of the journal.
    :param newest: the ``seq`` of the newest delivery in the journal.
    :param unchecked: when each endpoint last received an unverified signature.
    :param asked: for how many deliveries a replay was just requested.
    """

    query: Query
    facts: Facts
    listed: Listed
    summary: Summary
    newest: int
    unchecked: Mapping[str, float]
    asked: int = 0


def page(view: View) -> bytes:
    """The page with the list."""
    query, lines = view.query, view.listed.lines
    follows = not query.before
    return framed(
        "Deliveries",
        tags.h1("Deliveries"),
        _asked(view.asked),
        *_warnings(view),
        _health(view),
        _filters(view),
        tags.section(
            _table(lines, query) if lines else _nothing(view),
            id="deliveries",
            **{"data-live": f"live{_live(view)}"} if follows else {},
        ),
        _more(view),
        _endpoints(view.facts, unfolded=not view.newest),
        live=follows,
    )


def _live(view: View) -> str:
    after = f"rows=1&after={view.newest}"
    return f"{view.query.encoded()}&{after}" if view.query.filtered else f"?{after}"


def _asked(number: int) -> Any:
    if not number:
        return ""
    text = f"A replay of {counted(number, 'delivery', 'deliveries')} was requested."
    return tags.p(text, class_="note done", role="status")


def _warnings(view: View) -> Iterator[Tag]:
    for endpoint in view.facts.endpoints:
        at = view.unchecked.get(endpoint.name)
        if at is not None and not endpoint.secret:
            yield tags.p(
                tags.strong(endpoint.name),
                " receives signatures that it does not verify, because it has no ",
                tags.code("secret"),
                " (last at ",
                moment(at),
                ").",
                class_="note warning",
            )
    warnings = view.facts.warnings
    if warnings:
        said = tags.ul(*(tags.li(shown(warning, 1000)) for warning in warnings))
        number = counted(len(warnings), "warning")
        yield tags.details(tags.summary(f"{number} about the configuration"), said, class_="note warning")


# The sinks ------------------------------------------------------------------------------------------


def _health(view: View) -> Tag:
    summaries = {summary.sink: summary for summary in view.summary.sinks}
    names = [*view.facts.sinks, *(name for name in summaries if name not in view.facts.sinks)]
    sinks = [_sink(name, summaries.get(name), configured=name in view.facts.sinks) for name in names]
    if view.summary.pending:
        text = f"{counted(view.summary.pending, 'delivery', 'deliveries')} being looked up"
        sinks.append(tags.li(tags.a("pending", href="./?state=pending"), " ", text))
    if not sinks:
        sinks = [tags.li("No sink is configured: changes are stored, but not delivered.")]
    sinks.append(tags.li(f"journal {size(view.summary.bytes)}", class_="aside"))
    return tags.ul(*sinks, class_="health", **{"aria-label": "Sinks"})


def _sink(name: str, summary: SinkSummary | None, *, configured: bool) -> Tag:
    link = tags.a(shown(name, 60), href=f"./{Query(sink=name).encoded()}")
    said: list[Any] = [link, " "]
    if summary is None:
        said.append(state(TAKEN))
    elif summary.retrying:
        said += [state(RETRIES), " ", _waits(summary), ": ", shown(summary.error, 120)]
    elif summary.waiting:
        said += [state(WAITS), " ", _waits(summary)]
    if summary is not None and summary.dead_letters:
        dead = Query(state="failed", sink=name).encoded()
        text = f"{counted(summary.dead_letters, 'dead letter')}"
        said += [" ", tags.a(text, href=f"./{dead}", class_=f"state {DEAD}")]
    if not configured:
        said.append(" (not configured now)")
    return tags.li(*said)


def _waits(summary: SinkSummary) -> list[Any]:
    return [counted(summary.waiting, "delivery", "deliveries"), " since ", moment(summary.since)]


# The filters ----------------------------------------------------------------------------------------


def _filters(view: View) -> Tag:
    query, facts = view.query, view.facts
    endpoints = [endpoint.name for endpoint in facts.endpoints]
    return tags.form(
        _choice("state", "State", STATES, query.state),
        _choice("endpoint", "Endpoint", endpoints, query.endpoint),
        _choice("sink", "Sink", facts.sinks, query.sink),
        _field("repository", "Repository", query.repository, "acme/api, *api*"),
        _field("branch", "Branch", query.branch, "main, release/*"),
        _field("text", "Text", query.text, "author, reason, id"),
        tags.span(
            tags.button("Filter", type="submit"),
            tags.a("Clear", href="./") if query.filtered else "",
            class_="buttons",
        ),
        method="get",
        action="./",
        class_="filters",
        role="search",
        **{"aria-label": "Deliveries"},
    )


def _choice(name: str, label: str, values: Sequence[str], chosen: str) -> Tag:
    options = list(values) if not chosen or chosen in values else [*values, chosen]
    return tags.label(
        tags.span(label),
        tags.select(
            tags.option("all", value=""),
            *(_option(value, chosen) for value in options),
            name=name,
        ),
    )


def _option(value: str, chosen: str) -> Tag:
    selected = {"selected": "selected"} if value == chosen else {}
    return tags.option(shown(value, 60), value=value, **selected)


def _field(name: str, label: str, value: str, example: str) -> Tag:
    return tags.label(
        tags.span(label),
        tags.input(type="text", name=name, value=value, placeholder=example, size="14", autocomplete="off"),
    )


# The list -------------------------------------------------------------------------------------------


def _table(lines: Sequence[StoredDelivery], query: Query) -> Tag:
    heads = (tags.th(name, scope="col", role="columnheader") for name in COLUMNS)
    return tags.table(
        tags.thead(tags.tr(*heads, role="row"), role="rowgroup"),
        tags.tbody(*(row(line, query) for line in lines), role="rowgroup"),
        role="table",
        class_="deliveries",
        **{"aria-label": "Deliveries, newest first"},
    )


def row(line: StoredDelivery, query: Query) -> Tag:
    """One delivery in the list."""
    here = query.but(before=0)
    endpoint, name = line.dialect, line.repository
    return tags.tr(
        _cell(tags.a(moment(line.received), href=f"deliveries/{line.seq}"), "when"),
        _cell(tags.a(shown(endpoint, 40), href=_to(here.but(endpoint=endpoint))) if endpoint else "-", "at"),
        _cell(shown(line.event, 60) or "-", "event"),
        _cell(
            [
                tags.a(repository(name), href=_to(here.but(repository=name))) if name else "",
                " " if name and line.branch else "",
                tags.span(shown(line.branch, 120), class_="branch") if line.branch else "",
                tags.span(f" {shown(_who(line.author), 80)}", class_="author") if line.author else "",
            ],
            "what",
        ),
        _cell(result(line), "result"),
        _cell(_sinks(line), "sinks"),
        id=f"d{line.seq}",
        role="row",
    )


def _who(author: str) -> str:
    """An author's name, without the email address."""
    return author.partition(" <")[0] or author


def _to(query: Query) -> str:
    return f"./{query.encoded()}"


def _cell(content: Any, name: str) -> Tag:
    return tags.td(content, class_=name, role="cell")


def result(line: StoredDelivery) -> list[Any]:
    """The result of a delivery, and the reason."""
    said: list[Any] = [state(line.state)]
    if line.state == "refused":
        said += [" ", str(line.status)]
    if line.changes:
        said += [" ", counted(line.changes, "change")]
    if line.reason:
        said += [" ", tags.span(shown(line.reason), class_="reason")]
    if line.recovered:
        said += [" ", tags.span(f"recovered ({shown(line.recovered, 20)})", class_="aside")]
    if line.duplicates:
        trace = line.state in ("ignored", "refused")
        more = f"and {line.duplicates:,} more like it" if trace else counted(line.duplicates, "duplicate")
        said += [" ", tags.span(more, class_="aside")]
    return said


def _sinks(line: StoredDelivery) -> Any:
    wanted = sorted((name, word) for name, word in line.sinks.items() if word != "unwanted")
    return tags.ul(*(tags.li(shown(name, 40), " ", state(word)) for name, word in wanted)) if wanted else ""


def _more(view: View) -> Tag:
    query, listed = view.query, view.listed
    links: list[Any] = []
    if not listed.full:
        links.append(tags.span("Searched back to ", moment(listed.back_to)))
    if query.before:
        links.append(tags.a("Newest", href=_to(query.but(before=0))))
    if listed.before is not None:
        text = "Older" if listed.full else "Search further back"
        links.append(tags.a(text, href=_to(query.but(before=listed.before)), rel="next"))
    if listed.lines and view.facts.sinks:
        replay = f"replay{query.but(before=0).encoded()}"
        links.append(tags.a("Replay these …" if query.filtered else "Replay …", href=replay, class_="aside"))
    return tags.nav(*links, class_="more", **{"aria-label": "Pages"})


# The empty list -----------------------------------------------------------------------------


def _nothing(view: View) -> Tag:
    if view.newest and (view.query.filtered or view.query.before):
        said = "No delivery matches. " if view.listed.full else "No delivery matches so far. "
        return tags.p(said, tags.a("Show all", href="./"), class_="empty")
    return tags.p(
        "Nothing has been received yet. Senders can reach this server at these addresses:", class_="empty"
    )


def _endpoints(facts: Facts, *, unfolded: bool) -> Tag:
    if not facts.endpoints:
        text = "No endpoint is enabled: see 'change_hook_dialects' in the configuration."
        return tags.p(text, class_="empty")
    return tags.details(
        tags.summary("Endpoints"),
        tags.dl(*(part for endpoint in facts.endpoints for part in _endpoint(endpoint, facts))),
        class_="endpoints",
        **{"open": "open"} if unfolded else {},
    )


def _endpoint(endpoint: EndpointFacts, facts: Facts) -> Iterator[Tag]:
    url = f"{facts.url or '…/change_hook'}/{endpoint.name}"
    yield tags.dt(endpoint.name, " ", tags.span(endpoint.sender, class_="aside"))
    yield tags.dd(tags.code(url))
    if endpoint.simulated:
        yield tags.dd("Try it, in a Git repository: ", tags.code(simulate_line(endpoint, facts, url)))


def simulate_line(endpoint: EndpointFacts, facts: Facts, url: str) -> str:
    """The command that sends a delivery to an endpoint."""
    where = [quote(facts.config)] if facts.config else ["--to", quote(url)]
    return " ".join(["change-hooks simulate", quote(endpoint.name), *where])


__all__ = ["View", "page", "result", "row", "simulate_line"]
