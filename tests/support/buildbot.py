"""As much of a Buildbot master's database as is asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from buildbot.db.model import Model


def database(kind: str) -> Any:
    """The tables of the installed Buildbot, in a database of some kind."""
    engine = SimpleNamespace(dialect=SimpleNamespace(name=kind))
    return SimpleNamespace(model=Model, pool=SimpleNamespace(engine=engine))
