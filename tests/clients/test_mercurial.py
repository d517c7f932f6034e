from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from change_hooks.clients import mercurial
from change_hooks.clients.mercurial import Poster, Refused


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://", "http://x:port/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="not the address"):
        Poster(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("localhost:8010/change_hook/base", "http://localhost:8010/change_hook/base"),
        ("https://ann:s3cret@build.example.com/x?project=a", "https://build.example.com/x"),
    ],
)
def test_an_address_is_shown_without_a_password(url: str, shown: str) -> None:
    assert Poster(url).url == shown


def test_it_stands_alone(tmp_path: Path) -> None:
    """No third-party package, and nothing of ours: only what comes with Python."""
    copy = tmp_path / "hook.py"
    copy.write_text(Path(mercurial.__file__).read_text())
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import runpy; runpy.run_path('hook.py')"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
