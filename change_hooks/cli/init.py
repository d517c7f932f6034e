"""``init``: writes a first configuration, and prints what to do next."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from secrets import token_urlsafe
from string import Template
from typing import NamedTuple

import click

from change_hooks.core.shown import printable


class Asked(NamedTuple):
    """What a sender's form for a webhook asks for.

    :param sender: the sender's name.
    :param where: where to find the form.
    :param url: the form's label for the URL.
    :param secret: the form's label for the secret.
    :param known: what to enter as the secret, with the name of our file.
    :param query: the query to append to the URL.
    :param options: the endpoint's options besides the secret.
    :param repository: the form of a repository's name.
    :param ensured: the forge has an API for webhooks.
    :param fetched: the forge has an API for deliveries.
    """

    sender: str
    where: str
    url: str
    secret: str
    known: str = "the contents of {}"
    query: str = ""
    options: str = ', "strict": True'
    repository: str = "OWNER/NAME"
    ensured: bool = False
    fetched: bool = False


#: The dialects that need no option besides a secret.
FORGES: Mapping[str, Asked] = {
    "github": Asked(
        "GitHub",
        "On GitHub: Settings, Webhooks, Add webhook (Content type: application/json)",
        "Payload URL",
        "Secret",
        ensured=True,
        fetched=True,
    ),
    "gitlab": Asked(
        "GitLab",
        "In GitLab: Settings, Webhooks, Add new webhook",
        "URL",
        "Secret token",
        ensured=True,
        fetched=True,
    ),
    "gitea": Asked(
        "Gitea",
        "In Gitea: Settings, Webhooks, Add Webhook, Gitea",
        "Target URL",
        "Secret",
        ensured=True,
        fetched=True,
    ),
    "forgejo": Asked(
        "Forgejo",
        "In Forgejo: Settings, Webhooks, Add webhook, Forgejo",
        "Target URL",
        "Secret",
        ensured=True,
        fetched=True,
    ),
    "gogs": Asked("Gogs", "In Gogs: Settings, Webhooks, Add a new webhook, Gogs", "Payload URL", "Secret"),
    "bitbucketcloud": Asked(
        "Bitbucket", "On Bitbucket: Repository settings, Webhooks, Add webhook", "URL", "Secret", ensured=True
    ),
    "bitbucketserver": Asked(
        "Bitbucket Data Center",
        "In Bitbucket Data Center: Repository settings, Webhooks, Create webhook",
        "URL",
        "Secret",
        repository="PROJECT/NAME",
        ensured=True,
        fetched=True,
    ),
    "azuredevops": Asked(
        "Azure DevOps",
        "On Azure DevOps: Project settings, Service hooks, +, Web Hooks (Resource version: 1.0)",
        "URL",
        "HTTP headers",
        "X-Change-Hook-Secret: and the contents of {}",
        repository="ORGANIZATION/PROJECT/NAME",
        ensured=True,
        fetched=True,
    ),
    "gerrit": Asked(
        "Gerrit",
        'In Gerrit: webhooks.config on refs/meta/config, [remote "ci"]',
        "url",
        "SECRET",
        query="?token=SECRET",
        options="",
    ),
    "gitee": Asked("Gitee", "On Gitee: Manage, WebHooks, Add", "URL", "WebHook password"),
    "launchpad": Asked(
        "Launchpad",
        "On Launchpad: Manage webhooks, Add webhook",
        "Delivery URL",
        "Secret",
        options=', "allow_sha1": True, "strict": True',
    ),
    "pagure": Asked(
        "Pagure",
        "In Pagure: Settings, Web-hooks",
        "URL",
        "Private web-hook key",
        "Pagure makes it; write it into {} instead",
    ),
    # It is always strict.
    "base": Asked(
        "a commit hook",
        "In a repository's hook: change-hooks notify git (or svn)",
        "--to",
        "--secret",
        options="",
    ),
}

#: For each kind of sink, what it does, and an example.
SINKS: Mapping[str, tuple[str, str]] = {
    "command": (
        "A program, once for each push; CHANGE_HOOK_REVISION and the like are in its environment.",
        """{
            "sink": "command",
            "argv": ["sh", "-c", 'echo "$CHANGE_HOOK_REPOSITORY $CHANGE_HOOK_BRANCH $CHANGE_HOOK_REVISION"'],
        }""",
    ),
    "http": (
        "Another web server, which gets each change as JSON.",
        '{"sink": "http", "url": "http://127.0.0.1:9000/changes"}',
    ),
    "forward": (
        "Another receiver of the same webhooks, which gets each request as it was received.",
        '{"sink": "forward", "url": "http://127.0.0.1:9000/webhook"}',
    ),
    "amqp": (
        "RabbitMQ; needs: pip install 'change-hooks[amqp]'.",
        '{"sink": "amqp", "url": "amqp://guest:guest@127.0.0.1:5672/%2F"}',
    ),
    "buildbot_pb": (
        "A Buildbot master with a PBChangeSource.",
        '{"sink": "buildbot_pb", "master": "127.0.0.1:9989"}',
    ),
}

_TEMPLATE = Template("""\
# The configuration of change-hooks: a Python file, like a Buildbot master.cfg.
# Check it with "change-hooks check $name", run it with "change-hooks serve $name".

c = BuildmasterConfig = {}

c["www"] = {
    # A TCP port, or a Twisted endpoint string. Only this machine can reach this one: put a web
    # server with TLS in front of it, or listen with TLS: "ssl:8443:privateKey=key.pem:certKey=cert.pem".
    "port": "tcp:8010:interface=127.0.0.1",
    # A web server in front of it names the senders, if it is trusted to:
    # "change_hook_trusted_proxies": ["127.0.0.1"],
    # Deliveries are stored in this file, next to the configuration. They survive a crash.
    "change_hook_journal": "sqlite:///change-hooks.sqlite",
    # What arrived, and what happened to it: http://127.0.0.1:8011/
    "change_hook_admin": {"port": 8011},
    # Each dialect that is listed here has the URL /change_hook/DIALECT.
    "change_hook_dialects": {
        # $where.
        # The secret is in the file $secret.
        "$forge": {"secret": {"file": $quoted}$options},
        # Another forge, with a secret of its own:
        # "$other": {"secret": {"env": "$OTHER_SECRET"}, "strict": True},
    },
    # Where the changes go: any number of sinks; 'only' and 'unless' select what each of them gets.
    "change_hook_sinks": {
$sinks
    },
    # A password for all dialects that have no 'auth' of their own:
    # "change_hook_auth": [strcred.makeChecker("file:changehook.passwd")],
    # (with 'from twisted.cred import strcred' above, and lines 'user:password' in that file)
}
""")


def configuration(name: str, forge: str, sink: str, secret: str) -> str:
    """The text of the file.

    :param name: the file's name.
    :param forge: one of :data:`FORGES`.
    :param sink: one of :data:`SINKS`.
    :param secret: the name of the file with the secret.
    """
    other = "gitlab" if forge == "github" else "github"
    return _TEMPLATE.substitute(
        name=_typed(name),
        forge=forge,
        where=FORGES[forge].where,
        secret=secret,
        quoted=json.dumps(secret, ensure_ascii=False),
        options=FORGES[forge].options,
        other=other,
        OTHER_SECRET=f"{other.upper()}_SECRET",
        sinks="\n".join(
            _sink(kind, commented=kind != sink) for kind in (sink, *(each for each in SINKS if each != sink))
        ),
    )


def _sink(kind: str, *, commented: bool) -> str:
    what, written = SINKS[kind]
    lines = [f"# {what}", *f'"{kind}": {written},'.splitlines()]
    first, rest = lines[:1], [line.removeprefix("        ") for line in lines[1:]]
    return "\n".join(
        f"        {line}" for line in first + [f"# {line}" if commented else line for line in rest]
    )


@click.command()
@click.argument("path", default="change_hooks.cfg", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--forge",
    type=click.Choice(list(FORGES)),
    default="github",
    show_default=True,
    metavar="FORGE",
    help=f"The sender: {', '.join(FORGES)} (commit hooks, programs and people).",
)
@click.option(
    "--sink",
    type=click.Choice(list(SINKS)),
    default="command",
    show_default=True,
    help="Where the changes go; the other kinds are added as comments.",
)
def init(path: Path, forge: str, sink: str) -> None:
    """Write a first configuration, and print what to do next.

    PATH is change_hooks.cfg by default. A fresh secret goes into a separate file next to it, which only you
    can read.
    """
    secret = path.with_suffix(".secret")
    if path == secret or not path.name.isprintable():
        raise click.ClickException(
            f"{printable(str(path))} cannot be the name of a configuration; try hooks.cfg"
        )
    for there in (path, secret):
        if there.exists() or there.is_symlink():
            raise click.ClickException(f"{printable(str(there))} already exists; give another name")
    _write(secret, f"{token_urlsafe(32)}\n", 0o600)
    try:
        _write(path, configuration(path.name, forge, sink, secret.name), 0o666)
    except click.ClickException:
        secret.unlink()
        raise
    click.echo(_next(path, forge, secret))


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file that is not there yet, whole or not at all."""
    opened = False
    try:
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            opened = True
            file.write(text)
    except OSError as error:
        if opened:
            path.unlink()
        raise click.ClickException(f"{printable(str(path))}: {error.strerror}") from None


def _typed(name: str) -> str:
    """A file's name, as it is typed into a shell."""
    return printable(shlex.quote(f"./{name}" if name.startswith("-") else name))


def _next(path: Path, forge: str, secret: Path) -> str:
    asked = FORGES[forge]
    written, kept, typed = printable(str(path)), printable(str(secret)), _typed(str(path))
    ensured = fetched = ""
    if asked.ensured:
        ensured = f"""
     Or, with the option 'token' in {written}:
     change-hooks hook ensure {typed} --url https://YOUR.HOST --repository {asked.repository}"""
    if asked.fetched:
        fetched = f"""
Or let it fetch deliveries, without an open port (see "Receive without an open port"): with the options
'token', and "recover": {{"from": ["{asked.repository}"], "via": "fetch"}}."""
    return f"""\
wrote {written}, and a fresh secret to {kept}

Next:
  1. change-hooks check {typed}
  2. change-hooks serve {typed}
     The admin page: http://127.0.0.1:8011/
  3. In another terminal, send it what {asked.sender} would send:
     change-hooks simulate {forge} {typed}
  4. {asked.where}
     {f"{asked.url}:":15} https://YOUR.HOST/change_hook/{forge}{asked.query}
     {f"{asked.secret}:":15} {asked.known.format(kept)}{ensured}

127.0.0.1 cannot be reached from outside. For step 4, put a web server with TLS in front of it (see
"Behind a proxy" in the documentation).{fetched}"""


__all__ = ["FORGES", "SINKS", "configuration", "init"]
