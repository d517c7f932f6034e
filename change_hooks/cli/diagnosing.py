"""Checks everything, for ``doctor``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any

import click
import msgspec
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react

from change_hooks.cli.common import print_json
from change_hooks.cli.configured import settings_and_hooks
from change_hooks.config import HooksConfig
from change_hooks.core.errors import ConfigurationError
from change_hooks.core.shown import printable
from change_hooks.doctor.findings import Finding
from change_hooks.doctor.local import look_at_disk, look_at_journal, look_at_port
from change_hooks.doctor.remote import look_at_certificate, look_at_receiver, look_at_webhook
from change_hooks.http_client import http_client
from change_hooks.inspection import inspect
from change_hooks.standalone_settings import Settings, inside
from change_hooks.tree import idle_tree
from change_hooks.webhooks.places import Asked, places


def run(config: Path, *, as_json: bool, url: str) -> None:
    """Look here and at the forges, and print what is found; ends the program if something is wrong."""
    findings: list[Finding] = []
    with inside(config) as path:
        settings, hooks = settings_and_hooks(path)
        url = url or (hooks.admin.url if hooks.admin is not None else "")

        async def look(reactor: Any) -> None:
            findings.extend(_here(settings, hooks, reactor))
            findings.extend(await _outside(hooks, url, reactor))
            for finding in findings:
                _tell(finding, as_json)
            if any(finding.verdict == "problem" for finding in findings):
                raise SystemExit(1)

        react(lambda reactor: ensureDeferred(look(reactor)))


def _here(settings: Settings, hooks: HooksConfig, reactor: Any) -> list[Finding]:
    inspected = inspect(settings, hooks, reactor)
    found = [Finding("configuration", "problem", problem) for problem in inspected.problems]
    found += [Finding("configuration", "warning", doubt) for doubt in inspected.doubts]
    return [
        *(found or [Finding("configuration", "good", "the configuration is good")]),
        *look_at_journal(hooks, time()),
        *look_at_disk(hooks),
        *look_at_port(settings.port, settings.base, time()),
    ]


async def _outside(hooks: HooksConfig, url: str, reactor: Any) -> Sequence[Finding]:
    tree = idle_tree(hooks, reactor)
    findings = list[Finding]()

    def left_out(_: str, error: ConfigurationError) -> None:
        findings.extend(Finding("webhook", "problem", problem) for problem in error.problems)

    try:
        asked = Asked(url=url, secret="")
        found = list(places(tree.handlers, asked, http=None, clock=reactor, left_out=left_out))
    except ConfigurationError as error:
        return [Finding("webhook", "problem", problem) for problem in error.problems]
    finally:
        tree.stop()
    if not found and not findings:
        nothing = (
            "no repositories are known, so no webhook was checked (options 'repositories' and 'recover')"
        )
        return [Finding("webhook", "warning", nothing)]
    findings += await look_at_certificate(url, time())
    http = http_client(reactor, verify=True, connect_timeout=10.0)
    for place in {place.endpoint: place for place in found}.values():
        findings += await look_at_receiver(place, http, reactor)
    for place in found:
        findings += await look_at_webhook(place, reactor)
    return findings


def _tell(finding: Finding, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.structs.asdict(finding))
    else:
        click.echo(printable(f"{finding.verdict:8} {finding.topic:14} {finding.said}"))


__all__ = ["run"]
