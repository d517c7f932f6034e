"""For tests of handlers, sinks and configurations: a complete receiver in memory, without sockets.

Strategy: nothing here has behaviour of its own. A delivery is signed by the dialect that verifies it, is
processed like every delivery, and is stored with the statements of the embedded journal. Only the clock, the
network and the disk are replaced.

The other names are imported on first use: the commands that simulate or capture a delivery need no receiver.
"""

from importlib import import_module

from change_hooks.testing.recorded import Recorded, in_short, recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from change_hooks.journal.in_memory import MemoryJournal
    from change_hooks.testing.receiver import Receiver, Result, Unsettled, handle, post
    from change_hooks.testing.requests import CONFIGURED, Payload, Secret, Sent, build, ed25519
    from change_hooks.testing.sinks import MemorySink

__all__ = [
    "CONFIGURED",
    "MemoryJournal",
    "MemorySink",
    "Payload",
    "Receiver",
    "Recorded",
    "Result",
    "Secret",
    "Sent",
    "Unsettled",
    "build",
    "ed25519",
    "handle",
    "in_short",
    "post",
    "recorded",
]

_MODULES = {
    "journal.in_memory": ("MemoryJournal",),
    "testing.receiver": ("Receiver", "Result", "Unsettled", "handle", "post"),
    "testing.requests": ("CONFIGURED", "Payload", "Secret", "Sent", "build", "ed25519"),
    "testing.sinks": ("MemorySink",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"change_hooks.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
