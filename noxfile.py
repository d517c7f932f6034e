"""The unit tests on every supported Python: ``nox``."""

import nox

nox.options.error_on_missing_interpreters = True


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def unit(session: nox.Session) -> None:
    """Run the tests that need no other programs."""
    session.install("-q", "-e", ".[test]")
    session.run("pytest", "-q", "-n", "2", "--ignore=tests/integration", *session.posargs)
