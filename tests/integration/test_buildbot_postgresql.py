"""Changes that a master's PostgreSQL tables cannot hold."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.programs import curl

from ..support.master import MASTER, Master, changes_of
from ..support.served import printed
from ..support.services import database
from .conftest import eventually

HOOKS = """
c = {'www': {'port': 8010, 'change_hook_journal': 'sqlite:///hooks.sqlite'}}
"""


@pytest.fixture
def master(tmp_path: Path) -> Any:
    with database() as url:
        master = Master(tmp_path)
        text = MASTER.replace("SERVICES", "[ChangeHooks(change_hook_journal='sqlite:///hooks.sqlite')]")
        text = text.replace(
            '"sqlite:///state.sqlite"', repr(url.replace("postgresql:", "postgresql+psycopg:"))
        )
        text = text.replace('"poller": {}, MORE', '"base": True').replace("SECRET", "'s3cret'")
        text = text.replace("PORT", str(master.port)).replace("basedir", repr(str(tmp_path)))
        (tmp_path / "master.cfg").write_text(text)
        upgraded = subprocess.run(
            [master.buildbot, "upgrade-master", str(tmp_path)], check=False, capture_output=True, text=True
        )
        assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
        (tmp_path / "hooks.cfg").write_text(HOOKS)
        yield master
        if (tmp_path / "twistd.pid").exists():
            master.stop()


def send(master: Master, **fields: str) -> None:
    assert curl("-d", urlencode(fields), f"{master.url}/change_hook/base")[0] == 202


def test_what_does_not_fit_is_fitted_or_given_up_at_once_and_the_repository_goes_on(master: Master) -> None:
    master.start()
    send(master, author="a" * 300, comments="fitted", revision="1", repository="r")
    send(master, branch="b" * 300, comments="given up", revision="2", repository="r")
    send(master, author="Ann", comments="the next one", revision="3", repository="r")
    send(master, author="Ann", comments="far\0away", revision="4", repository="r", when="99999999999")
    eventually(lambda: len(changes_of(master.url)) == 3)
    fitted, following, far = sorted(changes_of(master.url), key=lambda change: change["revision"])
    assert fitted["author"].endswith("…")
    assert fitted["properties"]["change_hook_fitted"][0] == ["author"]
    assert following["comments"] == "the next one"
    assert "change_hook_fitted" not in following["properties"]
    assert far["comments"] == "far\ufffdaway"
    assert far["properties"]["change_hook_fitted"][0] == ["comments", "when_timestamp"]
    states = [line["state"] for line in printed(master.folder, "deliveries") if line["dialect"] == "base"]
    assert sorted(states) == ["delivered", "delivered", "delivered", "failed"]
    assert "branch has 300 characters" in master.log()
