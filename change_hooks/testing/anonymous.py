"""Real payloads without what is nobody's business: mail addresses, tokens and secrets are replaced.

Strategy: texts are replaced where they stand, so that everything else stays byte for byte, and the same text
by the same one everywhere, so that what belonged together still does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Stands for what was secret.
REMOVED = "removed"

_MAIL = re.compile(r"[\w.+%-]+@(?:[\w-]+\.)+[A-Za-z]{2,}")
#: The user of an SSH address is no person.
_NOBODY = frozenset({"git", "hg", "svn"})
#: How tokens of forges and clouds begin, and what web tokens look like.
_TOKENS = re.compile(
    r"\b(?:gh[opsur]_|github_pat_|gl[a-z]{2,8}-|xox[a-z]-|whsec_|AKIA|ATATT|ATCTT|ATBB|ya29\.)[\w.=-]{10,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
)
#: User and password in an address.
_PASSWORD = re.compile(r"(?<=://)[^/\s@\"]*:[^/\s@\"]+@")
#: The value of a field whose name says what it is, in JSON, and in a form or a query.
_SECRETIVE = r"[\w-]*(?:secret|token|passw(?:or)?d|api_?key|credential|signature)[\w-]*"
_FIELD = re.compile(rf'("{_SECRETIVE}"\s*:\s*)"(?:[^"\\]|\\.)+"', re.IGNORECASE)
_ARGUMENT = re.compile(rf"((?:^|[?&;]){_SECRETIVE}=)[^&;\s\"]+", re.IGNORECASE)


class Anonymous:
    """Replaces what a delivery tells of people and secrets.

    :param secrets: texts that are secret wherever they stand.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted(filter(None, set(secrets)), key=len, reverse=True)
        self._people: dict[str, str] = {}

    def text(self, text: str) -> str:
        """*text* without them."""
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
