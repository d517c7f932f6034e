"""What an operator or a sender may read, found in the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import change_hooks
from change_hooks.core import errors

SOURCE = Path(change_hooks.__file__).parent
#: What a person at a terminal reads who started a command; tests; and the words of Buildbot's own handlers.
ELSEWHERE = ("cli", "testing", "upstream", "recorded")
LOGGED = ("warn", "error", "failure", "critical")
REFUSALS = {name for name in errors.__all__ if name != "ConfigurationError"}
REPORTS = ("report", "unless_away")
DOUBTS = ("warnings", "doubts")


def shown(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may give, with an ellipsis for what varies."""
    if isinstance(node, ast.IfExp):
        yield from shown(node.body)
        yield from shown(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        yield "".join(map(str, parts))
    elif isinstance(node, ast.BinOp):
        yield from (left + right for left in shown(node.left) for right in shown(node.right))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        yield "…"


def formatted(text: str) -> str:
    """A format of a log line, with an ellipsis for each field."""
    return re.sub(r"\{[^{}]*\}", "…", text.partition("\n")[0])


def name_of(function: ast.expr) -> str:
    return getattr(function, "id", None) or getattr(function, "attr", "")


class Finder(ast.NodeVisitor):
    """Collects the texts of one module, by their kind: ``log``, ``incident``, ``answer``, ``doubt``."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: set[tuple[str, str]] = set()
        self._named: dict[str, list[ast.expr]] = {}
        self._class = ""
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._named.setdefault(node.targets[0].id, []).append(node.value)
        self.visit(tree)

    def _add(self, kind: str, node: ast.expr) -> None:
        for value in self._named.get(node.id, [node]) if isinstance(node, ast.Name) else [node]:
            self.found.update((kind, text) for text in shown(value))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        before, self._class = self._class, node.name
        self.generic_visit(node)
        self._class = before

    def visit_Call(self, node: ast.Call) -> None:
        name = name_of(node.func)
        owner = name_of(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if node.args:
            text = node.args[0]
            if owner == "log" and name in LOGGED:
                self._add("log", text)
            elif name in REPORTS:
                self._add("incident", text)
            elif name in REFUSALS or (name == "Ignored") or (name == "__init__" and self._class in REFUSALS):
                self._add("answer", text)
            elif name == "append" and owner in DOUBTS:
                self._add("doubt", text)
        for function, text in pairwise(node.args):
            if name_of(function) in REPORTS:
                self._add("incident", text)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for each in ast.walk(node):
            if isinstance(each, ast.Return) and each.value is not None:
                said = str(getattr(each.value, "value", ""))
                if node.name.startswith("refuse_") or "(option '" in said or "the option '" in said:
                    self._add("answer", each.value)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        named = name_of(node.targets[0])
        if isinstance(node.value, ast.Constant) and (
            "option '" in str(node.value.value) or named.startswith("NOT_ON_")
        ):
            self._add("answer", node.value)
        self._doubts(named, node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._doubts(name_of(node.target), node.value)
        self.generic_visit(node)

    def _doubts(self, named: str, value: ast.expr) -> None:
        if named in DOUBTS and isinstance(value, ast.ListComp):
            self._add("doubt", value.elt)


@cache
def messages() -> dict[str, set[str]]:
    """All of them, by their kind."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if path.relative_to(SOURCE).parts[0] in ELSEWHERE:
            continue
        for kind, text in Finder(ast.parse(path.read_text())).found:
            shortened = re.sub(r"…(\W?…)+", "…", formatted(text) if kind == "log" else text)
            if re.search(r"\w{3}", shortened):
                found.setdefault(kind, set()).add(shortened)
    return found


__all__ = ["messages"]
