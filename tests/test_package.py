"""What the package index shows."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).parents[1]
SOURCE = "https://forge.example/ann/hooks"
WHERE = re.compile(r"\]\(([^)]*)\)")


@pytest.fixture
def metadata() -> ProjectMetadata:
    if (ROOT / "PKG-INFO").exists():
        pytest.skip("a source distribution has its description already")
    return ProjectMetadata(str(ROOT), PluginManager())


def readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def test_without_an_address_no_link_leads_nowhere(
    metadata: ProjectMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHANGE_HOOKS_REPOSITORY", raising=False)
    shown = metadata.core.readme
    assert WHERE.findall(shown) == []
    assert "![" not in shown
    assert "CONTRIBUTING.md says how" in shown
    assert metadata.core.urls == {}
    # Nothing else is lost: every line of code, and every other word.
    assert re.findall(r"^```.*?^```", shown, re.M | re.S) == re.findall(r"^```.*?^```", readme(), re.M | re.S)


def test_with_an_address_every_link_leads_to_a_file_of_the_release(
    metadata: ProjectMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANGE_HOOKS_REPOSITORY", f"{SOURCE}/")
    version = metadata.version
    written, shown = WHERE.findall(readme()), WHERE.findall(metadata.core.readme)
    assert len(shown) == len(written) > 20
    for address, path in zip(shown, written, strict=True):
        kind = "raw" if path.endswith(".png") else "blob"
        assert address == f"{SOURCE}/{kind}/v{version}/{path}"
        assert (ROOT / path).is_file()
    for name, address in metadata.core.urls.items():
        path = address.removeprefix(f"{SOURCE}/blob/v{version}/")
        assert path == address or (ROOT / path).is_file(), name
    assert metadata.core.urls["Source"] == SOURCE


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("See [the\npage](docs/a.md#b).", "See [the\npage](S/blob/v1/docs/a.md#b)."),
        ("![A page](docs/a.png)", "![A page](S/raw/v1/docs/a.png)"),
        ("[elsewhere](https://x/y)", "[elsewhere](https://x/y)"),
        ("[here](#below)", "[here](#below)"),
    ],
)
def test_only_relative_links_change(written: str, shown: str) -> None:
    description = runpy.run_path(str(ROOT / "hatch_build.py"))["description"]
    assert description(written, "S", "1") == shown


def test_the_release_says_where_the_source_is() -> None:
    """The only place that sets it, and the page that describes a release."""
    name = runpy.run_path(str(ROOT / "hatch_build.py"))["REPOSITORY"]
    setting = f"{name}: ${{{{ github.server_url }}}}/${{{{ github.repository }}}}"
    assert setting in (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert name in (ROOT / "docs" / "explanation" / "versions.md").read_text()


def workflow(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    return read


def test_the_same_versions_of_python_are_promised_and_tested() -> None:
    written = (ROOT / "pyproject.toml").read_text()
    versions = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', written)
    assert f'requires-python = ">={versions[0]}"' in written
    assert f"Python {versions[0]} to {versions[-1]}" in readme()
    assert str(versions).replace("'", '"') in (ROOT / "noxfile.py").read_text()
    jobs = workflow("ci.yml")["jobs"]
    assert jobs["unit"]["strategy"]["matrix"]["python"] == versions
    assert jobs["everything"]["strategy"]["matrix"]["python"] == [versions[0], versions[-1]]


def test_a_release_is_checked_on_the_matrix_and_built_once() -> None:
    jobs = workflow("release.yml")["jobs"]
    assert jobs["check"]["uses"].endswith("/ci.yml")
    assert "workflow_call" in workflow("ci.yml")[True]  # 'on' is a truth value in YAML.
    assert (jobs["build"]["needs"], jobs["publish"]["needs"]) == ("check", "build")
    steps = [step for job in jobs.values() for step in job.get("steps", ())]
    assert [step["run"] for step in steps if "-m build" in step.get("run", "")] == ["python -m build"]
    assert sum("attest-build-provenance" in step.get("uses", "") for step in steps) == 1
