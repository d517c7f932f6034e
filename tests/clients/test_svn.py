from __future__ import annotations

from change_hooks.clients.svn import changes_of
from change_hooks.vcs import Commit
from change_hooks.vcs.svn_layout import (
    laid_out,
    split_file_alwaystrunk,
    split_file_branches,
    split_file_projects_branches,
)

COMMIT = Commit(
    id="7",
    author="ann",
    committer="",
    when=5,
    message="why",
    files=["trunk/a", "branches/1.x/b/c", "branches/1.x/", "tags/x", "trunk/"],
)


def test_one_change_for_each_branch() -> None:
    trunk, branch = changes_of(COMMIT).changes
    assert (trunk.branch, trunk.files, trunk.revision, trunk.src) == (None, ["a"], "7", "svn")
    assert (branch.branch, branch.files, branch.when_timestamp) == ("branches/1.x", ["b/c"], 5)
    (whole,) = changes_of(COMMIT, split_file_alwaystrunk).changes
    assert whole.files == COMMIT.files


def commit(*files: str, deleted: tuple[str, ...] = ()) -> Commit:
    return Commit("7", "ann", "", 5, "why", list(files), deleted=frozenset(deleted))


def test_a_function_of_ones_own_may_return_a_mapping() -> None:
    def split(path: str) -> dict[str, str] | None:
        return {"branch": "b", "path": path} if path.startswith("trunk") else None

    (on,) = laid_out(commit("trunk/a", "x"), split).branches
    assert (on.about, on.files) == ({"branch": "b"}, ["trunk/a"])
    (on,) = laid_out(commit("a"), lambda path: {"path": path}).branches
    assert (on.about, on.files) == ({}, ["a"])


def test_a_function_that_fails_for_one_path_costs_that_path() -> None:
    def split(path: str) -> tuple[None, str]:
        if path == "b":
            raise KeyError(path)
        return None, path

    layout = laid_out(commit("a", "b", "c"), split)
    assert [on.files for on in layout.branches] == [["a", "c"]]
    (problem,) = layout.problems
    assert "cannot determine the branch of 'b': KeyError" in problem


def test_a_branch_that_was_deleted_is_not_something_to_build() -> None:
    told = changes_of(commit("branches/old/", deleted=("branches/old/",)))
    assert (told.changes, told.notes) == ([], ["revision 7 deletes branches/old"])
    moved = changes_of(commit("branches/old/", "branches/new/", deleted=("branches/old/",)))
    assert [change.branch for change in moved.changes] == ["branches/new"]
    # A file that was deleted is something to build; so is a folder with another one in its place.
    assert [change.files for change in changes_of(commit("trunk/a", deleted=("trunk/a",))).changes] == [["a"]]
    assert len(changes_of(commit("trunk/")).changes) == 1


def test_a_revision_on_no_branch_is_said() -> None:
    told = changes_of(commit("projA/trunk/a.c"))
    assert (told.changes, told.problems) == (
        [],
        ["revision 7 is on no branch (projA/trunk/a.c); see --layout"],
    )


def test_several_projects_in_one_repository() -> None:
    files = ("projA/trunk/a.c", "projA/branches/1.x/b", "projB/trunk/", "projC/tags/x")
    told = changes_of(commit(*files), split_file_projects_branches)
    assert [(change.project, change.branch, change.files) for change in told.changes] == [
        ("projA", None, ["a.c"]),
        ("projA", "branches/1.x", ["b"]),
        ("projB", None, []),
    ]


def test_the_usual_layout() -> None:
    assert split_file_branches("trunk/a/b") == (None, "a/b")
    assert split_file_branches("branches/1.x/a") == ("branches/1.x", "a")
    assert split_file_branches("branches/") is None
    assert split_file_branches("trunk") is None
