"""The directive ``commands``: a section for each command of ``change-hooks``, generated from its help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from change_hooks.cli import main

NAME = "change-hooks"


def described(group: click.Group = main, parent: click.Context | None = None) -> Iterator[str]:
    """The sections of a group's commands, in Markdown; those of a nested group follow it."""
    context = click.Context(group, parent, NAME if parent is None else group.name, max_content_width=9999)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield _section(command, click.Context(command, context, name, max_content_width=9999))
        if isinstance(command, click.Group):
            yield from described(command, context)


def _section(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path.removeprefix(NAME).strip()}", f"```text\n{usage}\n```"]
    parts += map(_paragraph, (command.help or "").split("\n\n"))
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    records = filter(None, (each.get_help_record(context) for each in options))
    parts += [f"`{names}`\n: {_escaped(text)}" for names, text in records if "--help" not in names]
    return "\n\n".join(parts)


def _paragraph(text: str) -> str:
    if text.lstrip().startswith("\b"):
        return f"```sh\n{cleandoc(text.replace(chr(8), ''))}\n```"
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    """A text in Markdown, with the options in it as code."""
    marked = re.sub(r"([*_<`\[\]\\])", r"\\\1", text)
    return re.sub(r"(?<![\w-])--[a-z][a-z-]*", r"`\g<0>`", marked)


class Commands(SphinxDirective):
    """The sections of all commands."""

    def run(self) -> list[nodes.Node]:
        """Its nodes."""
        return self.parse_text_to_nodes("\n\n".join(described()), allow_section_headings=True)


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""
    app.add_directive("commands", Commands)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
