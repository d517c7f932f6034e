"""``change-hooks capture``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from change_hooks.cli import main
from change_hooks.core.delivery import Delivery
from change_hooks.testing import Receiver, build, in_short, recorded

SECRET = "correct horse battery staple"
WWW = {"change_hook_dialects": {"github": {"secret": SECRET, "codebase": "api"}, "base": True}}
PUSH = {
    "ref": "refs/heads/main",
    "before": "1" * 40,
    "after": "2" * 40,
    "repository": {"full_name": "o/r", "html_url": "https://ann:pw@github.com/o/r"},
    "pusher": {"name": "ann", "email": "ann@corp.example"},
    "head_commit": None,
    "note": f"the secret is {SECRET}",
    "commits": [
        {
            "id": "2" * 40,
            "message": "Fix it, bob@corp.example",
            "timestamp": "2026-11-25T10:00:00Z",
            "author": {"name": "Ann", "email": "ann@corp.example"},
            "added": ["a.txt"],
        }
    ],
}


class Captured:
    """A configuration, a journal with deliveries, and the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "hooks.cfg"
        self.config.write_text(f"c = {{'www': { ({**WWW, 'change_hook_journal': 'sqlite:///j.sqlite'})!r}}}")

    def store(self, *deliveries: Delivery) -> list[str]:
        """Let a service take deliveries, and put what it stored into the file.

        :returns: their ids.
        """
        with Receiver(WWW) as receiver:
            ids = [receiver.send(each).delivery for each in deliveries]
            backup = self.folder / "j.sqlite"
            receiver.journal.store.connection.execute("VACUUM INTO ?", (str(backup),))
        return ids

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["capture", str(self.config), *arguments, "--to", str(self.to)])

    @property
    def to(self) -> Path:
        return self.folder / "recorded"


def test_a_captured_delivery_gives_what_it_gave(tmp_path: Path) -> None:
    captured = Captured(tmp_path)
    captured.store(
        build(WWW, "github", "push", PUSH, id="72d3162e-cc78", headers={"X-Forwarded-For": "10.1.2.3"})
    )
    result = captured.run("72d3", "--case", "the one!")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0] == str(tmp_path / "recorded" / "github" / "push__the_one.json")
    (delivery,) = recorded(captured.to)
    assert delivery.options == {"codebase": "api"}
    www = {"change_hook_dialects": {"github": dict(delivery.options)}}
    with Receiver(www) as receiver:
        (change,) = receiver.send(delivery.delivery()).changes
    assert in_short(change) == delivery.expected[0]
    assert change.author == "Ann <person1@example.com>"
    everything = "".join(path.read_text() for path in captured.to.rglob("*.json"))
    for private in (SECRET, "corp.example", "10.1.2.3", "sha256=", "pw@"):
        assert private not in everything
    assert "person2@example.com" in everything
    again = captured.run("72d3", "--case", "the one!")
    assert (again.exit_code, "already exists" in again.output) == (1, True)


def test_what_gives_no_change_says_why(tmp_path: Path) -> None:
    captured = Captured(tmp_path)
    skipped: dict[str, Any] = {**PUSH, "commits": [{**PUSH["commits"][0], "message": "[skip ci]"}]}  # type: ignore[index]
    captured.store(
        build(WWW, "github", "push", PUSH, id="a-1"), build(WWW, "github", "push", skipped, id="b-1")
    )
    kept = captured.run("b-1")
    assert kept.exit_code == 1
    assert "nothing of it is stored except that it was ignored" in kept.output


def test_it_needs_one_delivery_with_a_document(tmp_path: Path) -> None:
    captured = Captured(tmp_path)
    *_, form = captured.store(
        build(WWW, "github", "push", PUSH, id="a-1"),
        build(WWW, "github", "push", PUSH, id="a-2"),
        build(WWW, "base", form={"revision": "1"}),
    )
    assert "2 deliveries begin with 'a-'" in captured.run("a-").output
    assert "no delivery 'x'" in captured.run("x").output
    assert captured.run().exit_code == 2
    assert "its body is not a JSON document" in captured.run(form).output
    assert not captured.to.exists()
