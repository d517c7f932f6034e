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


class Rig:
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
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path, {"base": True})
    rig.reconfigure()
    return rig


def test_it_is_in_place_before_the_master_listens(rig: Rig) -> None:
    rig.master.www.setupSite(None)
    assert rig.post("/base") == 202
    assert len(rig.added) == 1


def test_it_takes_the_place_where_there_is_a_site_already(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"base": True})
    rig.master.www.setupSite(None)
    rig.reconfigure()
    assert rig.post("/base") == 202


def test_a_reconfiguration_is_taken_at_once(rig: Rig) -> None:
    rig.master.www.setupSite(None)
    rig.reconfigure({"poller": True})
    assert (rig.post("/base"), rig.post("/poller")) == (404, 202)
    with logged() as log:
        rig.reconfigure({"base": {"secrt": 1}})
    assert (rig.post("/base"), rig.post("/poller")) == (503, 503)
    assert "change hooks are off until this is right: dialect 'base': unknown option 'secrt'" in log.text
    rig.reconfigure({"base": True})
    assert rig.post("/base") == 202


def test_the_address_is_given_back_when_the_service_is_removed(rig: Rig) -> None:
    rig.master.www.setupSite(None)
    rig.master.config.services = {}
    result_of(rig.service.stopService())
    assert rig.post("/base") == 404
    assert "setupSite" not in vars(rig.master.www)


def test_it_is_kept_while_the_master_stops_or_another_takes_over(rig: Rig) -> None:
    rig.master.www.setupSite(None)
    result_of(rig.service.stopService())
    assert rig.post("/base") == 503
    other = Rig(Path(rig.master.basedir), {"base": True})
    other.master.www = rig.master.www
    other.reconfigure()
    assert other.post("/base") == 202
    other.master.config.services = {}
    other.master.running = False
    result_of(other.service.stopService())
    assert other.post("/base") == 503


def test_where_nothing_was_before_nothing_stays(rig: Rig) -> None:
    rig.master.www.setupSite(None)
    mounted = rig.master.www.site.resource.children[b"change_hook"]
    mounted.before = None
    rig.master.config.services = {}
    result_of(rig.service.stopService())
    assert b"change_hook" not in rig.master.www.site.resource.children


def test_a_service_that_was_never_started_stops() -> None:
    service = ChangeHooks(change_hook_journal=None)
    result_of(service.stopService())


def test_wrong_keys_and_wrong_dialects_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="no key of ours"):
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
