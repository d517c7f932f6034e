"""Anonymises real payloads: email addresses, tokens and secrets are replaced.

Strategy: texts are replaced in place, so that everything else stays the same byte for byte. Each text has the
same replacement everywhere, so that equal values stay equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: The replacement for secrets.
REMOVED = "removed"

_MAIL = re.compile(r"[\w.+%-]+@(?:[\w-]+\.)+[A-Za-z]{2,}")
#: The user of an SSH address is not a person.
_NOBODY = frozenset({"git", "hg", "svn"})
#: The prefixes of tokens of forges and clouds, and the form of web tokens.
_TOKENS = re.compile(
    r"\b(?:gh[opsur]_|github_pat_|gl[a-z]{2,8}-|xox[a-z]-|whsec_|AKIA|ATATT|ATCTT|ATBB|ya29\.)[\w.=-]{10,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
)
#: User and password in a URL.
_PASSWORD = re.compile(r"(?<=://)[^/\s@\"]*:[^/\s@\"]+@")
#: The value of a field whose name suggests a secret, in JSON, and in a form or a query.
_SECRETIVE = r"[\w-]*(?:secret|token|passw(?:or)?d|api_?key|credential|signature)[\w-]*"
_FIELD = re.compile(rf'("{_SECRETIVE}"\s*:\s*)"(?:[^"\\]|\\.)+"', re.IGNORECASE)
_ARGUMENT = re.compile(rf"((?:^|[?&;]){_SECRETIVE}=)[^&;\s\"]+", re.IGNORECASE)


class Anonymous:
    """Replaces personal data and secrets in deliveries.

    :param secrets: texts that are secret wherever they occur.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted(filter(None, set(secrets)), key=len, reverse=True)
        self._people: dict[str, str] = {}

    def text(self, text: str) -> str:
        """*text* without personal data and secrets."""
        for secret in self._secrets:
            text = text.replace(secret, REMOVED)
        text = _FIELD.sub(rf'\1"{REMOVED}"', text)
        text = _ARGUMENT.sub(rf"\1{REMOVED}", text)
        text = _TOKENS.sub(REMOVED, text)
        text = _PASSWORD.sub("", text)
        return _MAIL.sub(self._person, text)

    def _person(self, found: re.Match[str]) -> str:
        address = found[0]
        if address.partition("@")[0] in _NOBODY:
            return address
        return self._people.setdefault(address.lower(), f"person{len(self._people) + 1}@example.com")


__all__ = ["REMOVED", "Anonymous"]
