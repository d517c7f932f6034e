from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from buildbot.process.properties import Interpolate
from twisted.internet.defer import succeed

from change_hooks.core.change import Change
from change_hooks.hosts.buildbot import MasterPollers, make_resource, own_keys

from ..conftest import Client
from ..support.buildbot import database


class Master(SimpleNamespace):
    """As much of a master as is used."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[dict[str, Any]] = []
        self.change_svc = [SimpleNamespace(name=b"svn", force=lambda: None), SimpleNamespace(name="pb")]
        self.data = SimpleNamespace(updates=SimpleNamespace(addChange=self._add))
        self.db = database("sqlite")

    def _add(self, **change: Any) -> Any:
        self.added.append(change)
        return succeed(1)


def test_only_what_is_about_change_hooks_is_taken() -> None:
    options = {"token": Interpolate("t-%(prop:full_name)s")}
    www = {"port": 1, "change_hook_dialects": {"github": options, "base": True}}
    assert own_keys(www) == {"change_hook_dialects": {"github": options, "base": True}}


def test_a_plain_resource_adds_changes_to_the_master() -> None:
    master = Master()
    client = Client(
        make_resource(master, {"change_hook_dialects": {"base": True, "poller": True}, "port": 1})
    )
    assert client.post("/base", data={"revision": "1", "src": "hg"}).status == 202
    assert master.added == [Change(revision="1", src="hg").as_dict()]
    assert client.get("/poller").text == "no change found: polling with 1 poller\n"
    assert client.get("/poller?poller=svn").status == 202
    assert [poller.name for poller in MasterPollers(master)] == [b"svn"]
