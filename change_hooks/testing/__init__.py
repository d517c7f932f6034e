"""For tests of handlers, sinks and configurations: a complete receiver in memory, without sockets.

Strategy: nothing here has behaviour of its own. A delivery is signed by the dialect that verifies it, is
processed like every delivery, and is stored with the statements of the embedded journal. Only the clock, the
network and the disk are replaced.

The other names are imported on first use: the commands that simulate or capture a delivery need no receiver.
"""

from change_hooks.on_first_use import on_first_use
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

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "journal.in_memory": ("MemoryJournal",),
        "testing.receiver": ("Receiver", "Result", "Unsettled", "handle", "post"),
        "testing.requests": ("CONFIGURED", "Payload", "Secret", "Sent", "build", "ed25519"),
        "testing.sinks": ("MemorySink",),
    },
)
