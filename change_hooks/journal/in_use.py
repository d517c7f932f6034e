"""Which services of this process use which journal."""

from __future__ import annotations

import gc
from pathlib import Path
from weakref import WeakValueDictionary

from change_hooks.core.errors import ConfigurationError
from change_hooks.journal.address import Address, shown

_users: WeakValueDictionary[tuple[Address, str], object] = WeakValueDictionary()


def use(address: Address, name: str, user: object) -> None:
    """Say that *user* uses a journal under a name, until :func:`leave`, or until nobody knows it any more.

    :raises ConfigurationError: another one does.
    """
    place = _place(address, name)
    if _users.get(place, user) is not user:
        gc.collect()  # Who is not known any more may still be there.
    if _users.setdefault(place, user) is not user:
        raise ConfigurationError(
            [
                f"change_hook_journal: {shown(address)} is in use by another ChangeHookService"
                f"{f' called {name!r}' if name else ''} of this process; give this one a "
                "name of its own (name='...')"
            ]
        )


def leave(address: Address, name: str, user: object) -> None:
    """Say that *user* uses it no more."""
    place = _place(address, name)
    if _users.get(place) is user:
        del _users[place]


def _place(address: Address, name: str) -> tuple[Address, str]:
    return (address.resolve() if isinstance(address, Path) else address), name


__all__ = ["leave", "use"]
