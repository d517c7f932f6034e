r"""The ``base`` dialect: a change described field by field.

For commit hooks, programs and people::

    curl -d revision=1c9f -d author='Ann <ann@example.com>' -d branch=main \
        -d comments='Fix it' -d 'files=["src/a.c"]' http://localhost:8010/change_hook/base

The fields are sent in the query, in a form body (urlencoded or multipart) or as one JSON object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from time import time
from typing import Any, ClassVar

from change_hooks.core.change import Change, InvalidChange
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.found import Found, about_change
from change_hooks.core.options import Options, flag, option, secret, skips, text, texts
from change_hooks.core.select import compile_skips
from change_hooks.core.verdicts import refusal_of_change
from change_hooks.dialects.base_fields import TEXT_FIELDS, WHEN, change_fields, fields_of
from change_hooks.dialects.handler import Answer, HookHandler, Request, apart
from change_hooks.dialects.source import as_dicts
from change_hooks.flow import Steps, proceed


@dataclass(frozen=True)
class BaseOptions(Options):
    """The options of ``base``."""

    secret: Any = option(None, secret)
    allow_get: bool = option(default=False, check=flag)
    codebase: str | None = option(None, text)
    project: str | None = option(None, text)
    skips: tuple[re.Pattern[str], ...] = option(compile_skips(()), skips)
    repositories: tuple[str, ...] | None = option(None, texts)
    branches: tuple[str, ...] | None = option(None, texts)
    base_property_whitelist: tuple[str, ...] | None = option(None, texts)


class BaseHookHandler(HookHandler[BaseOptions]):
    """Handles a change that the request describes field by field.

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
        """GET only if the options allow it, and never with a secret: there is no body to sign."""
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
        refused = refusal_of_change(change, self.settings)
        return (Found([change], "", about) if refused is None else Found((), refused, about)), None

    def _change(self, delivery: Delivery) -> Change:
        fields = fields_of(delivery, body_alone=self.signed)
        change = change_fields(fields, self.settings.base_property_whitelist)
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


def _query_text(delivery: Delivery, name: str) -> str | None:
    values = delivery.query.get(name.encode("ascii"))
    return values[0].decode("utf-8", "replace") if values else None


__all__ = ["BaseHookHandler", "BaseOptions"]
