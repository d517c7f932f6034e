r"""The ``base`` dialect: a change described field by field.

For commit hooks, programs and people::

    curl -d revision=1c9f -d author='Ann <ann@example.com>' -d branch=main \
        -d comments='Fix it' -d 'files=["src/a.c"]' http://localhost:8010/change_hook/base

The fields come in the query, in a form body (urlencoded or multipart) or as one JSON object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from time import time
from typing import Any, ClassVar

from change_hooks.core.change import Change, InvalidChange, moment
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, UnsupportedContentType
from change_hooks.core.found import Found, about_change
from change_hooks.core.options import Options, flag, option, secret, skips, text, texts
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
from change_hooks.core.select import compile_skips, is_skipped, matches
from change_hooks.dialects.handler import Answer, HookHandler, Request, apart
from change_hooks.dialects.source import as_dicts
from change_hooks.flow import Steps, proceed

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


@dataclass(frozen=True)
class BaseOptions(Options):
    """What a user may write for ``base``."""

    secret: Any = option(None, secret)
    allow_get: bool = option(default=False, check=flag)
    codebase: str | None = option(None, text)
    project: str | None = option(None, text)
    skips: tuple[re.Pattern[str], ...] = option(compile_skips(()), skips)
    repositories: tuple[str, ...] | None = option(None, texts)
    branches: tuple[str, ...] | None = option(None, texts)
    base_property_whitelist: tuple[str, ...] | None = option(None, texts)


class BaseHookHandler(HookHandler[BaseOptions]):
    """Takes a change described field by field in the request.

    With a secret, the raw body is signed: ``X-Hub-Signature-256: sha256=<hexadecimal HMAC>``, and only
    the body's fields are read.
    """

    sender = "commit hooks, programs, people"
    verified_by = "HMAC-SHA256, or HTTP Basic"
    Options: ClassVar[type[Options] | None] = BaseOptions
    signature_header: ClassVar[str] = "X-Hub-Signature-256"
    headers = ()
    arguments = (*(name for names in TEXT_FIELDS.values() for name in names), *WHEN, "files", "properties")

    @property
    def methods(self) -> tuple[str, ...]:  # type: ignore[override]
        """GET only on demand, and never with a secret: there is no body to sign."""
        return ("GET", "POST") if self.settings.allow_get and not self.signed else ("POST",)

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn when anybody may send."""
        doubts = []
        if not (protected or options.get("secret")):
            doubts.append("accepts unauthenticated changes: set 'secret', or change_hook_auth")
        if options.get("secret") and options.get("allow_get"):
            doubts.append("'allow_get' has no effect with a 'secret': a GET has no body to sign")
        return doubts

    def getChanges(self, request: Request) -> Answer:
        """See :meth:`change_hooks.interfaces.IHookHandler.getChanges`."""
        if isinstance(request, Delivery):
            return proceed(self._way(request))
        return proceed(self._hosted(Delivery.from_request(request, received=time(), stored=self.stored())))

    def _hosted(self, delivery: Delivery) -> Steps[tuple[list[dict[str, Any]], str | None]]:
        found, src = yield from self._way(delivery)
        return as_dicts(found, src)

    def _way(self, delivery: Delivery) -> Steps[tuple[Found, str | None]]:
        delivery = yield from self.verified(delivery)
        change = yield apart(delivery, self._change, delivery)
        about = about_change(change)
        refused = self._refusal(change)
        return (Found([change], "", about) if refused is None else Found((), refused, about)), None

    def _refusal(self, change: Change) -> str | None:
        settings = self.settings
        if is_skipped(change.comments, settings.skips):
            return "the comments ask to skip it (option 'skips')"
        wanted = settings.repositories
        if wanted is not None and not (matches(change.repository, wanted) or matches(change.project, wanted)):
            return "the repository matches none of the option 'repositories'"
        if settings.branches is not None and not matches(change.branch, settings.branches):
            return "the branch matches none of the option 'branches'"
        return None

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
                "the request is empty; send at least one of "
                + ", ".join((*TEXT_FIELDS, "when_timestamp", "files", "properties"))
            )
        for name in ("project", "codebase"):
            # Nobody has signed the URL.
            in_url = None if self.signed else _query_text(delivery, name)
            chosen = in_url or change.get(name) or getattr(self.settings, name)
            if chosen:
                change[name] = chosen
        try:
            return Change(**change)
        except InvalidChange as error:
            raise BadPayload(str(error), error.field) from None

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


_SPACED_OFFSET = re.compile(r"(?<=:\d\d) (\d\d:?\d\d)$", re.ASCII)


def _when(value: Any, field: str) -> int:
    seconds: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str):
        seconds = _number(value)
        if seconds is None:
            # In a form, the plus of an offset arrives as a space, unless it was quoted.
            seconds = epoch(_SPACED_OFFSET.sub(r"+\1", value.strip()))
    known = None if seconds is None else moment(seconds)
    if known is None or known < 0:
        raise BadPayload("must be seconds since the epoch, or an ISO 8601 time", field)
    return known


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
