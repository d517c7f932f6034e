from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

from change_hooks import ConfigurationError
from change_hooks.admin.settings import AdminSettings
from change_hooks.config import read_www

CHECKER = InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")


def read(written: Any) -> AdminSettings | None:
    return read_www({"change_hook_admin": written}).admin


def problem_of(written: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(written)
    (problem,) = caught.value.problems
    return problem


def test_without_the_key_there_is_no_page() -> None:
    assert read_www({}).admin is None
    assert read(None) is None
    assert read(False) is None


def test_a_port_number_listens_on_this_machine_only() -> None:
    assert read({"port": 8011}) == AdminSettings("tcp:8011:interface=127.0.0.1", "127.0.0.1")


def test_what_is_mounted_elsewhere_needs_no_port() -> None:
    settings = read({"hosts": ["CI.example.org"], "payloads": False, "url": "https://ci.example.org/hooks/"})
    assert settings == AdminSettings(
        hosts=("ci.example.org",), payloads=False, url="https://ci.example.org/hooks"
    )


@pytest.mark.parametrize(
    ("port", "address"),
    [
        ("tcp:8011:interface=127.0.0.1", "127.0.0.1"),
        ("tcp:8011:interface=127.9.9.9", "127.9.9.9"),
        ("tcp:8011:interface=localhost", "localhost"),
        (r"tcp6:8011:interface=\:\:1", "::1"),
        ("unix:/run/admin.sock", "/run/admin.sock"),
        ("unix:admin.sock", "/admin.sock"),
    ],
)
def test_an_address_of_this_machine_needs_no_password(port: str, address: str) -> None:
    settings = read({"port": port})
    assert settings is not None
    assert (settings.port, settings.address) == (port, address)


@pytest.mark.parametrize(
    "port",
    [
        "tcp:8011",
        "tcp:8011:interface=0.0.0.0",
        "tcp:8011:interface=10.0.0.7",
        "tcp:8011:interface=ci.example.org",
        r"tcp6:8011:interface=\:\:",
        "tcp6:8011",
    ],
)
def test_one_that_others_reach_is_refused_without_a_password(port: str) -> None:
    assert "can be reached from other machines, so it needs 'auth'" in problem_of({"port": port})
    settings = read({"port": port, "auth": [CHECKER]})
    assert settings is not None
    assert settings.auth == (CHECKER,)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        (8011, "change_hook_admin must be a dict, for instance {'port': 8011}"),
        ({"prot": 8011}, "change_hook_admin: unknown option 'prot'; did you mean 'port'?"),
        ({"port": True}, "change_hook_admin: option 'port' must be a port number or a Twisted endpoint"),
        (
            {"port": "nonsense"},
            "change_hook_admin: option 'port' must be a port number or a Twisted endpoint",
        ),
        ({"port": "tcp:"}, "change_hook_admin: option 'port' must be a port number or a Twisted endpoint"),
        (
            {"port": "stdio:"},
            "change_hook_admin: option 'port' must be a port number or a Twisted endpoint string (tcp:",
        ),
        ({"port": []}, "change_hook_admin: option 'port' must be a port number or a Twisted endpoint"),
        ({"auth": [5]}, "change_hook_admin: option 'auth' must be a list of ICredentialsChecker"),
        ({"hosts": "ci.example.org"}, "change_hook_admin: option 'hosts' must be a list of host names"),
        ({"hosts": [5]}, "change_hook_admin: option 'hosts' must be a list of host names"),
        ({"payloads": 1}, "change_hook_admin: option 'payloads' must be True or False"),
        (
            {"url": "ci.example.org"},
            "change_hook_admin: option 'url' must be the server's public URL",
        ),
        ({"url": None}, "change_hook_admin: option 'url' must be the server's public URL"),
    ],
)
def test_what_is_wrong_is_named(written: Any, named: str) -> None:
    assert problem_of(written).startswith(named)
