from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from change_hooks import ConfigurationError, make_resource
from change_hooks.references import resolved


def test_secrets_stand_in_the_environment_in_files_and_in_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", "from the environment")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "hook").write_text("from systemd")
    (tmp_path / "secret").write_text("from a file\n")
    assert resolved({"env": "X"}) == "from the environment"
    assert resolved({"file": "secret"}, tmp_path) == "from a file"
    assert resolved({"file": str(tmp_path / "secret")}) == "from a file"
    assert resolved([{"credential": "hook"}, "as it is", None, 5]) == ["from systemd", "as it is", None, 5]
    assert resolved({"app": 1, "key": {"env": "X"}}) == {"app": 1, "key": "from the environment"}


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ({"env": "MISSING"}, "MISSING, which is not set"),
        ({"env": "EMPTY"}, "EMPTY, which is empty"),
        ({"env": ""}, "needs a name"),
        ({"env": 5}, "needs a name"),
        ({"file": "missing"}, "missing, which cannot be read"),
        ({"file": "binary"}, "binary, which is not text"),
        ({"file": "blank"}, "blank, which is empty"),
        ({"credential": "x"}, "CREDENTIALS_DIRECTORY"),
    ],
)
def test_a_secret_that_is_missing_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: Any, why: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "blank").write_text(" \n")
    with pytest.raises(ValueError, match=why):
        resolved(reference, tmp_path)


def test_a_configuration_may_refer_to_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    www = {"change_hook_dialects": {"github": {"secret": {"env": "X"}, "strict": True}}}
    with pytest.raises(ConfigurationError, match="'secret' refers to the environment variable X"):
        make_resource(www, sink=print)
    monkeypatch.setenv("X", "a long enough secret")
    make_resource(www, sink=print)
