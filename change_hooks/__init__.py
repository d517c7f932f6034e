"""Receive the webhooks of code forges and commit hooks, and lose none."""

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
from change_hooks.dialects.event_handler import EventHandler, shaped
from change_hooks.dialects.handler import HookHandler
from change_hooks.interfaces import (
    IChangeSink,
    IDeliverySink,
    IHookHandler,
    IJournal,
    IPoller,
    SinkBusy,
    SinkError,
    SinkOutput,
    SinkRefused,
)
from change_hooks.journal import ChangeKey
from change_hooks.service import ChangeHookService, make_resource

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
