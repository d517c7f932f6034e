"""The core is sans-I/O: no reactor, no socket, no clock, not even by way of what it imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import change_hooks.core

MODULES = sorted(Path(change_hooks.core.__file__).parent.glob("*.py"))


def imported(path: Path) -> set[str]:
    """All modules that a module imports, wherever in it, but for those that only type checkers see."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_the_core_imports_nothing_of_ours_outside_itself() -> None:
    ours = {name for path in MODULES for name in imported(path) if name.startswith("change_hooks")}
    assert all(name.startswith("change_hooks.core") for name in ours)


def test_what_the_core_imports_of_twisted_needs_no_reactor() -> None:
    names = sorted(name for path in MODULES for name in imported(path) if name.partition(".")[0] == "twisted")
    program = f"import sys, {', '.join(names)}; sys.exit('twisted.internet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
