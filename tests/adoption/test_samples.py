"""Each class with Buildbot's base in Buildbot's resource, and with ours in ours and in Buildbot's."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.adoption.judge import judged, ours, plain
from tests.adoption.samples import SAMPLES, Sample

UPSTREAM = re.compile(r"from buildbot\.www\.hooks\.\w+ import")


def configured(sample: Sample, source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "operators_own"}
    exec(source, names)
    return {sample.dialect: {**sample.options, sample.option: names["Mine"]}}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_class_works_when_only_its_import_line_is_changed(sample: Sample) -> None:
    statuses, wanted = judged(configured(sample, sample.source), *sample.requests)
    changed = configured(sample, UPSTREAM.sub("from change_hooks.upstream import", sample.source))
    assert wanted or sample.name == "skipped-by-its-head-commit"
    for route in (ours, judged):
        ours_statuses, found = route(changed, *sample.requests)
        assert len(found) == len(wanted)
        for change, same in zip(found, wanted, strict=True):
            assert plain(change, sample.differs) == plain(same, sample.differs)
        assert [status < 400 for status in ours_statuses] == [status < 400 for status in statuses]
