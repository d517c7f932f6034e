"""Labels the cells of narrow tables, which become lists on a phone. Wide screens hide the labels.

A table with more columns stays a table, which scrolls.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes

MOST_COLUMNS = 4


def label(app: Any, document: nodes.document) -> None:
    """Add the names of the columns to the cells, and a class to the table."""
    if app.builder.format != "html":
        return
    for table in document.findall(nodes.table):
        head = next(table.findall(nodes.thead), None)
        body = next(table.findall(nodes.tbody), None)
        if head is None or body is None:
            continue
        names = [entry.astext() for entry in head.findall(nodes.entry)]
        if len(names) > MOST_COLUMNS:
            continue
        table["classes"].append("few-columns")
        for row in body.findall(nodes.row):
            for name, entry in list(zip(names, row.findall(nodes.entry), strict=True))[1:]:
                paragraph = next(entry.findall(nodes.paragraph), None)
                if paragraph is None or not paragraph.astext():
                    entry["classes"].append("nothing")
                elif name and len(names) > 2:
                    paragraph.insert(0, nodes.inline("", f"{name}: ", classes=["column-label"]))


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("doctree-resolved", lambda app, document, name: label(app, document))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
