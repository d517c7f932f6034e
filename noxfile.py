"""The unit tests on every supported Python: ``nox``."""

import nox

nox.options.error_on_missing_interpreters = True


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def unit(session: nox.Session) -> None:
    """Run the tests that need no other programs."""
    session.install("-q", "-e", ".[test]")
    session.run(
        "pytest", "-q", "-n", "2", "--ignore=tests/integration", "--ignore=tests/faults", *session.posargs
    )


@nox.session
@nox.parametrize(
    ("python", "release"), [("3.10", "mercurial==5.2.2"), ("3.13", "mercurial")], ids=["oldest", "newest"]
)
def mercurial(session: nox.Session, release: str) -> None:
    """Run the Mercurial hook and the Mercurial poller in the oldest and the newest Mercurial for Python 3."""
    session.install("-q", "-e", ".[test]", "setuptools")
    session.install("-q", "--no-build-isolation", release)
    session.run("hg", "--version", "-q")
    session.run(
        "pytest",
        "-q",
        "-k",
        "mercurial or merge or down",
        "tests/integration/test_clients.py",
        "tests/integration/test_pollers.py",
        *session.posargs,
    )
