"""A Buildbot service that has a say when a configuration is checked.

Strategy: Buildbot makes a service while ``master.cfg`` runs, before anybody knows what ``c['www']`` will be,
and tells it of ``c['www']`` when the configuration is in force, which is too late to refuse it. So what reads
``c['services']`` is made to ask the services, for it comes after ``c['www']`` has been read. ``buildbot
checkconfig``, the start of a master and ``buildbot reconfig`` all pass there.

Source: Buildbot, ``buildbot/config/master.py``.
"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

from buildbot.config.master import MasterConfig


def ask_services() -> None:
    """From now on, each service that has a method ``check_www(www, folder)`` is asked about ``c['www']`` of
    every configuration that is loaded; it tells ``buildbot.config.error`` what is wrong.
    """
    load_services: Any = MasterConfig.load_services

    @wraps(load_services)
    def load_and_ask(config: Any, filename: str, config_dict: dict[str, Any]) -> None:
        load_services(config, filename, config_dict)
        for service in config.services.values():
            if hasattr(service, "check_www"):
                service.check_www(config.www, Path(filename).parent)

    MasterConfig.load_services = load_and_ask


__all__ = ["ask_services"]
