"""Receive what code forges, commit hooks and people have to say about commits."""

from change_hooks.core.change import Change, NoChange
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import ConfigurationError, DeliveryError
from change_hooks.core.push import Push
from change_hooks.dialects.handler import EventHandler, HookHandler
from change_hooks.interfaces import (
    IChangeSink,
    IDeliverySink,
    IHookHandler,
    IJournal,
    IPoller,
    SinkError,
    SinkOutput,
    SinkRefused,
)
from change_hooks.service import ChangeHookService, make_resource

__all__ = [
    "Change",
    "ChangeHookService",
    "ConfigurationError",
    "Delivery",
    "DeliveryError",
    "EventHandler",
    "HookHandler",
    "IChangeSink",
    "IDeliverySink",
    "IHookHandler",
    "IJournal",
    "IPoller",
    "NoChange",
    "Push",
    "SinkError",
    "SinkOutput",
    "SinkRefused",
    "make_resource",
]
