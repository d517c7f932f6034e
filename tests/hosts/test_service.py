"""``ChangeHooks`` with as much of a master as it uses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from buildbot.config.errors import ConfigErrors, capture_config_errors
from buildbot.config.master import MasterConfig
from twisted.internet.defer import succeed
from twisted.web.resource import Resource
from twisted.web.server import Site

from change_hooks.hosts.buildbot import ChangeHooks
from tests.conftest import Client, result_of
from tests.support.buildbot import database
from tests.support.logs import logged

FIELDS = {"revision": "1", "comments": "c"}


class Www(SimpleNamespace):
    """The master's web service."""

    site: Any = None

    def setupSite(self, new_config: Any) -> None:
        root = Resource()
        root.putChild(b"change_hook", Resource())
        self.site = Site(root)


class Hosted:
    """A master with the service."""

    def __init__(self, folder: Path, dialects: Any) -> None:
        self.added: list[Any] = []
        updates = SimpleNamespace(addChange=lambda **change: succeed(self.added.append(change)))
        self.service = ChangeHooks(change_hook_journal=None)
        self.master = SimpleNamespace(
            basedir=str(folder),
            www=Www(),
            config=SimpleNamespace(
                www={"change_hook_dialects": dialects, "port": 1},
                services={},
                buildbotURL="http://localhost:8010/",
            ),
            running=True,
            data=SimpleNamespace(updates=updates),
            db=database("sqlite"),
        )
        self.master.config.services = {"change_hooks": self.service}
        self.service.parent = SimpleNamespace(master=self.master)

    def reconfigure(self, dialects: Any = None) -> None:
        if dialects is not None:
            self.master.config.www = {"change_hook_dialects": dialects}
        result_of(self.service.reconfigServiceWithSibling(self.service))

    def post(self, path: str) -> int:
        mounted = self.master.www.site.resource.children[b"change_hook"]
        return Client(mounted).post(path, data=FIELDS).status


@pytest.fixture
def hosted(tmp_path: Path) -> Hosted:
    hosted = Hosted(tmp_path, {"base": True})
    hosted.reconfigure()
    return hosted


def test_it_is_in_place_before_the_master_listens(hosted: Hosted) -> None:
    hosted.master.www.setupSite(None)
    assert hosted.post("/base") == 202
    assert len(hosted.added) == 1


def test_it_takes_the_place_where_there_is_a_site_already(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path, {"base": True})
    hosted.master.www.setupSite(None)
    hosted.reconfigure()
    assert hosted.post("/base") == 202


def test_a_reconfiguration_is_taken_at_once(hosted: Hosted) -> None:
    hosted.master.www.setupSite(None)
    hosted.reconfigure({"poller": True})
    assert (hosted.post("/base"), hosted.post("/poller")) == (404, 202)
    with logged() as log:
        hosted.reconfigure({"base": {"secrt": 1}})
    assert (hosted.post("/base"), hosted.post("/poller")) == (503, 503)
    assert "change hooks are off until this is fixed: dialect 'base': unknown option 'secrt'" in log.text
    hosted.reconfigure({"base": True})
    assert hosted.post("/base") == 202


def test_the_address_is_given_back_when_the_service_is_removed(hosted: Hosted) -> None:
    hosted.master.www.setupSite(None)
    hosted.master.config.services = {}
    result_of(hosted.service.stopService())
    assert hosted.post("/base") == 404
    assert "setupSite" not in vars(hosted.master.www)


def test_it_is_kept_while_the_master_stops_or_another_takes_over(hosted: Hosted) -> None:
    hosted.master.www.setupSite(None)
    result_of(hosted.service.stopService())
    assert hosted.post("/base") == 503
    other = Hosted(Path(hosted.master.basedir), {"base": True})
    other.master.www = hosted.master.www
    other.reconfigure()
    assert other.post("/base") == 202
    other.master.config.services = {}
    other.master.running = False
    result_of(other.service.stopService())
    assert other.post("/base") == 503


def test_where_nothing_was_before_nothing_stays(hosted: Hosted) -> None:
    hosted.master.www.setupSite(None)
    mounted = hosted.master.www.site.resource.children[b"change_hook"]
    mounted.before = None
    hosted.master.config.services = {}
    result_of(hosted.service.stopService())
    assert b"change_hook" not in hosted.master.www.site.resource.children


def test_a_service_that_was_never_started_stops() -> None:
    service = ChangeHooks(change_hook_journal=None)
    result_of(service.stopService())


def test_wrong_keys_and_wrong_dialects_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="not a key of ChangeHooks"):
        ChangeHooks(other=1)
    config: Any = MasterConfig()
    config.www = {"change_hook_dialects": {"github": {"stict": True}}, "port": 1}
    services = {"services": [ChangeHooks(change_hook_journal=None)]}
    with capture_config_errors() as errors:
        config.load_services(str(tmp_path / "master.cfg"), services)
    (error,) = errors.errors
    assert error.startswith("c['www']: dialect 'github': unknown option 'stict'; did you mean 'strict'?")
    config.www = {"change_hook_dialects": {"base": True}}
    with capture_config_errors() as errors:
        config.load_services(str(tmp_path / "master.cfg"), services)
    assert errors.errors == []
