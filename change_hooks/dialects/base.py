r"""The ``base`` dialect: a change spelled out in the arguments of a request.

For commit hooks, programs and people::

    curl -d revision=1c9f -d author='Ann <ann@example.com>' -d branch=main \
        -d comments='Fix it' -d 'files=["src/a.c"]' http://localhost:8010/change_hook/base

The fields come in the query, in a form body (urlencoded or multipart) or as one JSON object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any, ClassVar

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, UnsupportedContentType
from change_hooks.core.options import Options, flag, option, secret, text, texts
from change_hooks.core.payload import (
    FORM,
    MULTIPART,
    content_type,
    decode,
    epoch,
    expect_mapping,
    is_json,
    json_text,
)
from change_hooks.core.select import matches
from change_hooks.dialects.handler import Changes, HookHandler, as_dicts
from change_hooks.flow import then

#: The fields that hold text, by the names a sender may use; the first wins.
TEXT_FIELDS = {
    "author": ("author", "who"),
    "committer": ("committer",),
    "comments": ("comments",),
    "revision": ("revision",),
    "branch": ("branch",),
    "category": ("category",),
    "revlink": ("revlink",),
    "repository": ("repository",),
    "project": ("project",),
    "codebase": ("codebase",),
    "src": ("src",),
}
WHEN = ("when_timestamp", "when")
#: The latest time taken, the end of the year 9999: whatever is later is a mistake.
LATEST = 253_402_300_799


@dataclass(frozen=True)
class BaseOptions(Options):
    """What a user may write for ``base``."""

    secret: Any = option(None, secret)
    allow_get: bool = option(default=False, check=flag)
    codebase: str | None = option(None, text)
    project: str | None = option(None, text)
    base_property_whitelist: tuple[str, ...] | None = option(None, texts)


class BaseHookHandler(HookHandler):
    """Takes a change spelled out in the request.

    With a secret, the raw body is signed: ``X-Hub-Signature-256: sha256=<hexadecimal HMAC>``, and only
    the body's fields are read.
    """

    Options: ClassVar[type[Options] | None] = BaseOptions
    signature_header: ClassVar[str] = "X-Hub-Signature-256"

    @property
    def methods(self) -> tuple[str, ...]:  # type: ignore[override]
        """GET only on demand, and never with a secret: there is no body to sign."""
        return ("GET", "POST") if self.settings.allow_get and not self.signed else ("POST",)

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn when anybody may send."""
        doubts = []
        if not (protected or options.get("secret")):
            doubts.append("takes changes from anybody who can reach it: set 'secret', or change_hook_auth")
        if options.get("secret") and options.get("allow_get"):
            doubts.append("'allow_get' has no effect with a 'secret': a GET has no body to sign")
        return doubts

    def getChanges(self, request: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IHookHandler.getChanges`."""
        if isinstance(request, Delivery):
            return then(self.prove(request), partial(self._read, request))
        delivery = Delivery.from_request(request)
        return then(then(self.prove(delivery), partial(self._read, delivery)), as_dicts)

    def _read(self, delivery: Delivery, _: None) -> Changes:
        return [self._change(delivery)], None

    def _change(self, delivery: Delivery) -> Change:
        fields = self._fields(delivery)
        change: dict[str, Any] = {}
        for name, synonyms in TEXT_FIELDS.items():
            value = _first(fields, synonyms)
            if value is not None:
                change[name] = value
        for synonym in WHEN:
            if fields.get(synonym) not in (None, ""):
                change["when_timestamp"] = _when(fields[synonym], synonym)
                break
        if fields.get("files") not in (None, "", []):
            change["files"] = _files(fields["files"])
        if fields.get("properties") not in (None, "", {}):
            change["properties"] = self._properties(fields["properties"])
        if not change:
            raise BadPayload(
                "there is no change in it; send at least one of "
                + ", ".join((*TEXT_FIELDS, "when_timestamp", "files", "properties"))
            )
        for name in ("project", "codebase"):
            chosen = _query_text(delivery, name) or change.get(name) or getattr(self.settings, name)
            if chosen:
                change[name] = chosen
        return Change(**change)

    def _fields(self, delivery: Delivery) -> Mapping[str, Any]:
        kind, _ = content_type(delivery)
        if is_json(kind):
            return expect_mapping(decode(json_text(delivery, form=False), Any))
        if delivery.body and kind not in (FORM, MULTIPART):
            raise UnsupportedContentType(f"the content type must be {FORM}, {MULTIPART} or application/json")
        args = delivery.form if self.signed else delivery.args
        return {
            name.decode("utf-8", "replace"): values[0].decode("utf-8", "replace")
            for name, values in args.items()
            if values
        }

    def _properties(self, value: Any) -> dict[str, Any]:
        properties = _from_json(value, "properties")
        if not isinstance(properties, dict):
            raise BadPayload("must be a JSON object", "properties")
        listed = self.settings.base_property_whitelist
        if listed is not None:
            for name in properties:
                if not matches(name, listed):
                    raise BadPayload(
                        "holds a name that the option 'base_property_whitelist' does not list", "properties"
                    )
        return properties


def _when(value: Any, field: str) -> int:
    seconds: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str):
        seconds = _number(value)
        if seconds is None:
            seconds = epoch(value.strip())
    if seconds is None or not isfinite(seconds) or not 0 <= seconds <= LATEST:
        raise BadPayload("must be seconds since the epoch, or an ISO 8601 time", field)
    return int(seconds)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = fields.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise BadPayload("must be text", name)
        return value
    return None


def _from_json(value: Any, field: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return decode(value.encode("utf-8", "replace"), Any)
    except BadPayload as error:
        raise BadPayload(error.message.replace("the body", "the value"), field) from None


def _files(value: Any) -> list[str]:
    files = _from_json(value, "files")
    if not isinstance(files, list) or not all(isinstance(path, str) for path in files):
        raise BadPayload('must be a JSON list of strings, for instance ["src/a.c"]', "files")
    return files


def _query_text(delivery: Delivery, name: str) -> str | None:
    values = delivery.query.get(name.encode("ascii"))
    return values[0].decode("utf-8", "replace") if values else None


__all__ = ["BaseHookHandler", "BaseOptions"]
