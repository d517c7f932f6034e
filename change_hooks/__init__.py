"""Receive the webhooks of code forges and commit hooks, and lose none.

Strategy: names are imported on first use, so that a command or a commit hook loads only what it needs.
"""

from change_hooks.on_first_use import on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from change_hooks.core.change import Change
    from change_hooks.core.delivery import Delivery
    from change_hooks.core.errors import (
        BadPayload,
        ConfigurationError,
        DeliveryError,
        NotAuthenticated,
        SignatureMismatch,
        SignatureMissing,
        Unavailable,
        UnsupportedContentType,
    )
    from change_hooks.core.events import Comment, Commit, Ignored, Person, PullRequest, RefUpdate, Repository
    from change_hooks.core.options import ForgeOptions, option
    from change_hooks.core.payload import Shape
    from change_hooks.core.push import Push
    from change_hooks.core.sink_answers import SinkBusy, SinkError, SinkOutput, SinkRefused
    from change_hooks.dialects.event_handler import EventHandler
    from change_hooks.dialects.handler import HookHandler
    from change_hooks.dialects.methods import shaped
    from change_hooks.interfaces import IChangeSink, IDeliverySink, IHookHandler, IJournal, IPoller
    from change_hooks.journal import ChangeKey
    from change_hooks.plain import make_resource
    from change_hooks.service import ChangeHookService

__all__ = [
    "BadPayload",
    "Change",
    "ChangeHookService",
    "ChangeKey",
    "Comment",
    "Commit",
    "ConfigurationError",
    "Delivery",
    "DeliveryError",
    "EventHandler",
    "ForgeOptions",
    "HookHandler",
    "IChangeSink",
    "IDeliverySink",
    "IHookHandler",
    "IJournal",
    "IPoller",
    "Ignored",
    "NotAuthenticated",
    "Person",
    "PullRequest",
    "Push",
    "RefUpdate",
    "Repository",
    "Shape",
    "SignatureMismatch",
    "SignatureMissing",
    "SinkBusy",
    "SinkError",
    "SinkOutput",
    "SinkRefused",
    "Unavailable",
    "UnsupportedContentType",
    "make_resource",
    "option",
    "shaped",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "core.change": ("Change",),
        "core.delivery": ("Delivery",),
        "core.errors": (
            "BadPayload",
            "ConfigurationError",
            "DeliveryError",
            "NotAuthenticated",
            "SignatureMismatch",
            "SignatureMissing",
            "Unavailable",
            "UnsupportedContentType",
        ),
        "core.events": ("Comment", "Commit", "Ignored", "Person", "PullRequest", "RefUpdate", "Repository"),
        "core.options": ("ForgeOptions", "option"),
        "core.payload": ("Shape",),
        "core.push": ("Push",),
        "core.sink_answers": ("SinkBusy", "SinkError", "SinkOutput", "SinkRefused"),
        "dialects.event_handler": ("EventHandler",),
        "dialects.handler": ("HookHandler",),
        "dialects.methods": ("shaped",),
        "interfaces": ("IChangeSink", "IDeliverySink", "IHookHandler", "IJournal", "IPoller"),
        "journal": ("ChangeKey",),
        "plain": ("make_resource",),
        "service": ("ChangeHookService",),
    },
)
