from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import change_hooks
import change_hooks.testing as testing


@pytest.mark.parametrize("package", [change_hooks, testing])
def test_every_name_is_there_and_no_other(package: Any) -> None:
    names = package.__all__
    assert {name for name in names if getattr(package, name, None) is None} == set()
    assert {*names, "__doc__"} <= set(dir(package))
    assert "nonsense" not in dir(package)
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nonsense'"):
        package.nonsense  # noqa: B018


def test_a_name_is_imported_once_and_when_it_is_used() -> None:
    code = """if True:
        import sys, change_hooks
        print("change_hooks.core.change" in sys.modules)
        change_hooks.Change
        print("Change" in vars(change_hooks))
    """
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\nTrue\n"
