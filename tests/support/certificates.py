"""Certificates for a test."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID


def certificate(days: int, now: float) -> x509.Certificate:
    """One that ends in so many days.

    :param now: seconds since the epoch.
    """
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ci.example.com")])
    at = datetime.fromtimestamp(now, timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=400))
        .not_valid_after(at + timedelta(days=days, hours=1))
        .sign(key, SHA256())
    )
