from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from inspect import signature
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from change_hooks import Change, ConfigurationError, HookHandler
from change_hooks.config import read_www
from change_hooks.config_file import DEFAULT_PORT, load_file
from change_hooks.dialects.base import BaseHookHandler
from change_hooks.plugins import Registry
from change_hooks.pollers import GitPoller, SVNPoller
from change_hooks.service import ChangeHookService
from change_hooks.sinks import Command, Http
from change_hooks.standalone_settings import standalone_settings


class Custom(BaseHookHandler):
    pass


def problems_of(www: Any, **more: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_www(www, **more)
    return "\n".join(caught.value.problems)


def test_the_defaults(tmp_path: Path) -> None:
    config = read_www({"change_hook_dialects": {"base": True}, "port": 1, "plugins": {}}, base=tmp_path)
    assert [(entry.name, entry.handler, entry.options) for entry in config.endpoints] == [
        ("base", BaseHookHandler, True)
    ]
    assert config.max_body == 25 * 1024 * 1024
    assert config.journal == tmp_path / "change-hooks.sqlite"
    assert config.auth == ()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a/b.sqlite", "/base/a/b.sqlite"),
        ("sqlite:////var/b.sqlite", "/var/b.sqlite"),
        (None, None),
    ],
)
def test_where_the_journal_is(url: str | None, path: str | None) -> None:
    config = read_www({"change_hook_journal": url}, base=Path("/base"))
    assert config.journal == (None if path is None else Path(path))


@pytest.mark.parametrize(
    ("www", "named"),
    [
        ([], "must be a dict"),
        (
            {"change_hook_dialekts": {}},
            "unknown key 'change_hook_dialekts'; did you mean 'change_hook_dialects'",
        ),
        ({"change_hook_dialects": ["base"]}, "change_hook_dialects must be a dict"),
        (
            {"change_hook_dialects": {"bas": True}},
            "dialect 'bas': no dialect of this name; did you mean 'base'",
        ),
        (
            {"change_hook_dialects": {"eu": {"dialect": "zzz"}}},
            "dialect 'eu': no dialect of this name; valid names are",
        ),
        (
            {"change_hook_dialects": {"base": {"secrt": 1}}},
            "dialect 'base': unknown option 'secrt'; did you mean 'secret'",
        ),
        ({"change_hook_dialects": {"base": {"secret": 1}}}, "dialect 'base': option 'secret' must be a str"),
        ({"change_hook_dialects": {"base": 5}}, "dialect 'base': its options must be a dict"),
        ({"change_hook_dialects": {5: True}}, "dialect 5: a dialect's name"),
        ({"change_hook_dialects": {"a/b": True}}, "dialect 'a/b': a dialect's name"),
        ({"change_hook_dialects": {"x": {"custom_class": 5}}}, "dialect 'x': custom_class must be a class"),
        ({"change_hook_dialects": {"x": {"custom_class": str}}}, "dialect 'x': custom_class must be a class"),
        (
            {"change_hook_dialects": {"base": {"auth": [5]}}},
            "dialect 'base': option 'auth' must be a list of ICredentials",
        ),
        ({"change_hook_auth": "user:password"}, "change_hook_auth must be a list of ICredentialsChecker"),
        ({"change_hook_max_body": 0}, "change_hook_max_body must be a positive number of bytes"),
        ({"change_hook_max_body": True}, "change_hook_max_body must be a positive number of bytes"),
        ({"change_hook_attempts": "5"}, "change_hook_attempts must be a positive number"),
        ({"change_hook_answer_within": 0}, "change_hook_answer_within must be a positive number of seconds"),
        ({"change_hook_max_in_flight": 0}, "change_hook_max_in_flight must be a positive number of bytes"),
        (
            {"change_hook_max_connections": 0.5},
            "change_hook_max_connections must be a positive number of connections",
        ),
        (
            {"change_hook_trusted_proxies": 1},
            "change_hook_trusted_proxies must be a list of str, for instance",
        ),
        (
            {"change_hook_trusted_proxies": [1]},
            "change_hook_trusted_proxies must be a list of str, for instance",
        ),
        (
            {"change_hook_trusted_proxies": ["ci.example.com"]},
            "change_hook_trusted_proxies: 'ci.example.com' does not",
        ),
        (
            {"change_hook_trusted_proxies": "10.0.0.1/8"},
            "change_hook_trusted_proxies: 10.0.0.1/8 has host bits set",
        ),
        ({"change_hook_keep": "30"}, "change_hook_keep must be a positive number of days"),
        ({"change_hook_journal": "mysql://x"}, "change_hook_journal must be"),
        ({"change_hook_journal": "sqlite:///"}, "change_hook_journal must be"),
        ({"change_hook_journal": 5}, "change_hook_journal must be"),
        ({"change_hook_sinks": [print]}, "change_hook_sinks must be a dict of names and sinks"),
        ({"change_hook_sinks": {"a": 5}}, "change_hook_sinks: 'a' must be a sink, a callable, or a dict"),
        ({"change_hook_sinks": {"a": {"sink": "htpp"}}}, "did you mean 'http'?"),
        ({"change_hook_sinks": {"a": {"sink": "http"}}}, "change_hook_sinks: 'a': "),
        ({"change_hook_sinks": {"a": {"sink": "http", "url": "x"}}}, "'a': url must begin with http"),
        ({"change_hook_sinks": {"a": {"sink": "command", "argv": "x"}}}, "'a': argv must be a list of str"),
    ],
)
def test_what_is_wrong_is_named(www: Any, named: str) -> None:
    assert named in problems_of(www)


def test_a_secret_is_not_shown_in_a_problem() -> None:
    assert "hunter2" not in problems_of(
        {"change_hook_auth": "hunter2", "change_hook_dialects": {"base": {"secret": {"hunter2": 1}}}}
    )


def test_everything_wrong_is_found_at_once() -> None:
    www = {
        "change_hook_x": 1,
        "change_hook_max_body": -1,
        "change_hook_dialects": {"base": {"a": 1, "secret": 2}, "no": 1},
    }
    assert len(problems_of(www).splitlines()) == 5


def test_dialects_that_are_off() -> None:
    config = read_www({"change_hook_dialects": {"base": False}})
    assert config.endpoints == ()
    config = read_www({"change_hook_dialects": {"base": True}, "change_hook": False})
    assert (config.endpoints, len(config.warnings)) == ((), 1)
    config = read_www({})
    assert (config.endpoints, len(config.warnings)) == ((), 1)


def test_none_means_no_options() -> None:
    assert read_www({"change_hook_dialects": {"base": None}}).endpoints[0].options is True


def test_a_custom_class_for_any_name() -> None:
    config = read_www({"change_hook_dialects": {"anything": {"custom_class": Custom}}})
    assert config.endpoints[0].handler is Custom


def test_a_plugin_that_cannot_be_used_is_a_problem_of_its_dialect_alone() -> None:
    registry = Registry(
        [
            EntryPoint("broken", "no_such_module:X", "change_hooks.dialects"),
            EntryPoint("base", "change_hooks.dialects.base:BaseHookHandler", "change_hooks.dialects"),
            EntryPoint("wrong", "collections:OrderedDict", "change_hooks.dialects"),
        ]
    )
    assert len(read_www({"change_hook_dialects": {"base": True}}, registry=registry).endpoints) == 1
    www = {"change_hook_dialects": {"broken": True, "wrong": True, "base": True}}
    found = problems_of(www, registry=registry).splitlines()
    assert len(found) == 2
    assert "cannot be imported" in found[0]
    assert "its entry point must be a class" in found[1]


def test_the_class_option_belongs_to_who_declares_it() -> None:
    config = read_www({"change_hook_dialects": {"plain": {"custom_class": HookHandler, "class": Custom}}})
    assert config.endpoints[0].handler is HookHandler
    assert "unknown option 'class'" in problems_of({"change_hook_dialects": {"base": {"class": Custom}}})


def test_open_doors_are_warnings() -> None:
    from twisted.cred.checkers import AllowAnonymousAccess

    checker = AllowAnonymousAccess()
    assert len(read_www({"change_hook_dialects": {"base": True}}).warnings) == 1
    assert read_www({"change_hook_dialects": {"base": {"secret": "a long enough secret"}}}).warnings == ()
    assert read_www({"change_hook_dialects": {"base": True}, "change_hook_auth": [checker]}).warnings == ()
    assert read_www({"change_hook_dialects": {"base": {"auth": [checker]}}}).warnings == ()
    www: Mapping[str, Any] = {"change_hook_dialects": {"base": {"auth": []}}, "change_hook_auth": [checker]}
    assert len(read_www(www).warnings) == 1


# The file.


def written(folder: Path, text: str) -> Path:
    path = folder / "hooks.cfg"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["c", "BuildmasterConfig", "c = BuildmasterConfig"])
def test_a_file_sets_c_or_buildmasterconfig(tmp_path: Path, name: str) -> None:
    config = load_file(written(tmp_path, f"{name} = {{'www': {{'port': 'tcp:1'}}, 'title': 'x'}}"))
    assert (config.www, config.port, config.settings["title"]) == ({"port": "tcp:1"}, "tcp:1", "x")


def test_a_file_is_run_in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "neighbour_of_hooks.py").write_text("value = 7")
    before, folder = list(sys.path), Path.cwd()
    config = load_file(
        written(
            tmp_path,
            "import os, neighbour_of_hooks\nc = {'www': {}, 'cwd': os.getcwd(), 'x': neighbour_of_hooks.value, 'f': __file__}",
        )
    )
    assert (config.settings["cwd"], config.settings["x"]) == (str(tmp_path), 7)
    assert config.settings["f"] == str(config.path) == str(tmp_path / "hooks.cfg")
    assert config.port == DEFAULT_PORT
    assert (sys.path, Path.cwd()) == (before, folder)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x = 1", "sets neither BuildmasterConfig nor c"),
        ("c = 5", "sets neither BuildmasterConfig nor c"),
        ("c = {'www': {'port': 1.5}}", r"c\['www'\]\['port'\] must be"),
        ("c = {}\n\nc['www']['x'] = 1", "hooks.cfg, line 3: KeyError"),
        ("c = {}\nimport json\njson.loads('')", "hooks.cfg, line 3: JSONDecodeError"),
        ("c = {\n(", "hooks.cfg, line 2: SyntaxError"),
        ("\0", "hooks.cfg"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_its_line(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_file(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="change-hooks init"):
        load_file(tmp_path / "none.cfg")


def test_a_www_that_is_no_dict_is_found_by_read_www(tmp_path: Path) -> None:
    config = load_file(written(tmp_path, "c = {'www': 5}"))
    assert "must be a dict" in problems_of(config.www)


def test_sinks_are_objects_callables_or_spelled_out() -> None:
    build = Command(["build"], name="own")
    www = {
        "change_hook_sinks": {
            "build": build,
            "show": print,
            "ci": {"sink": "http", "url": "https://ci.example/"},
            "run": {"sink": "command", "argv": ["run"]},
        }
    }
    sinks = read_www(www).sinks
    assert (sinks["build"].sink, sinks["show"].sink) == (build, print)
    assert [(type(sinks[name].sink), sinks[name].sink.name) for name in ("ci", "run")] == [
        (Http, "ci"),
        (Command, "run"),
    ]


def test_durability_is_configured() -> None:
    default = read_www({})
    assert (default.answer_within, default.keep, default.attempts) == (5.0, 30.0, 100)
    www = {
        "change_hook_answer_within": 2.5,
        "change_hook_keep": None,
        "change_hook_journal": "postgresql://me@db/hooks",
    }
    config = read_www(www)
    assert (config.answer_within, config.keep, config.journal) == (2.5, None, "postgresql://me@db/hooks")
    assert read_www({"change_hook_keep": 0.5}).keep == 0.5


def test_options_of_sinks_may_refer_to_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL", "https://ci.example.com/changes")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "token").write_text("from a file\n")
    given: dict[str, Any] = {}

    class Own:
        mappings = ("env",)

        def __init__(self, **options: Any) -> None:
            given.update(options)

        def __call__(self, change: Change) -> None: ...

    monkeypatch.setattr(
        "change_hooks.configured_sinks.installed", lambda groups: SimpleNamespace(load=lambda kind: Own)
    )
    sink = {
        "sink": "own",
        "url": {"env": "URL"},
        "secret": {"credential": "token"},
        "headers": [("x-token", {"file": "token"})],
        "env": {"env": "production", "TOKEN": {"file": "token"}},
    }
    read_www({"change_hook_sinks": {"a": sink, "b": {**sink, "env": {"env": "production"}}}}, base=tmp_path)
    assert given == {
        "name": "b",
        "url": "https://ci.example.com/changes",
        "secret": "from a file",
        "headers": [("x-token", "from a file")],
        "env": {"env": "production"},
    }


def test_a_secret_of_a_sink_that_is_missing_is_named() -> None:
    sink = {"sink": "http", "url": "https://ci.example.com", "secret": {"env": "CHANGE_HOOKS_NOT_SET"}}
    assert (
        "change_hook_sinks: 'ci': option 'secret' refers to the environment variable CHANGE_HOOKS_NOT_SET"
        in problems_of({"change_hook_sinks": {"ci": sink}})
    )


KINDS: dict[str, dict[str, Any]] = {
    "command": {"argv": ["true"]},
    "http": {"url": "http://127.0.0.1:1/"},
    "forward": {"url": "http://127.0.0.1:1/"},
    "amqp": {"url": "amqp://127.0.0.1/"},
    "buildbot_pb": {"master": "127.0.0.1:9989"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written", ["600", 0, -1, True, float("inf"), float("nan"), []])
def test_the_time_limit_of_every_sink_is_a_positive_number(kind: str, written: Any) -> None:
    sink = {"sink": kind, **KINDS[kind], "time_limit": written}
    assert problems_of({"change_hook_sinks": {"a": sink}}) == (
        "change_hook_sinks: 'a': option 'time_limit' must be a positive number of seconds"
    )


@pytest.mark.parametrize(
    ("kind", "option", "written", "problem"),
    [
        ("command", "concurrency", 1.5, "must be a positive whole number"),
        ("command", "cwd", 5, "must be a str, not int"),
        ("command", "output", True, "must be a str, not bool"),
        ("command", "env", 5, "must be a dict of str and str"),
        ("http", "verify", "no", "must be True or False, not str"),
        ("http", "verify", 0, "must be True or False, not int"),
        ("http", "secret", "", "is empty; leave it out, or set a secret"),
        ("http", "secret", 5, "must be a str, bytes or a list of them, not int"),
        ("http", "format", ["change"], "must be one of 'change'"),
        ("forward", "verify", 1, "must be True or False, not int"),
        ("forward", "secret", True, "must be a str, bytes or a list of them, not bool"),
        ("amqp", "exchange", 5, "must be a str, not int"),
        ("amqp", "mandatory", "yes", "must be True or False, not str"),
        ("amqp", "format", "xml", "must be one of 'change'"),
        ("buildbot_pb", "user", 5, "must be a str, not int"),
        ("buildbot_pb", "passwd", 5, "must be a str, not int"),
        ("buildbot_pb", "master", None, "must be a str, not NoneType"),
    ],
)
def test_an_option_of_a_sink_that_is_wrong_is_named(
    kind: str, option: str, written: Any, problem: str
) -> None:
    sink = {"sink": kind, **KINDS[kind], option: written}
    assert problems_of({"change_hook_sinks": {"a": sink}}).startswith(
        f"change_hook_sinks: 'a': option {option!r} {problem}"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_none_is_the_default_of_every_option_of_a_sink(kind: str) -> None:
    factory = type(read_www({"change_hook_sinks": {"a": {"sink": kind, **KINDS[kind]}}}).sinks["a"].sink)
    options = set(signature(factory).parameters) - {"name", "base", *KINDS[kind], "http", "clock", "reactor"}
    nothing = dict.fromkeys(options - {"start", "output"})
    written = {"default": {"sink": kind, **KINDS[kind]}, "none": {"sink": kind, **KINDS[kind], **nothing}}
    read = read_www({"change_hook_sinks": written}).sinks
    assert {"time_limit"} <= options
    assert read["default"].time_limit == read["none"].time_limit
    assert read["default"].concurrency == read["none"].concurrency
    assert _shown(read["default"].sink) == _shown(read["none"].sink)


def _shown(sink: Any) -> dict[str, Any]:
    """The values that stand in a sink and in what it is made of."""
    values = {**vars(sink), **vars(getattr(sink, "_poster", sink)), "name": ""}
    return {name: value for name, value in values.items() if isinstance(value, (str, float, int, list, dict))}


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("ulr", "unknown option 'ulr'; did you mean 'url'?"),
        ("name", "unknown option 'name'; valid names are "),
        ("base", "unknown option 'base'; valid names are "),
        ("atempts", "unknown option 'atempts'; did you mean 'attempts'?"),
    ],
)
def test_an_option_that_a_sink_does_not_have_is_named(option: str, problem: str) -> None:
    sink = {"sink": "http", "url": "https://ci.example.com", option: "x"}
    assert problems_of({"change_hook_sinks": {"a": sink}}).startswith(f"change_hook_sinks: 'a': {problem}")


def test_what_waits_needs_a_journal() -> None:
    sinks = {"a": {"sink": print, "quiet": 60}, "b": {"sink": print, "latest_per": ["branch"]}}
    (quiet, latest) = (
        warning
        for warning in read_www({"change_hook_sinks": sinks, "change_hook_journal": None}).warnings
        if "journal" in warning
    )
    assert quiet == "change_hook_sinks: 'a': 'quiet' has no effect without a journal"
    assert latest == "change_hook_sinks: 'b': 'latest_per' has no effect without a journal"


def test_what_a_sink_gets_stands_beside_its_own_options(tmp_path: Path) -> None:
    sinks: dict[str, Any] = {
        "run": {"sink": "command", "argv": ["x"], "cwd": "site", "per": "change", "concurrency": 2},
        "slow": {"sink": "http", "url": "https://ci.example/", "time_limit": 120, "attempts": 5},
        "show": {"sink": print, "time_limit": 5, "only": {"branches": ["main"]}},
        "forward": {"sink": "forward", "url": "https://ci.example/"},
    }
    with patch("change_hooks.sinks.http.Poster") as poster:
        read = read_www({"change_hook_sinks": sinks, "change_hook_attempts": 7}, base=tmp_path).sinks
    assert (read["run"].per, read["run"].concurrency, read["run"].attempts) == ("change", 2, 3)
    assert (read["run"].sink.concurrency, read["run"].sink.cwd) == (2, str(tmp_path / "site"))
    # A sink that keeps the time itself is given the limit, and nobody else cuts it short.
    assert (read["slow"].time_limit, poster.call_args_list[0].kwargs["time_limit"]) == (None, 120)
    assert (read["slow"].attempts, read["show"].attempts) == (5, 7)
    assert (read["show"].time_limit, len(read["show"].only)) == (5, 1)
    assert read["forward"].per == "delivery"


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        ({"sink": print, "atempts": 5}, "'a': unknown option 'atempts'; did you mean 'attempts'?"),
        ({"sink": 5}, "'a' must be a sink, a callable, or a dict"),
        ({"attempts": 5}, "'a' must be a sink, a callable, or a dict"),
        (
            {"sink": print, "only": {"branch": "x"}},
            "'a': 'only': no field 'branch'; did you mean 'branches'?",
        ),
        ({"sink": "forward", "url": "https://x/", "per": "push"}, "'a': 'per' is 'delivery' for this sink"),
        ({"sink": "amqp", "url": "amqp://x/", "format": "xml"}, "'a': option 'format' must be one of"),
    ],
)
def test_what_is_wrong_with_a_sink_is_said(sink: Any, message: str) -> None:
    assert message in problems_of({"change_hook_sinks": {"a": sink}})


def test_no_repr_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_GITLAB", "s3cr3t-of-gitlab")
    www: dict[str, Any] = {
        "change_hook_dialects": {
            "github": {"secret": "s3cr3t-of-github", "token": "s3cr3t"},
            "gitlab": {"secret": {"env": "SECRET_OF_GITLAB"}},
            "gitea": {"secret": "s3cr3t-of-gitea!", "authorization": "Bearer s3cr3t"},
            "base": {"secret": [b"s3cr3t-of-base-1"]},
        },
        "change_hook_journal": "postgresql://me:s3cr3t@db.example/x",
        "change_hook_sinks": {
            "http": {"sink": "http", "url": "https://me:s3cr3t@ci.example/x", "secret": "s3cr3t-of-the-sink"},
            "forward": {"sink": "forward", "url": "https://me:s3cr3t@ci.example/x"},
            "amqp": {"sink": "amqp", "url": "amqp://me:s3cr3t@ci.example/x"},
            "pb": {"sink": "buildbot_pb", "master": "ci.example:9989", "passwd": "s3cr3t"},
            "command": {"sink": "command", "argv": ["true"], "env": {"TOKEN": "s3cr3t"}},
        },
    }
    path = tmp_path / "hooks.cfg"
    path.write_text(f"c = {{'www': {www!r}}}")
    service = ChangeHookService(www)
    pollers = [
        GitPoller("https://me:s3cr3t@ci.example/x"),
        SVNPoller("https://h/x", svnuser="u", svnpasswd="s3cr3t"),
    ]
    known: dict[int, Any] = {}
    todo: list[Any] = [service, pollers, load_file(path), standalone_settings(path)]
    while todo:
        each = todo.pop()
        if id(each) not in known and not isinstance(each, (type, ModuleType)):
            known[id(each)] = each
            todo += gc.get_referents(each)
    ours = [each for each in known.values() if type(each).__module__.startswith("change_hooks")]
    assert {"GitHubOptions", "HooksConfig", "FileConfig", "Settings"} <= {
        type(each).__name__ for each in ours
    }
    assert [each for each in ours if "s3cr3t" in f"{each!r} {each}"] == []


def test_a_name_that_nobody_registers_is_doubtful_when_nothing_is_asked_of_it() -> None:
    config = read_www({"change_hook_dialects": {"googlecode": True, "phabricator": {}}})
    assert config.endpoints == ()
    assert [warning.partition(";")[0] for warning in config.warnings] == [
        "dialect 'googlecode': no dialect of this name",
        "dialect 'phabricator': no dialect of this name",
    ]
    problem = problems_of({"change_hook_dialects": {"googlecode": {"secret": "x"}}})
    assert problem.startswith("dialect 'googlecode': no dialect of this name")


def test_what_stands_in_class_must_be_callable() -> None:
    assert "option 'class' must be a class" in problems_of({"change_hook_dialects": {"github": {"class": 5}}})
    assert "custom_class must be a class" in problems_of({"change_hook_dialects": {"x": {"custom_class": 5}}})


def test_replay_is_nothing_without_a_journal() -> None:
    options = {"secret": "a long enough secret", "strict": True, "replay": False}
    www = {"change_hook_dialects": {"github": options}}
    assert read_www(www).warnings == ()
    (warning,) = read_www({**www, "change_hook_journal": None}).warnings
    assert "'replay': False has no effect without a journal" in warning
