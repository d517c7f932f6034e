"""The pages of the reference and the code agree: names, defaults, statuses, events, properties."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import partial
from importlib.metadata import distribution
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import fields as struct_fields
from prometheus_client.parser import text_string_to_metric_families
from twisted.web.http_headers import Headers

import change_hooks
from change_hooks import Change, Delivery
from change_hooks.admin.settings import AdminSettings
from change_hooks.config import DEFAULT_JOURNAL, KEYS, PREFIX, read_www
from change_hooks.config_file import DEFAULT_PORT
from change_hooks.configured_sinks import INSIDE
from change_hooks.core import errors
from change_hooks.core.change import RECOVERED
from change_hooks.core.options import ACTIONS, ForgeOptions, Options, option_names
from change_hooks.core.receiver_alarm import AlarmEvent
from change_hooks.core.recovering import VIAS, Recover
from change_hooks.dialects.generic import mapping, senders
from change_hooks.observer import Answered, AttemptOutcome
from change_hooks.outbox import sink_options
from change_hooks.outbox.routing import CONDITION_FIELDS
from change_hooks.testing import Receiver

from .support.operator import operator_of
from .support.tables import CODE, DOCS, Row, named, rows

DIALECTS = DOCS / "reference" / "dialects"
SINKS = DOCS / "reference" / "sinks"
#: A cell that says it in words, for a default that stands for something else.
WORDS = object()


def read(cell: str) -> Any:
    """The value that a cell with a default shows."""
    whole = re.fullmatch(r"`([^`]*)`", cell)
    try:
        return ast.literal_eval(whole[1] if whole else cell)
    except (SyntaxError, ValueError):
        return whole[1] if whole else WORDS


def shows(cell: str, default: Any) -> bool:
    """Whether a cell shows a default. Words are for one that says nothing by itself: None, objects."""
    value = read(cell)
    if value is WORDS:
        return default in (None, "") or not isinstance(default, (bool, int, float, str))
    return value == (list(default) if isinstance(default, tuple) else default)


def wrong(found: list[Row], defaults: Mapping[str, Any]) -> dict[str, str]:
    """The rows whose default is another than that of the code."""
    return {
        name: row.cells["default"]
        for row in found
        for name in row.names
        if not shows(row.cells["default"], defaults[name])
    }


@pytest.mark.parametrize(
    ("cell", "default", "right"),
    [
        ("30", 30.0, True),
        ("30", 31, False),
        ("None", None, True),
        ("None", False, False),
        ("[]", (), True),
        ("`'change'`", "change", True),
        ("`change`", "change", True),
        ("`change`", "push", False),
        ("all", None, True),
        ("all", True, False),
        ("all", "x", False),
    ],
)
def test_how_a_default_is_compared(cell: str, default: Any, right: bool) -> None:
    assert shows(cell, default) is right


# The configuration --------------------------------------------------------------------------------


def test_the_keys_of_www() -> None:
    found = rows(DOCS / "reference" / "configuration.md", "key", "Keys of `www`")
    assert named(found) == sorted({"port", *KEYS})
    config = read_www({})
    defaults = {name: getattr(config, name.removeprefix(PREFIX), {}) for name in KEYS}
    defaults |= {"change_hook": True, "change_hook_journal": DEFAULT_JOURNAL, "port": DEFAULT_PORT}
    assert not config.trusted_proxies
    assert wrong(found, defaults | {"change_hook_trusted_proxies": []}) == {}


def test_the_options_of_the_page_for_operators() -> None:
    found = rows(DOCS / "reference" / "configuration.md", "option", "The admin page")
    defaults = {each.name: each.default for each in struct_fields(AdminSettings) if each.name != "address"}
    assert named(found) == sorted(defaults)
    assert wrong(found, defaults) == {}


def declared(options: Any) -> dict[str, Any]:
    """The options of a class, and their defaults."""
    return {name: each.default for name, each in option_names(options).items()}


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("Options of every dialect", declared(Options).keys()),
        (
            "Options of every forge dialect",
            declared(ForgeOptions).keys() - declared(Options).keys() | {"<forge>_property_whitelist"},
        ),
    ],
)
def test_the_options_of_dialects(section: str, names: set[str]) -> None:
    found = rows(DOCS / "reference" / "configuration.md", "option", section)
    assert named(found) == sorted(names)
    assert wrong(found, {"<forge>_property_whitelist": (), **declared(ForgeOptions)}) == {}


def test_the_actions_of_pull_requests() -> None:
    found = rows(DOCS / "reference" / "configuration.md", "option", "Options of every forge dialect")
    (meaning,) = (row.cells["meaning"] for row in found if row.names == ["actions"])
    assert CODE.findall(meaning) == list(ACTIONS)


def dialects() -> Iterator[Any]:
    """The options of each dialect that is registered, with the page that has them."""
    for entry in distribution("change-hooks").entry_points.select(group="change_hooks.dialects"):
        path = DIALECTS / f"{entry.name}.md"
        if path.exists():
            yield pytest.param(path, entry.load().Options, id=entry.name)


@pytest.mark.parametrize(("path", "options"), list(dialects()))
def test_the_options_of_a_dialect(path: Path, options: Any) -> None:
    shared = ForgeOptions if issubclass(options, ForgeOptions) else Options
    found = rows(path, "option")
    own = declared(options).keys() - declared(shared).keys()
    assert own <= set(named(found)) <= declared(options).keys()
    assert wrong([row for row in found if "default" in row.cells], declared(options)) == {}


@pytest.mark.parametrize("field", ["repository", "refs", "commits"])
def test_the_fields_of_the_generic_dialect(field: str) -> None:
    (row,) = (row for row in rows(DIALECTS / "generic.md", "option") if row.names == [field])
    conversions = {"repository": mapping.REPOSITORY, "refs": mapping.REF, "commits": mapping.COMMIT}[field]
    more = {"each", "order"} if field == "commits" else set()
    assert set(CODE.findall(row.cells["meaning"])) == {*conversions, *more}


def test_how_senders_of_the_generic_dialect_sign() -> None:
    found = rows(DIALECTS / "generic.md", "in `signature`")
    assert named(found) == sorted(each.name for each in fields(senders.Signature))
    defaults = {row.names[0]: read(row.cells["default"]) for row in found}
    written = {name: default for name, default in defaults.items() if isinstance(default, str)}
    needed = {"header": "X-Signature"}
    assert written.keys() == {"algorithm", "encoding", "signed"}
    assert senders.signature(needed | written) == senders.signature(needed)


def test_how_deliveries_are_recovered() -> None:
    found = rows(DOCS / "how-to" / "after-an-outage.md", "key")
    assert named(found) == sorted({"from", *(each.name for each in fields(Recover))} - {"sources"})
    (via,) = (row for row in found if row.names == ["via"])
    assert re.findall(r"`(\w+)`:", via.cells["meaning"]) == sorted(VIAS, key=["fetch", *VIAS].index)


# Sinks --------------------------------------------------------------------------------------------

MADE = {
    entry.name: entry.load()
    for entry in distribution("change-hooks").entry_points.select(group="change_hooks.sinks")
}


def of_sink(factory: Any) -> dict[str, Any]:
    """What a user may write for a sink, and the defaults."""
    inside = {"name", "base", *INSIDE}
    asked = {name: each for name, each in signature(factory).parameters.items() if name not in inside}
    return {name: "" if each.default is Parameter.empty else each.default for name, each in asked.items()}


def test_every_sink_has_a_page_and_a_row() -> None:
    assert named(rows(SINKS / "index.md", "sink")) == sorted(MADE)
    assert {path.stem for path in SINKS.glob("*.md")} == {"index", "callable", *MADE}


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_options_of_a_sink(name: str) -> None:
    found = rows(SINKS / f"{name}.md", "option")
    known = of_sink(MADE[name])
    others = {each: value for each in sink_options.NAMES if (value := getattr(MADE[name], each, None))}
    assert known.keys() <= set(named(found)) <= known.keys() | others.keys()
    assert wrong(found, others | known) == {}


def test_the_options_of_all_sinks() -> None:
    found = rows(SINKS / "index.md", "option")
    assert named(found) == sorted(sink_options.NAMES)
    read_sink = partial(sink_options.routed, written={}, attempts=read_www({}).attempts)
    for row in found:
        usual, *others = row.cells["default"].split("; ")
        ones = {
            sink: text
            for names, _, text in (other.rpartition(": ") for other in others)
            for sink in CODE.findall(names)
        }
        assert ones.keys() <= MADE.keys()
        for option in row.names:
            plain = getattr(read_sink(lambda change: None)[0], option, None)
            assert shows(re.sub(r"`change_hook_\w+` \((.*)\)", r"\1", usual), plain), option
            for sink, factory in MADE.items():
                default = of_sink(factory).get(option) or getattr(factory, option, None) or plain
                assert shows(ones.get(sink, usual.rpartition("(")[2].strip("()")), default), (option, sink)


def test_the_fields_of_conditions() -> None:
    text = (SINKS / "index.md").read_text("utf-8")
    listed = re.findall(r"Fields are (.*?)\. ", text, re.DOTALL)
    assert set(CODE.findall(listed[0])) == set(CONDITION_FIELDS)


# What goes out ------------------------------------------------------------------------------------


def test_the_statuses() -> None:
    """Those of errors, and the few that are no errors of a delivery: accepted, a password, a handler, OPTIONS."""
    found = rows(DOCS / "reference" / "answers.md", "case")
    classes = [getattr(errors, name) for name in errors.__all__ if name != "ConfigurationError"]
    statuses = {str(each.status) for each in classes} | {"202", "204", "401", "500"}
    assert {row.cells["status"] for row in found} == statuses


def test_the_events_of_alarms() -> None:
    assert named(rows(DOCS / "how-to" / "watch.md", "event")) == sorted(get_args(AlarmEvent))


def test_the_metrics() -> None:
    found = rows(DOCS / "how-to" / "watch.md", "metric")
    with Receiver({"change_hook_dialects": {"base": True}}) as receiver:
        recovered = Change(revision="1", properties={RECOVERED: "fetch"})
        receiver.service.accept(Delivery(b"", b"", Headers(), b"", dialect="base", id="1"), [recovered])
        receiver.post("base", form={"revision": "2"})
        receiver.settle()
        families = list(text_string_to_metric_families(operator_of(receiver).get("metrics").text))
    exposed = {
        f"{each.name}_total" if each.type == "counter" else each.name: {
            label for sample in each.samples for label in sample.labels if label != "le"
        }
        for each in families
        if not each.name.endswith("_created")
    }
    listed = {row.names[0]: set(" ".join(CODE.findall(row.cells["labels"])).split()) for row in found}
    assert listed == exposed
    meanings = {row.names[0]: CODE.findall(row.cells["meaning"]) for row in found}
    assert meanings["change_hooks_deliveries_total"] == ["outcome", *get_args(Answered)]
    assert meanings["change_hooks_sink_attempts_total"] == list(get_args(AttemptOutcome))


def test_every_property_that_is_set_is_described() -> None:
    source = "".join(path.read_text("utf-8") for path in Path(change_hooks.__file__).parent.rglob("*.py"))
    properties = set(re.findall(r'^[A-Z_]+ = "(change_hook_\w+)"', source, re.MULTILINE))
    assert len(properties) > 6
    reference = "".join(path.read_text("utf-8") for path in (DOCS / "reference").rglob("*.md"))
    assert {name for name in properties if f"`{name}`" not in reference} == set()
