"""``change-hooks init``."""

from __future__ import annotations

import errno
import io
import os
import re
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest
from click import ClickException
from click.testing import CliRunner, Result

from change_hooks.cli import main
from change_hooks.cli.init import FORGES, SINKS
from change_hooks.cli.target import target_of
from change_hooks.config import read_www
from change_hooks.config_file import load_file
from change_hooks.forges.webhooks import WEBHOOKS
from change_hooks.plugins import installed
from change_hooks.recovery.sources import WAYS
from change_hooks.testing import Receiver, build, recorded

RECORDED = Path(__file__).parents[1] / "recorded"


def init(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments], catch_exceptions=False)


@pytest.mark.parametrize("sink", sorted(SINKS))
@pytest.mark.parametrize("forge", sorted(FORGES))
def test_what_it_writes_is_good(tmp_path: Path, forge: str, sink: str) -> None:
    path = tmp_path / "hooks.cfg"
    result = init(str(path), "--forge", forge, "--sink", sink)
    assert result.exit_code == 0, result.output
    checked = CliRunner().invoke(main, ["check", str(path)])
    assert checked.exit_code == 0, checked.output
    assert "warning" not in checked.output
    config = read_www(load_file(path).www, base=tmp_path)
    assert [endpoint.name for endpoint in config.endpoints] == [forge]
    assert list(config.sinks) == [sink]
    assert config.journal == tmp_path / "change-hooks.sqlite"


@pytest.mark.parametrize("forge", sorted(FORGES))
def test_it_says_what_to_do_next(tmp_path: Path, forge: str) -> None:
    path = tmp_path / "hooks.cfg"
    said = init(str(path), "--forge", forge).output
    for what in (
        f"change-hooks check {path}",
        f"change-hooks serve {path}",
        f"change-hooks simulate {forge} {path}",
        f"/change_hook/{forge}{FORGES[forge].query}\n",
        str(path.with_suffix(".secret")),
        FORGES[forge].where,
        "http://127.0.0.1:8011/",
        "127.0.0.1 cannot be reached from outside",
    ):
        assert what in said
    # Gogs has fewer APIs than Gitea, whose handler it shares.
    api = "" if forge == "gogs" else getattr(installed().load(forge), "forge", "")
    assert (f"change-hooks hook ensure {path} --url https://YOUR.HOST" in said) == (api in WEBHOOKS)
    assert ('"via": "fetch"' in said) == (api in WAYS)
    assert all(len(line) <= 105 or str(tmp_path) in line for line in said.splitlines())


@pytest.mark.parametrize(
    "name", ["my hooks.cfg", "größe 日本.cfg", """it's "a" $name `x`.cfg""", "a\\b.cfg", "-x"]
)
def test_any_name_can_be_typed_as_it_is_shown(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = init("--", name).output
    for command in re.findall(r"change-hooks check (.*)", said):
        assert shlex.split(command) == [name if name[0] != "-" else f"./{name}"]
    checked = CliRunner().invoke(main, ["check", "--strict", "--", name])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("name", ["hooks.secret", "a\nb.cfg", "a\udcff.cfg", "\x1b[31m.cfg"])
def test_a_name_that_a_configuration_cannot_have(tmp_path: Path, name: str) -> None:
    result = init(str(tmp_path / name))
    assert result.exit_code == 1
    assert "cannot be the name of a configuration; try hooks.cfg" in result.output
    assert "\x1b" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("full", ["hooks.secret", "hooks.cfg"])
def test_on_a_full_disk_nothing_is_left(tmp_path: Path, full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def close(self) -> None:
            if not self.closed:
                super().close()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def opened(path: Path, *arguments: Any, **more: Any) -> Any:
        file = open(path, *arguments, **more)  # noqa: PTH123, SIM115
        if path.name == full:
            file.close()
            return Full()
        return file

    monkeypatch.setattr("change_hooks.cli.init.open", opened, raising=False)
    result = init(str(tmp_path / "hooks.cfg"))
    assert result.output == f"Error: {tmp_path}/{full}: No space left on device\n"
    assert list(tmp_path.iterdir()) == []


def test_only_who_knows_the_secret_is_let_in(tmp_path: Path) -> None:
    path = tmp_path / "hooks.cfg"
    init(str(path))
    push = next(recorded(RECORDED, "github", "push"))
    dialects = read_www(load_file(path).www, base=tmp_path).endpoints[0]
    www = {"change_hook_dialects": {"github": dialects.options}}
    with Receiver(www, base=tmp_path) as receiver:
        signed = build(
            www, "github", "push", push.body, secret=path.with_suffix(".secret").read_text().strip()
        )
        assert receiver.send(signed).status == 202
        assert receiver.send(build(www, "github", "push", push.body, secret="another")).status == 403
        assert receiver.send(build(www, "github", "push", push.body, secret=None)).status == 403


def test_the_secret_is_fresh_and_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert init().output.startswith("wrote change_hooks.cfg, and a fresh secret to change_hooks.secret\n")
    init("other.cfg")
    first, second = (Path(name).read_text() for name in ("change_hooks.secret", "other.secret"))
    assert len(first.strip()) >= 32
    assert first != second
    assert stat.S_IMODE(Path("change_hooks.secret").stat().st_mode) == 0o600
    assert first.strip() not in Path("change_hooks.cfg").read_text()


@pytest.mark.parametrize("there", ["hooks.cfg", "hooks.secret"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    result = init(str(tmp_path / "hooks.cfg"))
    assert result.exit_code == 1
    assert f"{there} already exists" in result.output
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "hooks.secret").symlink_to(tmp_path / "elsewhere")
    assert init(str(tmp_path / "hooks.cfg")).exit_code == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = init(str(tmp_path / "missing" / "x.cfg"))
    assert result.exit_code == 1
    assert "missing/x.secret: No such file or directory" in result.output


def test_every_forge_is_there() -> None:
    # What 'generic' needs cannot be known, two have no secret, and nobody can sign like SourceHut.
    without = {"generic", "poller", "bitbucket", "gitorious", "sourcehut"}
    assert FORGES.keys() == set(installed().names()) - without


def test_simulate_finds_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "hooks.cfg"
    init(str(path))
    target = target_of(path, "github")
    assert (target.dialect, target.url) == ("github", "http://127.0.0.1:8010/change_hook/github")
    assert target.secret == path.with_suffix(".secret").read_text().strip()
    path.with_suffix(".secret").unlink()
    with pytest.raises(
        ClickException, match=r"option 'secret' refers to .*hooks\.secret, which cannot be read"
    ):
        target_of(path, "github")


def test_simulate_takes_the_address_and_the_secret_that_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "master.cfg"
    path.write_text(
        'c = {"www": {"port": "unix:hooks.sock", "change_hook_dialects": {"github": {"secret": object()}}}}'
    )
    with pytest.raises(ClickException, match=r"give it with --secret"):
        target_of(path, "github", url="http://ci.example/hooks")
    with pytest.raises(ClickException, match=r"set one with --to"):
        target_of(path, "github", secret="s3cret")
    target = target_of(path, "github", url="http://ci.example/hooks", secret="s3cret")
    assert (target.url, target.secret) == ("http://ci.example/hooks", "s3cret")


@pytest.mark.parametrize("page", ["push-to-program", "gitlab", "bitbucket", "gitea"])
def test_a_tutorial_shows_what_it_writes(tmp_path: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "tutorial" / f"{page}.md").read_text("utf-8")
    command = re.findall(r"^change-hooks (init .*)$", text, re.MULTILINE)[0]
    monkeypatch.chdir(tmp_path)
    assert init(*command.split()[1:]).exit_code == 0
    www = load_file(tmp_path / "hooks.cfg").www
    namespace: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("```")[0], namespace)
    shown = (
        namespace["c"]["www"] if "c" in namespace else {"change_hook_sinks": {"command": namespace["sink"]}}
    )
    for key, value in shown.items():
        assert www[key] == value
