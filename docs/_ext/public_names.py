"""Extends autodoc: the directives ``interface`` (for zope.interface) and ``public-names``, and the names of
interfaces in annotations.

``public-names`` refers to every public name of a module; with ``nitpicky``, an undocumented name is an error.
"""

from __future__ import annotations

import re
from importlib import import_module
from inspect import cleandoc, isclass
from textwrap import indent
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective
from zope.interface.interface import InterfaceClass, Method

INTERFACE = re.compile(r"<InterfaceClass ([\w.]+)>")


class Interface(SphinxDirective):
    """An interface with its methods and attributes, by its full name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Its nodes."""
        module, _, name = self.arguments[0].rpartition(".")
        interface = getattr(import_module(module), name)
        members = [_member(*each) for each in interface.namesAndDescriptions()]
        text = "\n\n".join([cleandoc(interface.getDoc()), *members])
        return self.parse_text_to_nodes(
            f".. py:class:: {name}\n   :module: {module}\n\n{indent(text, '   ')}\n"
        )


def _member(name: str, described: Any) -> str:
    kind, signature = (
        ("method", described.getSignatureString()) if isinstance(described, Method) else ("attribute", "")
    )
    return f".. py:{kind}:: {name}{signature}\n\n{indent(cleandoc(described.getDoc()), '   ')}"


class PublicNames(SphinxDirective):
    """A list of what ``from MODULE import …`` can import, each with a link."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Its nodes."""
        module = import_module(self.arguments[0])
        links = (f":py:obj:`{name} <{_place(module, name)}.{name}>`" for name in module.__all__)
        return self.parse_text_to_nodes(", ".join(links) + "\n")


def _place(module: Any, name: str) -> str:
    """The module under which a name is documented: a class under its own, everything else under *module*."""
    value = getattr(module, name)
    return str(value.__module__) if isclass(value) or isinstance(value, InterfaceClass) else module.__name__


def name_interfaces(app: Any, document: nodes.document) -> None:
    """Show an interface in an annotation by its name, and link it if it is the whole annotation."""
    for reference in document.findall(pending_xref):
        target = reference["reftarget"]
        if "<InterfaceClass " in target:
            reference["reftarget"] = re.sub(INTERFACE, r"\1", target).removesuffix(" | None")
            for text in list(reference.findall(nodes.Text)):
                text.parent.replace(text, nodes.Text(re.sub(INTERFACE, r"\1", text)))


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""
    app.add_directive("interface", Interface)
    app.add_directive("public-names", PublicNames)
    app.connect("doctree-read", name_interfaces)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
