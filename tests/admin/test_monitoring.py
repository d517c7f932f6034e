"""The dashboard and the alert rules of the documentation ask for metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from twisted.web.http_headers import Headers

from change_hooks import Change
from change_hooks.core.change import RECOVERED
from change_hooks.core.delivery import Delivery
from change_hooks.testing import Receiver

from ..support.operator import operator_of

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "monitoring"
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text())
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text())


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    """The names of all series, and their labels."""
    with Receiver({"change_hook_dialects": {"base": True}}) as receiver:
        receiver.post("base", form={"revision": "1"})
        recovered = Change(revision="2", properties={RECOVERED: "fetch"})
        delivery = Delivery(b"", b"", Headers(), b"", dialect="base", id="1")
        receiver.service.accept(delivery, [recovered])
        text = operator_of(receiver).get("metrics").text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> Iterator[str]:
    for group in ALERTS["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("expression", list(expressions()))
def test_each_expression_names_series_that_there_are(expression: str, series: dict[str, set[str]]) -> None:
    names = re.findall(r"change_hooks_\w+", expression)
    assert names or expression.startswith("up{")
    assert set(names) <= set(series)
    for labels in re.findall(r"by \(([\w, ]+)\)", expression):
        wanted = set(labels.split(", ")) - {"instance"}
        assert any(wanted <= series[name] for name in names)


def test_every_metric_of_ours_is_on_the_dashboard(series: dict[str, set[str]]) -> None:
    asked = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    families = {
        re.sub(r"_(bucket|count|sum|created)$", "", name) for name in series if not name.endswith("_created")
    }
    assert {name for name in families if name not in asked} == set()


def test_panels_stand_beside_each_other() -> None:
    seen: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at: Any = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & seen
        assert at["x"] + at["w"] <= 24
        seen |= cells
