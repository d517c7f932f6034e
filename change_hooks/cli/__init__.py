"""The ``change-hooks`` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from secrets import token_urlsafe
from time import sleep
from typing import Any, TypeVar

import click
import msgspec

from change_hooks.cli.logs import begin_logging
from change_hooks.config import HooksConfig, read_www
from change_hooks.errors import ConfigurationError
from change_hooks.journal import StoredChange
from change_hooks.journal.sqlite import connect_to_read, read_changes, read_deliveries
from change_hooks.service import StandaloneService, standalone_settings

#: How often ``--follow`` looks for new changes, in seconds.
FOLLOW = 0.5

Command = TypeVar("Command", bound=Callable[..., Any])


def _config_argument(command: Command) -> Command:
    """CONFIG: a file, or the embedded default when it is not given."""
    return click.argument("config", required=False, type=click.Path(dir_okay=False, path_type=Path))(command)


_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="change-hooks", prog_name="change-hooks")
def main() -> None:
    """Receive webhooks of code forges and commit hooks, and keep the changes they tell of.

    CONFIG is a Python file that sets c or BuildmasterConfig, as a Buildbot master.cfg does. Without it,
    the dialect 'base' is served on 127.0.0.1:8010, with a journal in the current folder.
    """


def _fail(error: ConfigurationError) -> None:
    for problem in error.problems:
        click.echo(f"error: {problem}", err=True)
    sys.exit(1)


@main.command()
@_config_argument
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def serve(config: Path | None, log_format: str) -> None:
    """Run the server.

    SIGTERM and SIGINT end it when everything in flight is answered. SIGHUP reads CONFIG again.
    """
    from twisted.internet import reactor

    begin_logging(log_format)
    try:
        service = StandaloneService(config, reactor)
        service.check_journal()
    except ConfigurationError as error:
        _fail(error)
        return
    failed: list[str] = []

    def cannot_listen(failure: Any) -> None:
        failed.append(f"cannot listen on {service.port}: {failure.getErrorMessage()}")
        reactor.stop()

    def start() -> None:
        service.startService()
        service.listen().addErrback(cannot_listen)

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    if failed:
        _fail(ConfigurationError(failed))


@main.command()
@_config_argument
def check(config: Path | None) -> None:
    """Check a configuration: errors (exit status 1), and warnings of open doors."""
    hooks = _read(config)
    for warning in hooks.warnings:
        click.echo(f"warning: {warning}", err=True)
    for endpoint in hooks.endpoints:
        handler = endpoint.handler
        click.echo(f"/change_hook/{endpoint.name}  {handler.__module__}.{handler.__qualname__}")
    click.echo(f"journal: {hooks.journal or 'none'}")


def _read(config: Path | None) -> HooksConfig:
    try:
        www, base, _ = standalone_settings(config)
        return read_www(www, base=base)
    except ConfigurationError as error:
        _fail(error)
        raise


def _journal(config: Path | None) -> Any:
    path = _read(config).journal
    if path is None:
        raise click.ClickException("the configuration says change_hook_journal: None; nothing is kept")
    try:
        return connect_to_read(path)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@_config_argument
@_json_option
@click.option("--follow", is_flag=True, help="Go on with the changes that come.")
def changes(config: Path | None, as_json: bool, follow: bool) -> None:
    """Print the changes in the journal, oldest first."""
    connection = _journal(config)
    last = 0
    while True:
        for stored in read_changes(connection, last):
            click.echo(_json(stored.as_json()) if as_json else _change_line(stored))
            last = stored.seq
        if not follow:
            return
        sys.stdout.flush()
        sleep(FOLLOW)


@main.command()
@_config_argument
@_json_option
def deliveries(config: Path | None, as_json: bool) -> None:
    """Print the deliveries in the journal, oldest first."""
    for stored in read_deliveries(_journal(config)):
        if as_json:
            click.echo(_json(msgspec.structs.asdict(stored)))
        else:
            click.echo(
                f"{_time(stored.received)}  {stored.state:9}  {stored.dialect}/{stored.delivery}"
                f"  {stored.changes} changes, {stored.bytes} bytes"
            )


def _json(fields: dict[str, Any]) -> str:
    return msgspec.json.encode(fields).decode()


def _change_line(stored: StoredChange) -> str:
    change = stored.change
    first_line = change.comments.partition("\n")[0]
    return _printable(
        f"{_time(change.when_timestamp)}  {stored.key.dialect}/{stored.key.delivery}#{stored.key.index}"
        f"  {change.repository or '-'} {change.branch or '-'} {(change.revision or '-')[:12]}"
        f"  {change.author or '-'}: {first_line}"
    )


def _printable(text: str) -> str:
    """*text* without anything that a terminal could act on."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-".ljust(20)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


CONFIGURATION = """\
# The configuration of change-hooks: a Python file, as a Buildbot master.cfg is.
# Check it with 'change-hooks check {name}', run it with 'change-hooks serve {name}'.

c = BuildmasterConfig = {{}}

c["www"] = {{
    # A TCP port, or a Twisted endpoint string: "tcp:8010:interface=127.0.0.1",
    # "ssl:8443:privateKey=key.pem:certKey=cert.pem" ...
    "port": "tcp:8010:interface=127.0.0.1",
    # Deliveries are kept in this file, next to this one. They survive a crash.
    "change_hook_journal": "sqlite:///change-hooks.sqlite",
    # Each dialect that is listed here is taken at /change_hook/DIALECT.
    "change_hook_dialects": {{
        # On GitHub: Settings, Webhooks, Add webhook; paste this secret there.
        "github": {{
            "secret": "{secret}",
            "strict": True,
        }},
        # Changes spelled out by commit hooks and people. Anybody who can reach it can use it, so
        # give it a 'secret', or a password file with change_hook_auth, before you enable it.
        # "base": {{"secret": "another secret"}},
    }},
    # A password for all dialects that have no 'auth' of their own:
    # "change_hook_auth": [strcred.makeChecker("file:changehook.passwd")],
    # (with 'from twisted.cred import strcred' above, and lines 'user:password' in that file)
}}
"""


@main.command()
@click.argument("path", default="change_hooks.cfg", type=click.Path(dir_okay=False, path_type=Path))
def init(path: Path) -> None:
    """Write a commented configuration, with a fresh secret, to PATH."""
    try:
        with open(path, "x", encoding="utf-8", opener=_for_owner) as file:
            file.write(CONFIGURATION.format(name=path.name, secret=token_urlsafe(32)))
    except FileExistsError:
        raise click.ClickException(f"{path} is there already; name another file") from None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    click.echo(f"wrote {path}; next: change-hooks serve {path}")


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
