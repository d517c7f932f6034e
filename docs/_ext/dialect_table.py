"""The directive ``dialect-table``: all dialects that this package registers, one row for each class.

The rows are generated from the entry points; a class declares its sender and how that is verified
(:attr:`~change_hooks.dialects.handler.HookHandler.sender`,
:attr:`~change_hooks.dialects.handler.HookHandler.verified_by`).
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

GROUP = "change_hooks.dialects"


class Row(NamedTuple):
    """A class, with all the names under which it is registered.

    :param page: the name of its page.
    """

    names: tuple[str, ...]
    page: str
    sender: str
    verified_by: str


def rows(folder: Path) -> list[Row]:
    """The rows, by name.

    :param folder: where the pages are.
    :raises LookupError: a dialect has no page.
    """
    names: dict[Any, list[str]] = {}
    for entry in sorted(distribution("change-hooks").entry_points.select(group=GROUP), key=lambda e: e.name):
        names.setdefault(entry.load(), []).append(entry.name)
    found = []
    for handler, aliases in names.items():
        pages = [name for name in aliases if (folder / f"{name}.md").exists()]
        if not pages:
            raise LookupError(f"the dialect {aliases[0]} has no page in {folder}")
        found.append(Row(tuple(aliases), pages[0], handler.sender, handler.verified_by))
    return found


class DialectTable(SphinxDirective):
    """A table with a link to each dialect's page."""

    def run(self) -> list[nodes.Node]:
        """Its nodes."""
        source = Path(self.get_source_info()[0])
        head = "| dialect | sent by | verified by |\n| --- | --- | --- |\n"
        lines = []
        for row in rows(source.parent):
            names = ", ".join(f"[{name}]({row.page}.md)" for name in row.names)
            lines.append(f"| {names} | {row.sender} | {row.verified_by} |")
        return self.parse_text_to_nodes(head + "\n".join(lines) + "\n")


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""
    app.add_directive("dialect-table", DialectTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
