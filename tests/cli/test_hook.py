"""``hook``: what belongs together when secrets are changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from change_hooks.cli.hooking import refuse_a_part, turns
from change_hooks.config import read_www
from change_hooks.core.errors import ConfigurationError
from change_hooks.tree import idle_tree
from change_hooks.webhooks.places import Asked, Place, places

IN_FILE = {"secret": {"file": "one"}, "strict": True, "repositories": ["o/r", "o/s"]}
BESIDE = {"secret": ["the one of long ago", {"file": "one"}], "strict": True, "repositories": ["o/t"]}
WRITTEN = {"secret": "a long enough secret", "strict": True, "repositories": ["o/u"]}


def meant(folder: Path, dialects: dict[str, Any], *endpoints: str, **asked: Any) -> list[Place]:
    (folder / "one").write_text("a secret in a file\n")
    clock = Clock()
    tree = idle_tree(read_www({"change_hook_dialects": dialects}, base=folder), clock)
    chosen = Asked(endpoints, secret="", **asked)
    return list(places(tree.handlers, chosen, http=None, clock=clock, left_out=lambda name, error: None))


def test_only_what_is_meant_must_have_its_secret_in_a_file(tmp_path: Path) -> None:
    dialects = {"github": IN_FILE, "second": {"dialect": "github", **WRITTEN}, "base": True}
    (turn,) = turns(meant(tmp_path, dialects, "github"), {"change_hook_dialects": dialects}, tmp_path)
    assert turn.file.path == tmp_path / "one"
    assert [place.source.name for place in turn.places] == ["o/r", "o/s"]
    with pytest.raises(ConfigurationError, match="second: its secret is not in a file"):
        turns(meant(tmp_path, dialects), {"change_hook_dialects": dialects}, tmp_path)


def test_an_endpoint_without_options_has_no_secret_in_a_file(tmp_path: Path) -> None:
    dialects = {"github": True}
    found = meant(tmp_path, dialects, repositories=["o/r"])
    with pytest.raises(ConfigurationError, match="github: its secret is not in a file"):
        turns(found, {"change_hook_dialects": dialects}, tmp_path)


def test_a_file_that_another_endpoint_reads_is_changed_for_both_or_not_at_all(tmp_path: Path) -> None:
    dialects = {"github": IN_FILE, "second": {"dialect": "github", **BESIDE}}
    with pytest.raises(ConfigurationError, match="holds the secret of second, too"):
        turns(meant(tmp_path, dialects, "github"), {"change_hook_dialects": dialects}, tmp_path)


def test_a_part_of_what_has_a_secret_gets_no_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="would be refused afterwards: github, o/s"):
        list(refuse_a_part(meant(tmp_path, {"github": IN_FILE}, repositories=["o/r"])))
    assert list(refuse_a_part(meant(tmp_path, {"github": IN_FILE}))) == []
    (warning,) = refuse_a_part(meant(tmp_path, {"github": {**IN_FILE, "repositories": ["o/r", "o/*"]}}))
    assert warning.startswith("warning: github: repositories that the configuration does not name may send")


def test_nothing_is_begun_when_one_of_several_files_cannot_be_changed(tmp_path: Path) -> None:
    (tmp_path / "two").write_text("another secret\n")
    dialects = {
        "first": {"dialect": "github", "secret": {"file": "two"}, "strict": True, "repositories": ["o/v"]},
        "github": IN_FILE,
        "other": {"dialect": "gitlab", "secret": {"file": "one"}},
    }
    found = meant(tmp_path, dialects, "first", "github")
    with pytest.raises(ConfigurationError, match="holds the secret of other, too"):
        turns(found, {"change_hook_dialects": dialects}, tmp_path)
