"""The body of a delivery is decoded once, whoever asks for what stands in it, and not before it is verified."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.defer import maybeDeferred

from change_hooks.core import payload
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import DeliveryError
from change_hooks.core.pieces import decoder_for
from change_hooks.flow import proceed
from change_hooks.testing import Recorded
from tests.conftest import result_of
from tests.support.recorded import handler_class, load, recorded

NAMES = [each.name for each in recorded()]
SECRET = "a long enough secret"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
#: Options without which a secret is refused.
MORE: dict[str, dict[str, Any]] = {
    "launchpad": {"allow_sha1": True},
    "generic": {"signature": {"header": "X-Signature"}},
    "sourcehut": {"public_key": b64encode(KEY.public_key().public_bytes_raw()).decode()},
}


class Decoded:
    """Every document that was decoded as a whole, with what it was decoded to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shapes: list[Any] = []
        monkeypatch.setattr(payload, "decoder_for", self)

    def __call__(self, shape: Any) -> Any:
        self._shape = shape
        return self

    def decode(self, text: bytes) -> Any:
        found = decoder_for(self._shape).decode(text)
        self.shapes.append(self._shape)
        return found


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    return Decoded(monkeypatch)


def signed(handler: Any, each: Recorded) -> Delivery:
    sent = each.delivery().replace(verification=None)
    if each.dialect != "sourcehut":
        return handler.sign(sent, SECRET.encode())
    nonce = "0123456789abcdef"
    signature = b64encode(KEY.sign(sent.body + nonce.encode())).decode()
    return sent.replace(headers={"X-Payload-Nonce": nonce, "X-Payload-Signature": signature})


def with_secret(each: Recorded) -> dict[str, Any]:
    options = {"look_up": False, **each.options, **MORE.get(each.dialect, {})}
    if each.dialect != "sourcehut":
        options["secret"] = SECRET
    if options.get("token_in"):
        del options["signature"]
    return options


def all_of_the_way(handler: Any, sent: Delivery) -> Any:
    """What becomes of a delivery, as an endpoint does it."""
    verified = proceed(handler.verified(sent))
    named = verified.replace(id=result_of(maybeDeferred(handler.identified, verified)))
    return result_of(maybeDeferred(handler.getChanges, named))


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("looks", [False, True], ids=["", "looked-into"])
@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_delivery_is_decoded_once(name: str, looks: bool, decoded: Decoded) -> None:
    each = load(name)
    options = with_secret(each)
    forge = handler_class(each.dialect).prefix or handler_class(each.dialect).forge
    if looks:
        options[f"{forge}_property_whitelist"] = [f"{forge}.*"]
        options["project"] = lambda found: str(len(found))
    handler = handler_class(each.dialect)(None, options)
    sent = signed(handler, each)
    decoded.shapes.clear()
    try:
        found, _ = all_of_the_way(handler, sent)
    except DeliveryError:
        found = []
    # What its headers say is not handled is not decoded at all.
    assert len(decoded.shapes) in ((1,) if found else (0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_verified_is_not_verified_again(name: str) -> None:
    each = load(name)
    handler = handler_class(each.dialect)(None, with_secret(each))
    seen = each.delivery().replace(verification="password")
    assert proceed(handler.verified(seen)) is seen
