from __future__ import annotations

from change_hooks.clients.svn import changes_of
from change_hooks.vcs import Commit
from change_hooks.vcs.svn import by_branch, split_file_alwaystrunk, split_file_branches

COMMIT = Commit(
    id="7",
    author="ann",
    committer="",
    when=5,
    message="why",
    files=["trunk/a", "branches/1.x/b/c", "branches/1.x/", "tags/x", "trunk/"],
)


def test_one_change_for_each_branch() -> None:
    trunk, branch = changes_of(COMMIT)
    assert (trunk.branch, trunk.files, trunk.revision, trunk.src) == (None, ["a"], "7", "svn")
    assert (branch.branch, branch.files, branch.when_timestamp) == ("branches/1.x", ["b/c"], 5)
    (whole,) = changes_of(COMMIT, split_file_alwaystrunk)
    assert whole.files == COMMIT.files


def test_a_function_of_ones_own_may_return_a_mapping() -> None:
    def split(path: str) -> dict[str, str] | None:
        return {"branch": "b", "path": path} if path.startswith("trunk") else None

    assert by_branch(["trunk/a", "x"], split) == {"b": ["trunk/a"]}
    assert by_branch(["a"], lambda path: {"path": path}) == {None: ["a"]}


def test_the_usual_layout() -> None:
    assert split_file_branches("trunk/a/b") == (None, "a/b")
    assert split_file_branches("branches/1.x/a") == ("branches/1.x", "a")
    assert split_file_branches("branches/") is None
    assert split_file_branches("trunk") is None
