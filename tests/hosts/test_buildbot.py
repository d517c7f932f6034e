from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from buildbot.process.properties import Interpolate
from twisted.internet.defer import succeed

from change_hooks.core.change import Change
from change_hooks.hosts.buildbot import MasterPollers, make_resource, own_keys

from ..conftest import Client, result_of
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


def test_renderables_become_callables() -> None:
    options = {
        "token": Interpolate("t-%(prop:full_name)s"),
        "secret": [Interpolate("a"), "b"],
        "skips": ["x"],
    }
    own = own_keys({"port": 1, "change_hook_dialects": {"github": options, "base": True}}, Master())
    assert own.keys() == {"change_hook_dialects"}
    assert own["change_hook_dialects"]["base"] is True
    github = own["change_hook_dialects"]["github"]
    assert result_of(github["token"]({"full_name": "o/r", "id": 5})) == "t-o/r"
    assert result_of(github["secret"](object())) == ["a", "b"]
    assert github["skips"] == ["x"]
    assert own_keys({"port": 1}, None) == {}


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
