from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from change_hooks.core.address import (
    Address,
    AmbiguousAddress,
    parse_address,
    repository_key,
    repository_names,
    server_url,
    web_page,
    without_password,
)


@pytest.mark.parametrize(
    "written",
    [
        "https://github.com/octo-org/api",
        "https://ann:s3cret@GitHub.com/Octo-Org/api.git",
        "https://github.com:443//octo-org/api.git/",
        "http://github.com:8080/octo-org/api",
        "git@github.com:octo-org/api.git",
        "github.com:octo-org/api",
        "ssh://git@github.com/octo-org/api.git",
        "ssh://git@github.com:22/octo-org/api.git",
        "git+ssh://git@ssh.github.com:443/octo-org/api.git",
        "git://github.com/octo-org/api",
    ],
)
def test_all_addresses_of_a_repository_are_one(written: str) -> None:
    assert repository_key(written) == "github.com/octo-org/api"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://bb.example/scm/p/app.git", "https://bb.example/projects/P/repos/app/browse"),
        ("ssh://git@bb.example:7999/p/app.git", "https://bb.example/projects/P/repos/app"),
        ("https://bb.example/users/ann/repos/x", "ssh://git@bb.example:7999/~ann/x.git"),
        ("git@ssh.dev.azure.com:v3/o/p/r", "https://o@dev.azure.com/o/p/_git/r"),
        ("file:///srv/git/x.git", "/srv/git/x"),
        ("ssh://git@[2001:DB8::1]:22/a", "git@[2001:db8::1]:a"),
    ],
)
def test_the_ways_in_which_a_forge_writes_addresses(one: str, other: str) -> None:
    assert repository_key(one) == repository_key(other)


def test_what_differs_is_another_repository() -> None:
    keys = ["https://a/x/y", "https://b/x/y", "https://a/x/z", "/x/y", "a:y"]
    assert len({repository_key(each) for each in keys}) == len(keys)


def test_where_revisions_are_numbers_port_and_case_count() -> None:
    assert repository_key("svn://HOST:3690/r", exact=True) == repository_key("svn://host/r/", exact=True)
    assert repository_key("svn://host:3691/r", exact=True) != repository_key("svn://host/r", exact=True)
    assert repository_key("svn://host/R", exact=True) != repository_key("svn://host/r", exact=True)


@pytest.mark.parametrize(
    ("written", "page"),
    [
        ("ssh://git@host:7999/a/b.git", "https://host/a/b"),
        ("host:a/b", "https://host/a/b"),
        ("git@[::1]:a/b.git", "https://[::1]/a/b"),
        ("[git@host:2222]:a/b.git", "https://host/a/b"),
        ("[host:22]:a/b.git", "https://host/a/b"),
        ("http://host:3000/a/b.git", "http://host:3000/a/b"),
        ("https://ann:s3cret@host:8443/a/b.git/", "https://host:8443/a/b"),
        ("git://host/a/b", "https://host/a/b"),
        ("ssh://host:/a", "https://host/a"),
        ("file:///srv/x", None),
        ("../x", None),
        ("C:/x", None),
        ("ext::sh -c x", None),
        ("", None),
    ],
)
def test_the_page_of_a_repository(written: str, page: str | None) -> None:
    assert web_page(written) == page


def test_an_address_is_taken_apart() -> None:
    address = parse_address("https://a%40b:c%3Ad@Host:8443/x%20y")
    assert (address.user, address.password) == ("a@b", "c:d")
    assert (address.authority, address.path) == ("host:8443", "/x%20y")


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("git@HOST:a/b", ("ssh", "git", None, "host", None, "/a/b")),
        ("host:/a/", ("ssh", None, None, "host", None, "/a/")),
        ("[ann@host:2222]:a", ("ssh", "ann", None, "host", 2222, "/a")),
        ("ann@[host:22]:a", ("ssh", "ann", None, "host", None, "/a")),
        ("[::1]:a", ("ssh", None, None, "::1", None, "/a")),
        ("../x", ("file", None, None, "", None, "../x")),
        ("HTTPS://Host:443/A", ("https", None, None, "host", None, "/A")),
        ("https://ann:b:c@host:65535/", ("https", "ann", "b:c", "host", 65535, "/")),
        ("https://ann@b:c@host:123456/", ("https", "ann@b", "c", "host", None, "/")),
        ("https://:c@host/", ("https", "", "c", "host", None, "/")),
        ("https://@host/", ("https", "", None, "host", None, "/")),
        ("git+ssh://git@host/a", ("ssh", "git", None, "host", None, "/a")),
        ("ssh+git://git@host/a", ("ssh", "git", None, "host", None, "/a")),
        ("https+git2://host/a", ("https", None, None, "host", None, "/a")),
        ("svn://[::1]:3690/r", ("svn", None, None, "::1", None, "/r")),
        ("https://me:p/w@host:8443/x", ("https", "me", "p/w", "host", 8443, "/x")),
    ],
)
def test_the_parts_of_an_address(written: str, parts: tuple[Any, ...]) -> None:
    assert parse_address(written) == Address(*parts)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("HTTPS://ann:s3cret@host/a", "HTTPS://host/a"),
        ("ssh://git:s3cret@host:22/a", "ssh://git@host:22/a"),
        ("ssh://git@host/a", "ssh://git@host/a"),
        ("svn+ssh://ab:c:d@host/a", "svn+ssh://ab@host/a"),
        ("git@host:a", "git@host:a"),
    ],
)
def test_of_an_address_the_user_is_shown_where_it_is_needed(written: str, shown: str) -> None:
    assert without_password(written) == shown


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("https://github.com/octo-org/api.git", ("github.com/octo-org/api", "octo-org/api")),
        ("https://host/a?b=://c/d", ("host/a?b=://c/d", "a?b=://c/d")),
        ("git@github.com:octo-org/api.git", ("github.com:octo-org/api", "octo-org/api")),
        ("ssh://git@host:7999/a/b.git/", ("host:7999/a/b.git", "a/b.git")),
        ("host:a", ("host:a", "a")),
        ("host:1", ("host:1", "host:1")),
        ("api", ("api", "api")),
        ("/srv/api", ("/srv/api", "srv/api")),
    ],
)
def test_what_a_repository_may_be_called(written: str, names: tuple[str, ...]) -> None:
    assert repository_names(written) == (written, *names)


@given(st.text() | st.text("a1:@/?#[]").map(lambda text: f"https://{text}"))
def test_every_text_is_an_address_or_ambiguous(written: str) -> None:
    web_page(written)
    try:
        parse_address(written)
        repository_key(written)
        without_password(written)
    except AmbiguousAddress as error:
        assert "%40" in str(error)


#: Passwords that nobody has encoded.
ODD = [
    "p/w",
    "p?w",
    "p#w",
    "p@w",
    "p:w",
    "/",
    "p//w",
    "p/w@x",
    "p[w",
    "[p]",
    "p w",
    "p\nw",
    "%zz",
    "a/1",
]


@pytest.mark.parametrize("scheme", ["http", "https", "ssh", "svn", "svn+ssh", "git+https"])
@pytest.mark.parametrize("password", ODD)
def test_a_password_that_is_not_encoded_is_not_shown(scheme: str, password: str) -> None:
    marked = f"s3cr3t{password}s3cr3t"
    shown = without_password(f"{scheme}://me:{marked}@host.example/x")
    assert shown in (f"{scheme}://host.example/x", f"{scheme}://me@host.example/x")
    assert parse_address(f"{scheme}://me:{marked}@host.example/x").host == "host.example"
    assert "s3cr3t" not in str(web_page(f"{scheme}://me:{marked}@host.example/x"))


def test_what_may_be_a_password_or_not_is_refused_without_being_quoted() -> None:
    for written in ("https://me:12/34@host/x", "https://host.example:8443/x@y", "https://me:/12@host/x"):
        with pytest.raises(AmbiguousAddress) as error:
            without_password(written)
        assert "12" not in str(error.value)
        assert web_page(written) is None
    assert without_password("https://host.example/x@y") == "https://host.example/x@y"
    assert without_password("https://[::1]/x@y") == "https://[::1]/x@y"


@pytest.mark.parametrize(
    "written",
    [
        *(f"https://me:s3cr3t{password}s3cr3t@host:x/y" for password in ODD),
        *("https://me:s3cr3t@[host/y", "https://me:s3cr3t\u2100@host/", "https://me:12/34@host/x"),
        *("ftp://me:s3cr3t@host/", "https://me:s3cr3t@/x", "", 7, None, b"https://host/"),
    ],
)
def test_the_url_of_a_server_is_refused_without_being_quoted(written: object) -> None:
    with pytest.raises(ValueError, match=r"^url ") as error:
        server_url(written, "http", "https")
    assert "s3cr3t" not in str(error.value)
    assert "34" not in str(error.value)


def test_the_url_of_a_server() -> None:
    written = "https://me:s3cr3t%2F@host.example:8443/x?y"
    assert server_url(written, "http", "https") == written
