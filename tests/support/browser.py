"""A real Chromium, and what looks at a page for people who do not see it."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .programs import program

AXE = "axe-core@4.14.1"


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@cache
def axe() -> str:
    """The script axe-core, from the npm registry."""
    with TemporaryDirectory() as folder:
        subprocess.run([program("npm"), "pack", AXE, "--silent"], cwd=folder, check=True, capture_output=True)
        (archive,) = Path(folder).glob("axe-core-*.tgz")
        with tarfile.open(archive) as packed:
            member = packed.extractfile("package/axe.min.js")
            assert member is not None
            return member.read().decode()


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong with a page."""
    page.evaluate(axe())
    found = page.evaluate("axe.run().then(found => found.violations)")
    return [f"{each['id']}: {each['help']}: {[node['html'] for node in each['nodes']][:3]}" for each in found]
