"""Tokens for a forge's API: a fixed one, one that a callable returns, or those of a GitHub App.

Source: GitHub, "Generating a JSON Web Token (JWT) for a GitHub App", "Generating an installation access
token for a GitHub App".
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.internet.defer import Deferred, succeed

from change_hooks.core.payload import epoch
from change_hooks.flow import as_deferred
from change_hooks.forges.client import Rest
from change_hooks.forges.rest import Authorization, RestError, Subject
from change_hooks.forges.segments import names

#: How long a JSON Web Token is valid, and how far back its validity begins because clocks differ, in seconds.
JWT_LIFE, JWT_BACK = 540, 60
#: The part of an installation token's life after which a new one is fetched.
USED = 0.8
#: How many installation tokens are kept.
KEPT = 256

Scheme = Callable[[str], Mapping[str, str]]


def bearer(token: str) -> Mapping[str, str]:
    """``Authorization: Bearer``."""
    return {"authorization": f"Bearer {token}"}


def token_scheme(token: str) -> Mapping[str, str]:
    """``Authorization: token``, as GitHub and Gitea expect it."""
    return {"authorization": f"token {token}"}


def private_token(token: str) -> Mapping[str, str]:
    """``PRIVATE-TOKEN``, as GitLab expects it."""
    return {"private-token": token}


def basic(token: str) -> Mapping[str, str]:
    """Basic credentials, from ``user:token``."""
    return {"authorization": "Basic " + b64encode(token.encode()).decode()}


def basic_or_bearer(token: str) -> Mapping[str, str]:
    """Basic credentials from ``user:token``; a bearer token if there is no user."""
    return basic(token) if ":" in token else bearer(token)


def basic_without_user(token: str) -> Mapping[str, str]:
    """Basic credentials with a personal access token and any user, as Azure DevOps expects them."""
    return basic(token if ":" in token else f":{token}")


class GivenToken:
    """A token that is configured, or that a callable returns.

    :param token: a str; or a callable that gets a mapping with the repository's ``full_name`` and, if known,
        ``installation``, and returns the token, a Deferred or a coroutine.
    """

    def __init__(self, token: str | Callable[[Mapping[str, str]], Any], scheme: Scheme) -> None:
        self._token = token
        self._scheme = scheme

    async def headers(self, subject: Subject) -> Mapping[str, str]:
        """See :meth:`Authorization.headers`."""
        token: Any = self._token
        if callable(token):
            about = {"full_name": subject.repository}
            if subject.installation is not None:
                about["installation"] = subject.installation
            try:
                token = await as_deferred(token(about))
            except Exception as error:
                raise RestError(f"the option 'token' failed: {type(error).__name__}", 401) from error
        return self._scheme(token) if token else {}

    def refused(self, subject: Subject) -> bool:
        """Nothing else can be tried."""
        return False

    def __repr__(self) -> str:
        return "<GivenToken>"


class _Kept(msgspec.Struct, frozen=True):
    token: str
    until: float


class AppToken:
    """The installation tokens of a GitHub App: fetched on demand, and again before they expire.

    :param app: the App's id, or its client id.
    :param key: the App's private key in PEM format.
    :raises ValueError: *key* is not an RSA key.
    """

    def __init__(self, app: str, key: bytes, base: str, http: Any, clock: Any) -> None:
        self.as_app = AppItself(app, key, clock)
        self._clock = clock
        self._rest = Rest(base, http, clock, authorization=self.as_app, accept="application/vnd.github+json")
        self._kept: dict[Subject, _Kept] = {}
        self._fetching: dict[Subject, Deferred[None]] = {}

    async def headers(self, subject: Subject) -> Mapping[str, str]:
        """See :meth:`Authorization.headers`."""
        kept = self._kept.get(_key(subject))
        if kept is None or kept.until <= self._clock.seconds():
            kept = await self._fetch(subject)
        return bearer(kept.token)

    def refused(self, subject: Subject) -> bool:
        """A new token may be accepted."""
        return self._kept.pop(_key(subject), None) is not None

    async def _fetch(self, subject: Subject) -> _Kept:
        key = _key(subject)
        while key in self._fetching:
            await _follow(self._fetching[key])
            if key in self._kept:
                return self._kept[key]
        waiting = self._fetching[key] = Deferred()
        try:
            return await self._new(subject)
        finally:
            del self._fetching[key]
            waiting.callback(None)

    async def _new(self, subject: Subject) -> _Kept:
        installation = subject.installation
        if installation is None:
            owner = ("repos", *names(subject.repository)) if subject.repository else _organization(subject)
            found = await self._rest.get(*owner, "installation")
            installation = str(_field(found.value, "id"))
        made = await self._rest.send("POST", "app", "installations", installation, "access_tokens")
        now: float = self._clock.seconds()
        expires = epoch(str(_field(made.value, "expires_at"))) or now
        kept = _Kept(str(_field(made.value, "token")), now + (expires - now) * USED)
        if len(self._kept) >= KEPT:
            self._kept.clear()
        self._kept[_key(subject)] = kept
        return kept

    def __repr__(self) -> str:
        return "<AppToken>"


class AppItself:
    """A GitHub App as itself: for its own webhook, and to get tokens."""

    def __init__(self, app: str, key: bytes, clock: Any) -> None:
        loaded = load_pem_private_key(key, None)
        if not isinstance(loaded, RSAPrivateKey):
            raise ValueError("the key of a GitHub App must be an RSA key in PEM")
        self._app = app
        self._key = loaded
        self._clock = clock

    async def headers(self, subject: Subject) -> Mapping[str, str]:
        """See :meth:`Authorization.headers`."""
        now = int(self._clock.seconds())
        claims = {"iat": now - JWT_BACK, "exp": now + JWT_LIFE, "iss": self._app}
        text = f"{_url_text({'alg': 'RS256', 'typ': 'JWT'})}.{_url_text(claims)}"
        signature = self._key.sign(text.encode(), PKCS1v15(), SHA256())
        return bearer(f"{text}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}")

    def refused(self, subject: Subject) -> bool:
        """Nothing else can be tried."""
        return False

    def __repr__(self) -> str:
        return "<AppItself>"


def _key(subject: Subject) -> Subject:
    """The key under which a token is kept: an installation has one token for all its repositories."""
    return subject if subject.installation is None else Subject("", subject.installation)


def _follow(other: Deferred[None]) -> Deferred[None]:
    """A Deferred that fires when *other* does, and can be cancelled without cancelling *other*."""
    mine: Deferred[None] = Deferred()

    def fired(result: None) -> Deferred[None]:
        if not mine.called:
            mine.callback(None)
        return succeed(result)

    other.addCallback(fired)
    return mine


def _organization(subject: Subject) -> tuple[str, ...]:
    return "orgs", *names(subject.organization, 1)


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping) or value.get(name) in (None, ""):
        raise RestError("the response to the request for the App's token is incomplete", 200)
    return value[name]


def _url_text(claims: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=").decode()


def authorization(
    token: Any, scheme: Scheme, base: str, http: Any, clock: Any
) -> GivenToken | AppToken | None:
    """The authorization that the option ``token`` asks for.

    :param token: None, a str, a callable, or ``{'app': id, 'key': PEM}``.
    :raises ValueError: an App's key is not an RSA key.
    """
    if not token:
        return None
    if isinstance(token, Mapping):
        key = token["key"]
        return AppToken(str(token["app"]), key.encode() if isinstance(key, str) else key, base, http, clock)
    return GivenToken(token, scheme)


__all__ = [
    "AppItself",
    "AppToken",
    "Authorization",
    "GivenToken",
    "authorization",
    "basic",
    "basic_or_bearer",
    "basic_without_user",
    "bearer",
    "private_token",
    "token_scheme",
]
