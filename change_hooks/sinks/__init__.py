"""Where changes go: a program, another web server, a message broker, or a sink of your own."""

from __future__ import annotations

from change_hooks.sinks.command import Command
from change_hooks.sinks.http import Http

__all__ = ["Command", "Http"]
