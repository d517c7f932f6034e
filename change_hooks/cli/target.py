"""Finds where ``simulate`` sends a delivery, and with which secret, in a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from change_hooks.addresses import written_url
from change_hooks.cli.common import fail
from change_hooks.core.errors import ConfigurationError
from change_hooks.interrupts import SilentInterrupts
from change_hooks.references import resolved_secrets

if TYPE_CHECKING:
    from change_hooks.standalone_settings import Settings


class Target(msgspec.Struct, frozen=True):
    """An endpoint of a server on this machine.

    :param dialect: the endpoint's dialect.
    :param secret: a secret that it accepts; None: it has none.
    :param options: the endpoint's options, with references replaced by the secrets.
    """

    dialect: str
    url: str
    secret: str | None
    options: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Target({self.dialect!r}, {self.url!r})"


def target_of(config: Path, endpoint: str, url: str | None = None, secret: str | None = None) -> Target:
    """An endpoint of the server that a configuration file describes; ends the program if the file is invalid.

    :param url: the endpoint's URL; None: that of the configuration.
    :param secret: the secret to use; None: that of the configuration.
    :raises click.ClickException: the configuration lacks the URL or the secret.
    """
    with SilentInterrupts():
        from change_hooks.standalone_settings import standalone_settings
    try:
        settings = standalone_settings(config)
    except ConfigurationError as error:
        fail(error)
        raise
    dialects = settings.www.get("change_hook_dialects", {})
    if endpoint not in dialects:
        names = ", ".join(sorted(map(str, dialects)))
        raise click.ClickException(f"{config} has no endpoint {endpoint!r}; valid names are {names}")
    written = dialects[endpoint]
    options = dict(written) if isinstance(written, Mapping) else {}
    secret = secret or _secret(options.get("secret"), settings.base)
    return Target(
        str(options.get("dialect") or endpoint),
        url or f"{_server(settings)}/change_hook/{endpoint}",
        secret,
        {**options, "secret": secret},
    )


def _server(settings: Settings) -> str:
    url = written_url(settings.port)
    if url is None:
        raise click.ClickException(f"no URL can be derived from {settings.port!r}; set one with --to")
    return url


def _secret(written: Any, base: Path) -> str | None:
    try:
        written = resolved_secrets(written, base)
    except ValueError as error:
        raise click.ClickException(f"option 'secret' {error}") from None
    if isinstance(written, (list, tuple)):
        written = written[0] if written else None
    if isinstance(written, bytes):
        written = written.decode("utf-8", "surrogateescape")
    if written is None or isinstance(written, str):
        return written
    raise click.ClickException("the configuration does not contain the secret; give it with --secret")


__all__ = ["Target", "target_of"]
