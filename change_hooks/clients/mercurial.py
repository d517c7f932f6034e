"""A Mercurial hook that sends every changeset that was pushed to the ``base`` dialect.

This file needs no other: copy it, or refer to it where it is, in the ``.hg/hgrc`` of the repository on the
server (or in the server's ``hgrc``)::

    [hooks]
    changegroup.change_hooks = python:/path/to/mercurial.py:hook

    [hgbuildbot]
    master = https://build.example.com/change_hook/base

It needs only Mercurial's own Python 3. If the receiver is down, one line of warning is printed; the push
never fails. The settings, all in the section ``[hgbuildbot]``:

``master``
    The receivers, one or several, separated by commas: ``http://host:port/change_hook/base``, or without
    ``http://``.
``user``, ``passwd``
    For HTTP Basic authentication.
``secret``
    The secret that signs each change, for a ``base`` dialect with a ``secret``.
``branchtype``
    ``inrepo`` (the default): the branch is the changeset's own; ``dirname``: it is the last part of the
    repository's path.
``branch``
    The branch, whatever *branchtype* says.
``baseurl``
    The part of the repository's address before its path; by default, ``[web] baseurl``. With it, each change
    also gets a link.
``strip``
    How many slashes, with what precedes them, are removed from the repository's path; by default,
    ``[notify] strip``.
``category``, ``project``, ``codebase``
    As in the change.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import ssl
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

#: How long to wait for a receiver, in seconds.
TIME_LIMIT = 10.0
#: How much of a response is read, in bytes.
MOST_OF_AN_ANSWER = 65_536
#: Sources of changesets that existed before: these are not pushes.
NO_NEWS = ("strip", "histedit", "rebase", "narrow", "widen", "amend", "shelve", "unshelve")


#: The response statuses that mean that this body is wrong, but the next one may be right.
WRONG_BODY = (400, 413, 415, 422)


class Refused(Exception):
    """A receiver did not accept a change; the message says which receiver, and why.

    :param status: that of the response; None if there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Poster:
    """Posts changes to a ``base`` dialect, over one connection while it stays open.

    :param url: ``http://...`` or ``https://...``; ``http://`` may be omitted.
    :param user: for HTTP Basic authentication, with *password*; None: those in *url*.
    :param secret: signs each body.
    :raises Refused: *url* is not the address of a receiver.
    """

    def __init__(
        self,
        url: str,
        user: str | None = None,
        password: str | None = None,
        secret: str | None = None,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            raise Refused(f"{_without_login(url)}: not the address of a receiver") from None
        if parts.scheme not in ("http", "https") or not self._host:
            raise Refused(f"{_without_login(url)}: not the address of a receiver")
        self._tls = parts.scheme == "https"
        target = f"{parts.path or '/change_hook/base'}{'?' if parts.query else ''}{parts.query}"
        self._target = quote(target, safe="/?&=%:@!$'()*+,;~")
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = cleaned(f"{parts.scheme}://{host}{f':{self._port}' if self._port else ''}{parts.path}")
        self._secret = secret
        self._time_limit = time_limit
        self.headers = {"User-Agent": "change-hooks"}
        if user is None and parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
        if user is not None:
            login = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
            self.headers["Authorization"] = f"Basic {login}"
        self._connection: http.client.HTTPConnection | None = None

    def post(self, fields: dict[str, str]) -> str:
        """Send a change as a form.

        :returns: the text of the response.
        :raises Refused: it was not accepted.
        """
        return self.send(urlencode(fields).encode(), {"Content-Type": "application/x-www-form-urlencoded"})

    def send(self, body: bytes, headers: dict[str, str]) -> str:
        """Send a body with these headers in addition to our own.

        :returns: the text of the response.
        :raises Refused: it was not accepted.
        """
        if self._secret:
            signature = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
            headers = {"X-Hub-Signature-256": f"sha256={signature}", **headers}
        try:
            status, answer = self._exchange(body, {**self.headers, **headers})
        except (OSError, http.client.HTTPException) as error:
            self.close()
            why = getattr(error, "strerror", None) or error or type(error).__name__
            raise Refused(cleaned(f"{self.url}: {why}")) from None
        if not 200 <= status < 300:
            said = self.message_of(answer)
            raise Refused(f"{self.url}: {status} {' '.join(said[:200].split())}", status)
        return self.message_of(answer)

    def message_of(self, answer: str) -> str:
        """What a response says to people."""
        return answer

    def post_all(self, changes: Iterable[dict[str, str]]) -> tuple[int, list[str]]:
        """Send changes in order. If one is invalid, the others are still sent; after any other error, no more
        are sent.

        :returns: how many were accepted, and why the others were not.
        """
        sent, problems = 0, []
        for change in changes:
            try:
                self.post(change)
            except Refused as error:
                problems.append(str(error))
                if error.status not in WRONG_BODY:
                    break
            else:
                sent += 1
        self.close()
        return sent, problems

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        kept = self._connection is not None
        connection = self._connection or self._connect()
        try:
            connection.request("POST", self._target, body, headers)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The receiver may have closed an idle connection.
            self.close()
            if not kept:
                raise
            return self._exchange(body, headers)
        return response.status, cleaned(response.read(MOST_OF_AN_ANSWER).decode("utf-8", "replace").strip())

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls:
            context = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._time_limit, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._time_limit)
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def cleaned(text: str) -> str:
    """*text* without control characters that a terminal would interpret; line breaks are kept."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\ufffd" for character in text
    )


def _without_login(url: str) -> str:
    """The URL without everything before its last ``@``, where a password ends, encoded or not."""
    scheme, separator, rest = url.partition("://")
    return cleaned(f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else url.rpartition("@")[2])


def hook(ui: Any, repo: Any, hooktype: Any, node: Any = None, **more: Any) -> None:
    """Called by Mercurial after changesets have been added. No error here ever stops a push."""
    try:
        if hooktype not in (b"changegroup", "changegroup"):
            ui.warn(b"change_hooks: this is a hook for 'changegroup'\n")
            return
        source = _text(_bytes(more.get("source") or b""))
        if source not in NO_NEWS:
            _notify(ui, repo, node, more.get("node_last"))
    except Exception as error:
        ui.warn(cleaned(f"change_hooks: {type(error).__name__}: {error}\n").encode())


def _notify(ui: Any, repo: Any, first: Any, last: Any) -> None:
    masters = [_text(master) for master in ui.configlist(b"hgbuildbot", b"master")]
    if not masters:
        ui.warn(b"change_hooks: set 'master' in the section [hgbuildbot] of the hgrc\n")
        return
    end = repo[last].rev() if last else len(repo) - 1
    changes = list(_changes(ui, repo, repo.revs(b"%d:%d", repo[first].rev(), end)))
    user, password = _config(ui, "user"), _config(ui, "passwd")
    for master in masters:
        try:
            poster = Poster(master, user or None, password, _config(ui, "secret") or None)
            sent, problems = poster.post_all(changes)
        except Refused as error:
            sent, problems = 0, [str(error)]
        if problems:
            why = "; ".join(problems)
            ui.warn(f"change_hooks: {sent} of {_counted(len(changes))} sent: {why}\n".encode())
        else:
            ui.status(f"change_hooks: {_counted(sent)} sent to {poster.url}\n".encode())


def _counted(changes: int) -> str:
    return "1 change" if changes == 1 else f"{changes} changes"


def _changes(ui: Any, repo: Any, revisions: Any) -> Iterator[dict[str, str]]:
    """The changes of these changesets, without those that cannot be read, and without those that close a
    branch, which is no longer built.
    """
    for rev in revisions:
        try:
            ctx = repo[rev]
            if ctx.closesbranch():
                ui.status(cleaned(f"change_hooks: {_text(ctx.branch())} is closed: no change\n").encode())
                continue
            change = _change(ui, repo, ctx)
        except Exception as error:
            said = f"change_hooks: changeset {rev}: {type(error).__name__}: {error}\n"
            ui.warn(cleaned(said).encode())
        else:
            yield change


def _change(ui: Any, repo: Any, ctx: Any) -> dict[str, str]:
    from mercurial.encoding import fromlocal

    def told(value: bytes) -> str:
        return _text(fromlocal(value))

    root = _text(repo.root)
    branch = _config(ui, "branch")
    if not branch:
        by_folder = _config(ui, "branchtype") == "dirname"
        branch = root.rpartition("/")[2] if by_folder else told(ctx.branch())
    baseurl = _config(ui, "baseurl") or _text(ui.config(b"web", b"baseurl") or b"")
    strip = _config(ui, "strip") or _text(ui.config(b"notify", b"strip") or b"0")
    repository = baseurl + root.split("/", int(strip))[-1]
    is_merge = len(ctx.parents()) > 1
    files = [_text(path) for path in ctx.files()] or (["merge"] if is_merge else [])
    fields = {
        "author": told(ctx.user()),
        "revision": _text(ctx.hex()),
        "comments": told(ctx.description()),
        "files": json.dumps(files),
        "when": str(int(ctx.date()[0])),
        "branch": branch,
        "properties": json.dumps({"is_merge": is_merge}),
        "repository": repository,
        "src": "hg",
    }
    if baseurl:
        fields["revlink"] = f"{repository}/rev/{fields['revision']}"
    for name in ("category", "project", "codebase"):
        value = _config(ui, name)
        if value:
            fields[name] = value
    return fields


def _config(ui: Any, name: str) -> str:
    return _text(ui.config(b"hgbuildbot", name.encode()) or b"")


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


__all__ = ["Poster", "Refused", "hook"]
