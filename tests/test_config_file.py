"""A configuration file that is a Buildbot master's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from buildbot.process.properties import Interpolate
from twisted.internet.testing import MemoryReactorClock

from change_hooks.config_file import load_file
from change_hooks.core.errors import ConfigurationError
from change_hooks.standalone import StandaloneService
from change_hooks.standalone_settings import standalone_settings

MASTER = """
from buildbot.plugins import changes, util
from change_hooks.hosts.buildbot import ChangeHooks

c = BuildmasterConfig = {"builders": [], "title": basedir}
c["change_source"] = [changes.GitPoller(repourl="file:///nowhere.git", branches=["main"])]
c["services"] = [object(), ChangeHooks(
    change_hook_journal="sqlite:///own.sqlite", change_hook_keep=7, change_hook_admin={"port": 8011}
)]
c["www"] = {"port": None, "change_hook_dialects": {"github": {"secret": util.Secret("github")}}}
"""


def written(folder: Path, text: str = MASTER) -> Path:
    path = folder / "master.cfg"
    path.write_text(text)
    return path


def test_the_keys_given_to_the_service_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/nowhere")
    settings = standalone_settings(written(tmp_path))
    assert settings.www["change_hook_journal"] == "sqlite:///own.sqlite"
    assert (settings.www["change_hook_keep"], settings.www["change_hook_admin"]) == (7, {"port": 8011})
    assert list(settings.www["change_hook_dialects"]) == ["github"]
    assert (settings.base, settings.port, settings.pollers) == (tmp_path, "tcp:8010", ())
    assert (settings.is_master, settings.is_served_by_master, settings.doubts) == (True, True, ())
    assert load_file(tmp_path / "master.cfg").settings["title"] == str(tmp_path)


def test_a_master_without_the_service(tmp_path: Path) -> None:
    text = MASTER.replace('c["services"] = ', 'c["services"] = [][:1] or ').replace(
        "), ChangeHooks(", "), dict("
    )
    settings = standalone_settings(written(tmp_path, text))
    assert "change_hook_journal" not in settings.www
    assert (settings.is_master, settings.is_served_by_master) == (True, False)
    assert settings.doubts == ("c['change_source']: Buildbot's own are left to the master",)


@pytest.mark.parametrize("services", ["None", "ChangeHooks()", "{}"])
def test_services_that_buildbot_would_refuse_are_passed_over(tmp_path: Path, services: str) -> None:
    text = MASTER.replace('c["www"]', f'c["services"] = {services}\nc["www"]')
    assert not standalone_settings(written(tmp_path, text)).is_served_by_master


def test_a_www_that_is_no_dict_is_left_as_it_is(tmp_path: Path) -> None:
    assert load_file(written(tmp_path, MASTER + "\nc['www'] = 5")).www == 5  # type: ignore[comparison-overlap]


def test_a_server_of_its_own_refuses_what_a_master_serves(tmp_path: Path) -> None:
    reactor: Any = MemoryReactorClock()
    with pytest.raises(
        ConfigurationError, match="a Buildbot master serves this, with ChangeHooks; start that"
    ):
        StandaloneService(written(tmp_path), reactor)


def test_paths_start_from_where_the_file_was_named(tmp_path: Path) -> None:
    """A ``master.cfg`` is often a link into a checkout."""
    checkout, master = tmp_path / "checkout", tmp_path / "master"
    checkout.mkdir()
    master.mkdir()
    (master / "master.cfg").symlink_to(written(checkout))
    assert standalone_settings(master / "master.cfg").base == master


def test_what_a_master_would_render_stays_as_it_is(tmp_path: Path) -> None:
    config = load_file(written(tmp_path, MASTER.replace("util.Secret", "util.Interpolate")))
    assert isinstance(config.www["change_hook_dialects"]["github"]["secret"], Interpolate)
