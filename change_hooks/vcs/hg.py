"""Mercurial repositories.

Source: hg help log, hg help templates, hg help revsets, hg help config.auth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

from change_hooks.core.address import parse_address, without_password
from change_hooks.vcs import Commit
from change_hooks.vcs.tools import ToolError, each, lines_of, run, seconds, text

#: One line per changeset; fields that may contain a separator are percent-encoded, which also preserves
#: bytes.
_TEMPLATE = (
    "{node} {date|hgdate|urlescape} {get(extras, 'close')|urlescape} {author|urlescape} {branch|urlescape}"
    " {desc|urlescape}"
    ' {join(files % "{file|urlescape}", " ")}\\n'
)
_FIELDS = 6


class Repository:
    """A repository on this machine.

    :param path: its folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)

    def hg(self, *arguments: str) -> bytes:
        """Run an hg command, and return its output.

        :raises ToolError: the command failed.
        """
        return run(["hg", "--encoding", "utf-8", "--encodingmode", "replace", "-R", self.path, *arguments])

    def ids(self, revisions: str, known: Sequence[str] = ()) -> list[str]:
        """The ids of the changesets in a revset, in its order.

        :param known: the changesets that ``known`` means in it.
        """
        return [text(line) for line in self._log(revisions, known, "{node}\\n")]

    def log(self, revisions: str, known: Sequence[str] = ()) -> list[Commit]:
        """The changesets in a revset, in its order.

        :param known: see :meth:`ids`.
        :raises ToolError: one of them cannot be read.
        """
        return [_commit(line) for line in self._log(revisions, known, _TEMPLATE)]

    def _log(self, revisions: str, known: Sequence[str], template: str) -> list[bytes]:
        # One argument has room for 3000 ids, all arguments together for tens of thousands.
        aliases = {f"known{place}": part for place, part in enumerate(_parts(known))}
        settings = [f"revsetalias.{name}={' + '.join(part)}" for name, part in aliases.items()]
        settings.append(f"revsetalias.known={' + '.join(aliases) or 'none()'}")
        options = [option for setting in settings for option in ("--config", setting)]
        return lines_of(self.hg(*options, "log", "-r", revisions, "-T", template))

    def readable_log(self, revisions: str, known: Sequence[str] = ()) -> tuple[list[Commit], list[str]]:
        """The same, tolerating unreadable changesets.

        :returns: the changesets, and the errors of the others.
        """
        try:
            return self.log(revisions, known), []
        except ToolError:
            commits, failed = each(self.ids(revisions, known), lambda ids: self.log(" + ".join(ids)))
            return commits, [f"the changeset {name} cannot be read: {error}" for name, error in failed]

    def present(self, ids: Iterable[str]) -> set[str]:
        """Which of these changesets exist here."""
        asked = [f"present({name})" for name in ids]
        return {name for part in _parts(asked) for name in self.ids(" + ".join(part))}

    def pull(self, url: str) -> None:
        """Pull from another repository, even if it has (or now has) nothing in common with this one.

        :param url: its address; during the pull, its password is in a file of this repository that only the
            owner can read, and never among the arguments.
        :raises ToolError: the pull failed.
        """
        address, settings = parse_address(url), Path(self.path) / ".hg" / "hgrc"
        if address.scheme not in ("http", "https") or address.user is None:
            self._pull(without_password(url))
            return
        place = f"{address.authority}/{address.path.lstrip('/')}"
        lines = [
            "[auth]",
            f"poller.prefix = {_on_one_line(place)}",
            f"poller.schemes = {address.scheme}",
            f"poller.username = {_on_one_line(address.user)}",
            f"poller.password = {_on_one_line(address.password or '')}",
        ]
        settings.touch(0o600)
        settings.write_text("\n".join(lines) + "\n")
        try:
            self._pull(without_password(url))
        finally:
            settings.unlink()

    def _pull(self, url: str) -> None:
        try:
            self.hg("pull", "--quiet", "--", url)
        except ToolError as error:
            if "abandoned transaction" in str(error):
                # An earlier pull was killed, along with the server or at the time limit.
                self.hg("recover", "--quiet")
                self.hg("pull", "--quiet", "--", url)
            elif str(error).endswith("repository is unrelated"):
                self.hg("pull", "--quiet", "--force", "--", url)
            else:
                raise


def _parts(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[first : first + 1000] for first in range(0, len(names), 1000)]


def _on_one_line(value: str) -> str:
    if not value.isprintable():
        raise ToolError("hg: the user or the password contains a control character")
    return value


def _commit(line: bytes) -> Commit:
    node, *encoded, files = line.split(b" ", _FIELDS)
    date, closes, author, branch, message = (text(unquote_to_bytes(field)) for field in encoded)
    return Commit(
        id=text(node),
        author=author,
        committer="",
        when=seconds(date.partition(" ")[0]),
        message=message,
        files=[text(unquote_to_bytes(file)) for file in files.split(b" ") if file],
        branch=branch,
        closes=closes == "1",
    )


__all__ = ["Repository"]
