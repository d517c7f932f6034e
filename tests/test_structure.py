"""The page on the architecture names every layer, in the order that is checked; modules are short, and tests use no
other tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import change_hooks

TESTS = Path(__file__).parent
ROOT = TESTS.parent
#: Lines that a module may have.
LONGEST = 400


def test_the_page_on_the_architecture_names_every_layer_in_order() -> None:
    (written,) = re.findall(r"^layers = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    layers = re.findall(r'"(\w+)"', written)
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text().partition("## The layers")[2]
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == layers
    package = Path(change_hooks.__file__).parent
    modules = {path.stem for path in package.glob("[!_]*.py")}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    assert modules | packages == set(layers)


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_nothing_is_imported_from_a_test_module_and_nothing_private_from_ours(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            assert not any(name.startswith("test_") for name in names), f"line {node.lineno}"
            ours = (node.module or "").startswith("change_hooks")
            assert not (ours and any(re.match("_[a-z]", name) for name in names)), f"line {node.lineno}"


def test_no_module_is_too_long_to_be_read_at_once() -> None:
    lengths = {
        path: len(path.read_text().splitlines()) for path in Path(change_hooks.__file__).parent.rglob("*.py")
    }
    assert {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > LONGEST} == {}


def imported(node: ast.AST) -> Iterator[str]:
    """The names that a module imports, also within functions, but for those that only types need."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom) and child.module:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from imported(child)


def test_no_module_imports_itself_by_way_of_others() -> None:
    package = Path(change_hooks.__file__).parent
    modules = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts): path
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }
    uses = {name: {*imported(ast.parse(path.read_text()))} & modules.keys() for name, path in modules.items()}
    assert any(uses.values())
    assert list(TopologicalSorter(uses).static_order())
