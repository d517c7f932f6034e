"""The requests of the senders on the page of the ``generic`` dialect, signed as their documentation says."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from runpy import run_path
from typing import Any
from urllib.parse import urlencode

FOLDER = Path(__file__).parents[3] / "docs" / "examples" / "generic"
SENDERS = sorted(path.stem for path in FOLDER.glob("*.py"))
#: When they are received, in seconds since the epoch.
NOW = 1795514400


def endpoint(name: str) -> dict[str, Any]:
    found: dict[str, Any] = run_path(str(FOLDER / f"{name}.py"))["endpoint"]
    return found


def request(name: str, document: bytes | None = None, at: int = NOW) -> tuple[bytes, dict[str, str], bytes]:
    """Body, headers and content type."""
    document = (FOLDER / f"{name}.json").read_bytes() if document is None else document
    secret, kind = endpoint(name)["secret"].encode(), b"application/json"
    if name == "slack":
        document, kind = urlencode({"payload": document}).encode(), b"application/x-www-form-urlencoded"

    def mac(message: bytes, algorithm: str = "sha256") -> str:
        return hmac.new(secret, message, getattr(hashlib, algorithm)).hexdigest()

    headers = {
        # Beside the signature stand one of an older scheme, and one with the secret that was replaced.
        "stripe": {"Stripe-Signature": f"t={at},v1={'0' * 64},v1={mac(b'%d.' % at + document)},v0=6ffbb59b"},
        "slack": {
            "X-Slack-Request-Timestamp": str(at),
            "X-Slack-Signature": "v0=" + mac(b"v0:%d:" % at + document),
        },
        "grafana": {
            "X-Grafana-Alerting-Timestamp": str(at),
            "X-Grafana-Alerting-Signature": mac(b"%d:" % at + document),
        },
        "allura": {"X-Allura-Signature": "sha1=" + mac(document, "sha1")},
        "rhodecode": {},
    }[name]
    return document, headers, kind
