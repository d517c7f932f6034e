"""A configuration as operators see it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from change_hooks.admin.facts import EndpointFacts, Facts
from change_hooks.config import HooksConfig
from change_hooks.configured_endpoints import EndpointConfig

#: The recorded deliveries that come with this package.
RECORDED = Path(__file__).with_name("recorded")


def facts_of(config: HooksConfig, sinks: Iterable[str], *, url: str, file: str) -> Facts:
    """The facts of a configuration.

    :param sinks: the names of the sinks.
    :param url: the public URL, if the configuration has none; empty: not known.
    :param file: the configuration file; empty: none.
    """
    return Facts(
        endpoints=tuple(map(_endpoint, config.endpoints)),
        sinks=tuple(sinks),
        warnings=config.warnings,
        payloads=config.admin is None or config.admin.payloads,
        url=(config.admin and config.admin.url) or url,
        config=file,
    )


def _endpoint(entry: EndpointConfig) -> EndpointFacts:
    options = entry.options if isinstance(entry.options, dict) else {}
    return EndpointFacts(
        entry.name,
        getattr(entry.handler, "sender", ""),
        secret=bool(options.get("secret") or options.get("token")),
        simulated=_simulated(options.get("dialect", entry.name)),
    )


def _simulated(dialect: str) -> bool:
    """Whether ``change-hooks simulate`` can send to a dialect: it adapts recorded deliveries."""
    return dialect == "base" or (RECORDED / dialect).is_dir()


__all__ = ["facts_of"]
