"""Checks made on this machine: the journal, the disk, and the server's own certificate."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509

from change_hooks.config import HooksConfig
from change_hooks.core.errors import ConfigurationError
from change_hooks.core.shown import counted, printable, reason_of
from change_hooks.doctor.findings import Finding, Verdict
from change_hooks.journal.address import open_reader, shown
from change_hooks.journal.reader import Reader

#: Free disk space, in bytes, below which there is a warning, and below which there is a problem.
LITTLE, NONE = 500 * 2**20, 20 * 2**20
#: How long a delivery may wait for a sink before there is a warning, in seconds.
LONG = 60 * 60.0
#: How many days before a certificate expires there is a warning.
SOON = 14
_MIB = 2**20


def look_at_journal(hooks: HooksConfig, now: float) -> list[Finding]:
    """Check the journal: dead letters, and entries that wait too long.

    :param now: seconds since the epoch.
    """
    if hooks.journal is None:
        return [Finding("journal", "warning", "there is none: changes that a sink refuses are lost")]
    try:
        reader = open_reader(hooks.journal)
    except FileNotFoundError:
        there_is = (
            f"{shown(hooks.journal)} does not exist yet: the server has not run with this configuration"
        )
        return [Finding("journal", "warning", there_is)]
    except ConfigurationError as error:
        return [Finding("journal", "problem", problem) for problem in error.problems]
    found = list(_of_journal(reader, now))
    return found or [Finding("journal", "good", f"{shown(hooks.journal)}; nothing has waited for long")]


def _of_journal(reader: Reader, now: float) -> Iterator[Finding]:
    for sink in reader.summary().sinks:
        if sink.dead_letters:
            letters = counted(sink.dead_letters, "dead letter")
            again = "'change-hooks replay' delivers them again"
            yield Finding("journal", "warning", f"sink {sink.sink}: {letters}; {again}")
        if sink.since is not None and now - sink.since > LONG:
            minutes = (now - sink.since) / 60
            waiting = counted(sink.waiting, "delivery has", "deliveries have")
            error = f": {printable(sink.error[:200])}" if sink.error else ""
            waits = f"{waiting} been waiting for {minutes:.0f} minutes{error}"
            yield Finding("journal", "problem", f"sink {sink.sink}: {waits}")


def look_at_disk(hooks: HooksConfig) -> Iterator[Finding]:
    """How much space is left on the disk that holds a SQLite journal."""
    if not isinstance(hooks.journal, Path):
        return
    folder = hooks.journal.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("disk", "problem", f"{folder}: {error.strerror}")
        return
    verdict: Verdict = "problem" if free < NONE else "warning" if free < LITTLE else "good"
    yield Finding("disk", verdict, f"{free // _MIB} MiB free in {folder}")


def look_at_port(port: str, base: Path, now: float) -> Iterator[Finding]:
    """Check the server's own certificate.

    :param port: the endpoint string.
    :param base: the folder that relative paths are relative to.
    """
    kind, *words = re.split(r"(?<!\\):", port)
    names = [word.partition("=")[2] for word in words if word.startswith("certKey=")]
    if kind not in ("ssl", "tls") or not names:
        return
    path = base / names[0].replace("\\", "")
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        yield Finding("certificate", "problem", f"{path}: {reason_of(error)}")
        return
    yield of_certificate(str(path), certificate, now)


def of_certificate(name: str, certificate: x509.Certificate, now: float) -> Finding:
    """Check when a certificate expires."""
    ends = certificate.not_valid_after_utc
    days = (ends - datetime.fromtimestamp(now, timezone.utc)).days
    said = f"{name}: the certificate is valid until {ends:%Y-%m-%d}, for {days} more days"
    if days < 0:
        return Finding("certificate", "problem", f"{name}: the certificate expired on {ends:%Y-%m-%d}")
    return Finding("certificate", "warning" if days < SOON else "good", said)


__all__ = [
    "LITTLE",
    "LONG",
    "NONE",
    "SOON",
    "look_at_disk",
    "look_at_journal",
    "look_at_port",
    "of_certificate",
]
