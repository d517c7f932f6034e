"""The options of ``generic``, and the look of its changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from change_hooks.core.options import ForgeOptions, option, text, texts
from change_hooks.core.select import matches
from change_hooks.core.style import Style
from change_hooks.dialects.generic import mapping
from change_hooks.dialects.generic.mapping import Mapper, Table
from change_hooks.dialects.generic.selectors import Selector, selector
from change_hooks.dialects.generic.senders import Token, Verifier, signature, token_in

#: The options that say where values are; they may contain functions.
MAPPING = ("event", "id", "repository", "refs", "commits", "change", "properties")


@dataclass(frozen=True)
class GenericOptions(ForgeOptions):
    """The options of ``generic``."""

    signature: Verifier | None = option(None, signature)
    token_in: Token | None = option(None, token_in)
    event: Selector | None = option(None, selector)
    id: Selector | None = option(None, selector)
    events: tuple[str, ...] | None = option(None, texts)
    ignore_events: tuple[str, ...] = option((), texts)
    repository: Table | None = option(None, mapping.repository)
    refs: Table | None = option(None, mapping.refs)
    commits: Table | None = option(None, mapping.commits)
    change: Table | None = option(None, mapping.change)
    properties: Table | None = option(None, mapping.properties)
    src: str = option("git", text)
    generic_property_whitelist: tuple[str, ...] = option((), texts)

    @property
    def way(self) -> Verifier | None:
        """How senders are verified; None: they are not."""
        return self.signature or self.token_in

    def refusal(self, event: str) -> str | None:
        """Why an event of this name gives no change; None: it may."""
        if matches(event, self.ignore_events):
            return "this event gives no change (option 'ignore_events')"
        if self.events is not None and not matches(event, self.events):
            return "the event matches none of the option 'events'"
        return None

    def mapper(self) -> Mapper:
        """The whole mapping."""
        return Mapper(self.refs, self.commits, self.repository, self.change, self.properties, self.src)


class UnnamedStyle(Style):
    """The look of changes when events have no names."""

    event_property = False


def has_callable(written: object) -> bool:
    """Whether what a user wrote contains a function, at any depth."""
    if isinstance(written, Mapping):
        return any(map(has_callable, (*written, *written.values())))
    if isinstance(written, (list, tuple)):
        return any(map(has_callable, written))
    return callable(written)


def contradictions(options: Mapping[str, Any]) -> list[str]:
    """Problems with the combination of these options."""
    problems: list[str] = []
    there = {name for name, value in options.items() if value is not None}
    ways = there & {"signature", "token_in"}
    if "secret" in there and not ways:
        problems.append("option 'secret' needs 'signature' or 'token_in'")
    if len(ways) == 2:
        problems.append("options 'signature' and 'token_in' exclude each other")
    if ways and "secret" not in there:
        problems.append(f"option {min(ways)!r} needs a 'secret'")
    if ("refs" in there) == ("change" in there):
        problems.append("exactly one of the options 'refs' and 'change' must say what to build")
    if "commits" in there and "refs" not in there:
        problems.append("option 'commits' needs 'refs'")
    return problems


__all__ = ["MAPPING", "GenericOptions", "UnnamedStyle", "contradictions", "has_callable"]
