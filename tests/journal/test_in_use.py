"""Which services of a process use which journal."""

from pathlib import Path

import pytest

from change_hooks.core.errors import ConfigurationError
from change_hooks.journal.in_use import leave, use


class User:
    """Something that uses a journal, and may be part of a cycle."""

    def __init__(self) -> None:
        self.itself = self


def test_one_name_is_for_one_user(tmp_path: Path) -> None:
    first, second = User(), User()
    use(tmp_path / "x", "", first)
    use(tmp_path / "x", "", first)
    with pytest.raises(ConfigurationError, match=r"x is in use by another .* give this one a name"):
        use(tmp_path / "y" / ".." / "x", "", second)
    use(tmp_path / "y", "", second)
    use(tmp_path / "x", "second", second)
    with pytest.raises(ConfigurationError, match="called 'second'"):
        use(tmp_path / "x", "second", first)


def test_who_has_left_is_in_nobodys_way(tmp_path: Path) -> None:
    first, second = User(), User()
    use(tmp_path / "x", "", first)
    leave(tmp_path / "x", "", second)
    with pytest.raises(ConfigurationError):
        use(tmp_path / "x", "", second)
    leave(tmp_path / "x", "", first)
    leave(tmp_path / "x", "", first)
    use(tmp_path / "x", "", second)


def test_nor_is_who_is_not_known_any_more(tmp_path: Path) -> None:
    use(tmp_path / "x", "", User())
    use(tmp_path / "x", "", User())


def test_a_password_is_not_told() -> None:
    user = User()
    use("postgresql://ann:hunter2@db/hooks", "", user)
    with pytest.raises(ConfigurationError) as refused:
        use("postgresql://ann:hunter2@db/hooks", "", User())
    assert "hunter2" not in str(refused.value)
    assert "db/hooks" in str(refused.value)
