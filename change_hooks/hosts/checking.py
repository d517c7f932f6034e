"""Lets Buildbot services take part in checking a configuration.

Strategy: Buildbot creates a service while ``master.cfg`` runs, before ``c['www']`` is known, and passes it
``c['www']`` when the configuration is already in use, which is too late to refuse it. So the method that
reads ``c['services']``, which runs after ``c['www']`` has been read, is extended to ask the services.
``buildbot checkconfig``, the start of a master and ``buildbot reconfig`` all call it.

Source: Buildbot, ``buildbot/config/master.py``.
"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

from buildbot.config.master import MasterConfig


def ask_services() -> None:
    """From now on, for every configuration that is loaded, ask each service with a method ``check_www(www,
    folder)`` about ``c['www']``; the method reports problems to ``buildbot.config.error``.
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
