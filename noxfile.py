"""``nox`` runs the unit tests on every supported Python; ``nox -s mutants`` or ``faults`` another session."""

import shutil
from pathlib import Path
from secrets import token_hex

import nox

nox.options.error_on_missing_interpreters = True
#: An environment is made in 6 seconds, not in 21.
nox.options.default_venv_backend = "uv|virtualenv"

#: Of thousands of inputs a part is enough: the README's test command, which CI runs first, tries them all.
FEW = {"CHANGE_HOOKS_TEST_INPUTS": "few"}
#: The tests that need no other programs.
UNIT = [f"--ignore=tests/{place}" for place in ("integration", "faults", "fuzz", "adoption/test_masters.py")]


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def unit(session: nox.Session) -> None:
    """Run the tests that need no other programs."""
    session.install("-q", "-e", ".[test]")
    session.run("pytest", "-q", "-n", "2", *UNIT, *session.posargs, env=FEW)


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Inject faults for longer than CI does: ``nox -s faults -- 1800`` for half an hour per random run."""
    seconds = session.posargs[0] if session.posargs else "600"
    session.install("-q", "-e", ".[test]")
    session.run("pytest", "-q", "-rP", "-n", "2", "tests/faults", env={"CHANGE_HOOKS_FAULT_SECONDS": seconds})


@nox.session
@nox.parametrize(
    ("python", "release"), [("3.10", "mercurial==5.2.2"), ("3.13", "mercurial")], ids=["oldest", "newest"]
)
def mercurial(session: nox.Session, release: str) -> None:
    """Run the Mercurial hook and poller with the oldest and the newest Mercurial for Python 3."""
    session.install("-q", "-e", ".[test]", "setuptools")
    session.install("-q", "--no-build-isolation", release)
    session.run("hg", "--version", "-q")
    session.run(
        "pytest",
        "-q",
        "-n",
        "2",
        "-k",
        "mercurial or merge or down",
        "tests/integration/test_clients.py",
        "tests/integration/test_pollers.py",
        *session.posargs,
    )


@nox.session(python="3.10", default=False)
def lowest(session: nox.Session) -> None:
    """Run the unit tests with the lowest supported versions of our dependencies."""
    session.install("-q", "uv")
    session.run("uv", "pip", "install", "-q", "--resolution", "lowest-direct", "-e", ".[test]")
    session.run("pytest", "-q", "-n", "2", *UNIT, *session.posargs, env=FEW)


@nox.session(default=False)
def sdist(session: nox.Session) -> None:
    """Run the unit tests of the source distribution, outside this folder."""
    session.install("-q", "build")
    folder = Path(session.create_tmp())
    session.run("python", "-m", "build", "-q", "--sdist", "--outdir", str(folder))
    archive = max(folder.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    shutil.unpack_archive(archive, folder, filter="data")
    session.chdir(folder / archive.name.removesuffix(".tar.gz"))
    session.install("-q", ".[test]")
    session.run("pytest", "-q", "-n", "2", *UNIT, *session.posargs, env=FEW)


@nox.session(default=False)
def sbom(session: nox.Session) -> None:
    """Write a CycloneDX list of the packages that users install with ours: ``nox -s sbom -- PATH``."""
    session.install("-q", "cyclonedx-bom")
    installed = str(Path(session.create_tmp()) / "installed")
    session.run("python", "-m", "venv", "--clear", "--without-pip", installed)
    session.run("python", "-m", "pip", "--python", f"{installed}/bin/python", "install", "-q", ".[all]")
    path = session.posargs[0] if session.posargs else "sbom.json"
    session.run("cyclonedx-py", "environment", installed, "--pyproject", "pyproject.toml", "-o", path)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Feed the handlers and the configuration reader a million inputs, different ones each time.

    A failure prints its seed; set ``FUZZ_SEED`` to repeat it.
    """
    session.install("-q", "-e", ".[test]", "atheris")
    runs = {"FUZZ_RUNS": "1000000", "FUZZ_SEED": session.env.get("FUZZ_SEED") or token_hex(4)}
    session.run("pytest", "-q", "-n", "2", "tests/fuzz", *session.posargs, env=runs)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Change core, outbox and journal in thousands of ways, and list the changes that no test notices.

    This takes hours. Pass names, such as ``change_hooks.core.policy.*``, for a part of it. Changed messages
    are not listed.
    """
    session.install("-q", "-e", ".[test]", "mutmut>=3.8")
    # A change that no test notices is not a failure: somebody has to look at it.
    session.run("mutmut", "run", *session.posargs, success_codes=[0, 1])
    for line in str(session.run("mutmut", "results", silent=True)).splitlines():
        name, _, result = line.strip().partition(": ")
        if result == "survived":
            shown = str(session.run("mutmut", "show", name, silent=True)).splitlines()
            before, after = (
                " ".join(each[1:].strip() for each in shown if each[0:1] == sign and each[1:2] == " ")
                for sign in "-+"
            )
            if before.lower() != after.lower().replace("xx", ""):
                session.log(f"{name}:\n    - {before}\n    + {after}")
