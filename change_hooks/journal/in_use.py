"""Records which services of this process use which journal."""

from __future__ import annotations

import gc
from pathlib import Path
from weakref import WeakValueDictionary

from change_hooks.core.errors import ConfigurationError
from change_hooks.journal.address import Address, shown

_users: WeakValueDictionary[tuple[Address, str], object] = WeakValueDictionary()


def use(address: Address, name: str, user: object) -> None:
    """Record that *user* uses a journal under a name, until :func:`leave` or until *user* is deleted.

    :raises ConfigurationError: another service does.
    """
    place = _place(address, name)
    if _users.get(place, user) is not user:
        gc.collect()  # Unreferenced users may not have been collected yet.
    if _users.setdefault(place, user) is not user:
        raise ConfigurationError(
            [
                f"change_hook_journal: {shown(address)} is in use by another ChangeHookService"
                f"{f' called {name!r}' if name else ''} of this process; give this one a "
                "name of its own (name='...')"
            ]
        )


def leave(address: Address, name: str, user: object) -> None:
    """Record that *user* no longer uses the journal."""
    place = _place(address, name)
    if _users.get(place) is user:
        del _users[place]


def _place(address: Address, name: str) -> tuple[Address, str]:
    return (address.resolve() if isinstance(address, Path) else address), name


__all__ = ["leave", "use"]
