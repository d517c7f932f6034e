"""Where changes go: a program per change, another web server, or whatever you write."""

from __future__ import annotations

from change_hooks.sinks.command import Command
from change_hooks.sinks.http import Http

__all__ = ["Command", "Http"]
