"""Methods of Buildbot's handler classes that ours do not have, and what replaces each.

Strategy: if a class that was written for Buildbot overrides one of them, its method would silently be
ignored. So instantiating such a class is an error that names the replacement, unless the class itself calls
the method.
:mod:`change_hooks.upstream` has classes that call all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CodeType
from typing import Any

from change_hooks.core.errors import ConfigurationError

_PAYLOAD = "verify(delivery, secrets), or document(delivery)"
_WHITELIST = "property_source(event, payload), with the option {prefix}_property_whitelist"
_PROCESS = "event(delivery, document), or find(delivery)"
_PULLS = {
    "process": _PROCESS,
    "_get_payload": _PAYLOAD,
    "handle_pullrequest": "handle_pullrequest_created(payload, event) and its like, or the attribute style",
    "extractProperties": _WHITELIST.format(prefix="bitbucket"),
    "external_property_denylist": _WHITELIST.format(prefix="bitbucket"),
}
#: The replacements, by forge, and by the name of the method or attribute.
REPLACED: Mapping[str, Mapping[str, str]] = {
    "github": {
        "process": _PROCESS,
        "_get_payload": _PAYLOAD,
        "_process_change": "handle_push(payload, event)",
        "_get_commit_msg": "handle_pull_request(payload, event), with self.api, or completes_pulls = False",
        "_get_pr_files": "files(payload), or completes_pulls = False",
        "_has_skip": "the option skips, or handle_push(payload, event)",
        "extractProperties": _WHITELIST.format(prefix="github"),
        "external_property_denylist": _WHITELIST.format(prefix="github"),
    },
    "gitlab": {
        "_process_change": "handle_push(payload, event)",
        "_process_merge_request_change": "handle_merge_request(payload, event)",
        "_process_note_addition_to_merge_request": "handle_note(payload, event)",
    },
    "bitbucketcloud": _PULLS,
    "bitbucketserver": {
        **_PULLS,
        "_handle_repo_refs_changed_common": "handle_repo_refs_changed(payload, event)",
    },
    "gitorious": {"process_change": "handle_push(payload, event)"},
}


def refuse_unused(handler: type, forge: str) -> None:
    """Refuse a class with a method that nothing calls.

    :param forge: the name of its forge.
    :raises ConfigurationError: it has one; the message names the replacement.
    """
    replaced = REPLACED.get(forge, {})
    problems = [
        f"{handler.__qualname__}.{name} would never be called: use {replaced[name]} instead, or import the"
        " base class from change_hooks.upstream, whose classes call it"
        for name in replaced
        if hasattr(handler, name) and not _calls(handler, name)
    ]
    if problems:
        raise ConfigurationError(problems)


def _calls(handler: type, name: str) -> bool:
    """Whether another method of a user's class mentions *name*."""
    own = [cls for cls in handler.__mro__ if not cls.__module__.startswith("change_hooks.")]
    return any(mentions(value, name) for cls in own for other, value in vars(cls).items() if other != name)


def mentions(function: Any, name: str) -> bool:
    """Whether the code of a function, or of one inside it, uses an attribute or a variable *name*."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code: CodeType | None = getattr(function, "__code__", None)
    return code is not None and _looks_up(code, name)


def _looks_up(code: CodeType, name: str) -> bool:
    return name in code.co_names or any(
        _looks_up(inner, name) for inner in code.co_consts if isinstance(inner, CodeType)
    )


__all__ = ["REPLACED", "mentions", "refuse_unused"]
