from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from change_hooks.core.errors import ConfigurationError
from change_hooks.pollers import GitPoller, HgPoller, Poller, SVNPoller, split_file_branches
from change_hooks.pollers.base import Found, names
from change_hooks.standalone_settings import standalone_settings
from change_hooks.vcs import Commit, as_change


def test_the_specifications_poller() -> None:
    poller = SVNPoller(
        repourl="https://amanda.svn.sourceforge.net/svnroot/amanda/amanda",
        split_file=split_file_branches,
        pollInterval=24 * 60 * 60,
        pollAtLaunch=True,
    )
    assert poller.name == "https://amanda.svn.sourceforge.net/svnroot/amanda/amanda"
    assert (poller.interval, poller.at_launch) == (86400.0, True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Poller(""), "repourl must be the address"),
        (lambda: Poller("--upload-pack=x"), "repourl must be the address"),
        (lambda: SVNPoller(5), "repourl must be the address"),  # type: ignore[arg-type]
        (lambda: Poller("x", pollInterval=-1), "pollInterval must be"),
        (lambda: Poller("x", pollInterval="60"), "pollInterval must be"),  # type: ignore[arg-type]
        (lambda: GitPoller("x", branches="main"), "branches must be a list"),
        (lambda: HgPoller("x", branches=5), "branches must be a list"),
        (lambda: SVNPoller("x", split_file="trunk"), "split_file must be a function"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_is_named(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:s3cret@git.example/a@b/c", "https://git.example/a@b/c"),
        ("https://s3cret@git.example/x", "https://git.example/x"),
        ("ssh://git:s3cret@git.example/x", "ssh://git@git.example/x"),
        ("git@git.example:a/b", "git@git.example:a/b"),
        ("/srv/git/x", "/srv/git/x"),
    ],
)
def test_a_password_is_nowhere_but_on_its_way(url: str, shown: str) -> None:
    poller = GitPoller(url)
    assert (poller.repourl, poller.address, poller.name) == (url, shown, shown)
    found = Found("1", [as_change(Commit("1", "a", "", 5, "m", []), "git", **poller.about)])
    assert "s3cret" not in repr([poller.delivery(found, 5.0).dump(), found])


def test_names() -> None:
    assert names(True, "branches") is None
    assert names(("a", "b"), "branches") == ["a", "b"]


def test_a_poller_has_to_say_how_it_looks() -> None:
    with pytest.raises(NotImplementedError):
        Poller("x").look(None, Path())


CONFIG = """
from change_hooks.pollers import GitPoller
c = {{"www": {www}, "change_source": {source}}}
"""


def settings(folder: Path, source: str, www: str = "{}") -> Any:
    path = folder / "hooks.cfg"
    path.write_text(CONFIG.format(source=source, www=www))
    return standalone_settings(path)


def test_one_poller_or_several(tmp_path: Path) -> None:
    assert [each.name for each in settings(tmp_path, "GitPoller('a')").pollers] == ["a"]
    both = settings(tmp_path, "[GitPoller('a'), GitPoller('a', name='b')]").pollers
    assert [each.name for each in both] == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "www", "said"),
    [
        ("5", "{}", "change_source: int is no poller of change_hooks.pollers"),
        ("[GitPoller('a'), GitPoller('a')]", "{}", "change_source: two are called 'a'"),
        ("GitPoller('a')", "{'change_hook_journal': None}", "change_source needs a journal"),
        ("GitPoller('')", "{}", "repourl must be the address"),
    ],
)
def test_a_wrong_source_is_a_configuration_error(source: str, www: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        settings(tmp_path, source, www)
