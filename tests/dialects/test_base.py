from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import succeed

from change_hooks.core.change import Change
from change_hooks.core.errors import BadPayload, SignatureMismatch, SignatureMissing, UnsupportedContentType
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.base import BaseHookHandler
from change_hooks.dialects.handler import check_options
from tests.conftest import delivery, result_of
from tests.support.connections import twisted_request

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "payloads"

FORM = b"application/x-www-form-urlencoded"
EVERYTHING = {
    "revision": "1c9f",
    "revlink": "https://forge.example/1c9f",
    "comments": "Fix \u00e4ll\n\nNow.",
    "branch": "main",
    "category": "push",
    "author": "Ann \u00c4 <ann@example.com>",
    "committer": "Bob <bob@example.com>",
    "when_timestamp": 1338350336,
    "repository": "https://forge.example/api",
    "project": "api",
    "codebase": "core",
    "files": ["src/\u00e4.c", "x"],
    "properties": {"a": {"b": [1, None]}},
}


def form(fields: dict[str, Any]) -> bytes:
    return "&".join(
        f"{name}={quote(value if isinstance(value, str) else json.dumps(value))}"
        for name, value in fields.items()
    ).encode()


def multipart(fields: dict[str, Any]) -> bytes:
    parts = (
        f'--XX\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        f"{value if isinstance(value, str) else json.dumps(value)}\r\n"
        for name, value in fields.items()
    )
    return ("".join(parts) + "--XX--\r\n").encode()


def one(received: Any, options: Any = True) -> Change:
    (change,), src = BaseHookHandler(None, options).getChanges(received)
    assert src is None
    assert isinstance(change, Change)
    return change


@pytest.mark.parametrize(
    "received",
    [
        delivery(form(EVERYTHING), content_type=FORM),
        delivery(b"", uri=b"/?" + form(EVERYTHING), content_type=None),
        delivery(b"", uri=b"/?" + form(EVERYTHING), method=b"GET", content_type=None),
        delivery(multipart(EVERYTHING), content_type=b"multipart/form-data; boundary=XX"),
        delivery(json.dumps(EVERYTHING).encode()),
        delivery(json.dumps(EVERYTHING).encode("utf-16"), content_type=b"application/json; charset=utf-16"),
    ],
    ids=["form", "query", "get", "multipart", "json", "utf-16"],
)
def test_every_field_in_every_form(received: Any) -> None:
    change = one(received).as_dict()
    assert {name: change[name] for name in EVERYTHING} == EVERYTHING
    assert change["src"] is None


def test_who_and_when_are_synonyms() -> None:
    change = one(delivery(b"who=Ann&when=1338350336", content_type=FORM))
    assert (change.author, change.when_timestamp) == ("Ann", 1338350336)
    change = one(delivery(b"who=Ann&author=Bob&when=1&when_timestamp=2", content_type=FORM))
    assert (change.author, change.when_timestamp) == ("Bob", 2)


@pytest.mark.parametrize(
    "when", ["1338350336", "1338350336.9", "2012-05-30T05:58:56+02:00", "2012-05-30 03:58:56"]
)
def test_when_is_an_epoch_or_iso_8601(when: str) -> None:
    assert one(delivery(form({"when": when}), content_type=FORM)).when_timestamp == 1338350336
    assert one(delivery(json.dumps({"when": when}).encode())).when_timestamp == 1338350336


def test_a_date_before_1970_is_one() -> None:
    """Mercurial and Subversion have them."""
    assert one(delivery(form({"when": "-86400"}), content_type=FORM)).when_timestamp == -86400
    assert one(delivery(json.dumps({"when": "1969-12-31"}).encode())).when_timestamp == -86400


@pytest.mark.parametrize("when", ["soon", "nan", "inf", "-1e30", "1e30", True, [], {"a": 1}])
def test_another_when_is_a_400_that_names_it(when: Any) -> None:
    with pytest.raises(BadPayload, match=r"^when: "):
        one(delivery(json.dumps({"when": when}).encode()))


@pytest.mark.parametrize("files", ["[1]", "{}", '"a"', "a", '["a"', '{"a": "b"}', '[["a"]]', "null"])
def test_files_are_a_list_of_strings_and_nothing_else(files: str) -> None:
    with pytest.raises(BadPayload, match=r"^files: "):
        one(delivery(form({"files": files}), content_type=FORM))


@pytest.mark.parametrize("properties", ["[]", "1", "x", "{", '[["a", 1]]'])
def test_properties_are_a_mapping(properties: str) -> None:
    with pytest.raises(BadPayload, match=r"^properties: "):
        one(delivery(form({"properties": properties}), content_type=FORM))


def test_properties_may_be_restricted() -> None:
    options = {"base_property_whitelist": ["ci.*"]}
    allowed = delivery(form({"properties": {"ci.x": 1}}), content_type=FORM)
    assert one(allowed, options).properties == {"ci.x": 1}
    with pytest.raises(BadPayload, match="base_property_whitelist"):
        one(delivery(form({"properties": {"ci.x": 1, "other": 2}}), content_type=FORM), options)


@pytest.mark.parametrize(
    "received",
    [
        delivery(b"", content_type=None),
        delivery(b"", uri=b"/?x=1", content_type=None),
        delivery(b"revision=&files=&properties=&when=&who=", content_type=FORM),
        delivery(b"x=1", content_type=FORM),
        delivery(b"{}"),
        delivery(b'{"revision": null, "files": [], "properties": {}}'),
    ],
)
def test_nothing_in_it_is_a_400(received: Any) -> None:
    with pytest.raises(BadPayload, match="the request is empty"):
        one(received)


@pytest.mark.parametrize(
    ("body", "named"), [(b'{"author": 5}', "author"), (b'{"who": []}', "who"), (b"[]", "object")]
)
def test_a_json_field_of_another_type_is_a_400_that_names_it(body: bytes, named: str) -> None:
    with pytest.raises(BadPayload, match=named):
        one(delivery(body))


def test_another_content_type_is_415() -> None:
    with pytest.raises(UnsupportedContentType):
        one(delivery(b"revision=1", content_type=b"text/plain"))
    with pytest.raises(UnsupportedContentType):
        one(delivery(b"revision=1", content_type=None))


def test_a_branch_is_wanted_by_its_whole_ref_too() -> None:
    for branch in ("main", "refs/heads/main"):
        assert (
            one(delivery(form({"branch": branch}), content_type=FORM), {"branches": ["main"]}).branch
            == branch
        )


def test_undecodable_bytes_are_replaced() -> None:
    assert one(delivery(b"comments=a%FFb", content_type=FORM)).comments == "a\ufffdb"


def test_project_and_codebase_of_the_url_win() -> None:
    body = b"revision=1&project=body&codebase=body"
    change = one(delivery(body, uri=b"/?project=url&codebase=url", content_type=FORM))
    assert (change.project, change.codebase) == ("url", "url")
    change = one(delivery(body, content_type=FORM), {"project": "option", "codebase": "option"})
    assert (change.project, change.codebase) == ("body", "body")
    change = one(delivery(b"revision=1", content_type=FORM), {"project": "option", "codebase": "option"})
    assert (change.project, change.codebase) == ("option", "option")


def test_get_is_taken_on_demand_only_and_never_with_a_secret() -> None:
    assert BaseHookHandler(None, True).methods == ("POST",)
    assert BaseHookHandler(None, {"allow_get": True}).methods == ("GET", "POST")
    assert BaseHookHandler(None, {"allow_get": True, "secret": "x"}).methods == ("POST",)


def signed(body: bytes, secret: bytes = b"s3cret", uri: bytes = b"/") -> Any:
    headers = {"X-Hub-Signature-256": sign_hmac(body, secret)}
    return delivery(body, uri=uri, content_type=FORM, headers=headers)


def test_with_a_secret_only_the_signed_body_is_read() -> None:
    change = one(signed(b"revision=1", uri=b"/?revision=2&branch=forged&project=url"), {"secret": "s3cret"})
    assert (change.revision, change.branch, change.project) == ("1", None, "")
    with pytest.raises(SignatureMismatch):
        one(signed(b"revision=1", b"other"), {"secret": "s3cret"})
    with pytest.raises(SignatureMissing):
        one(delivery(b"revision=1", content_type=FORM), {"secret": "s3cret"})


def test_the_secret_may_be_fetched() -> None:
    handler = BaseHookHandler(None, {"secret": lambda received: succeed("s3cret")})
    (change,), _ = result_of(handler.getChanges(signed(b"revision=1")))
    assert change.revision == "1"


def test_doubts_about_open_doors() -> None:
    assert len(check_options(BaseHookHandler, True)[1]) == 1
    assert check_options(BaseHookHandler, True, protected=True) == ([], [])
    assert check_options(BaseHookHandler, {"secret": "a long enough secret"}) == ([], [])
    assert len(check_options(BaseHookHandler, {"secret": "a long enough secret", "allow_get": True})[1]) == 1


def test_a_live_request_gives_plain_dicts() -> None:
    request = twisted_request(b"POST", b"/?revision=1&src=hg", {}, b"")
    (change,), src = BaseHookHandler(None, True).getChanges(request)
    assert change["revision"] == "1"
    assert (src, "src" in change) == ("hg", False)


@given(
    st.dictionaries(st.sampled_from([*EVERYTHING, "who", "when"]), st.text() | st.integers() | st.none()),
    st.booleans(),
)
def test_any_fields_give_a_change_or_a_bad_payload(fields: dict[str, Any], as_json: bool) -> None:
    texts = {name: str(value) for name, value in fields.items()}
    received = delivery(json.dumps(fields).encode()) if as_json else delivery(form(texts), content_type=FORM)
    try:
        one(received)
    except BadPayload as error:
        assert error.status == 400


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"skips": ["^WIP"]}, "skips"),
        ({"repositories": ["other"]}, "repositories"),
        ({"branches": ["other"]}, "branches"),
        ({"skips": ["^x"], "repositories": ["api"], "branches": ["m*"]}, ""),
    ],
)
def test_the_options_that_say_what_is_wanted(options: Any, reason: str) -> None:
    received = delivery(b"comments=WIP&project=api&branch=main", content_type=FORM)
    found, _ = BaseHookHandler(None, options).getChanges(received)
    assert len(found) == (0 if reason else 1)
    assert reason in found.reason


def test_a_field_that_no_change_can_have_is_a_400_that_names_it() -> None:
    nested = '{"x": ' + "[" * 100 + "]" * 100 + "}"
    with pytest.raises(BadPayload, match="properties"):
        one(delivery(json.dumps({"revision": "1", "properties": nested}).encode()))


def test_the_plus_of_an_offset_may_arrive_as_a_space() -> None:
    assert one(delivery(b"when=2024-05-01T10:00:00+02:00", content_type=FORM)).when_timestamp == 1714550400
    assert one(delivery(b"when=2024-05-01T10:00:00%2B02:00", content_type=FORM)).when_timestamp == 1714550400


def test_the_documented_payload_gives_the_documented_change() -> None:
    change = one(delivery((EXAMPLES / "base.json").read_bytes()))
    assert change.as_dict() == json.loads((EXAMPLES / "base.change.json").read_text("utf-8"))
