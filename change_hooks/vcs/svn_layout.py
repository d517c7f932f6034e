"""Determines the branch of a path in a Subversion repository, in which branches are folders.

The functions ``split_file_...`` get a path in the repository (that of a folder ends with a slash) and return
the branch and the path in it, or None if the path is on no branch; or a mapping with ``path`` and, if known,
``branch``, ``project``, ``repository`` and ``codebase``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from change_hooks.vcs import Commit

SplitFile = Callable[[str], "tuple[str | None, str] | Mapping[str, Any] | None"]


def split_file_alwaystrunk(path: str) -> tuple[str | None, str] | None:
    """Everything is on one branch, which has no name."""
    return None, path


def split_file_branches(path: str) -> tuple[str | None, str] | None:
    """``trunk/`` and ``branches/NAME/``; everything else is not wanted.

    :returns: the branch (None for the trunk, otherwise ``branches/NAME``) and the path in it; None: not
        wanted.
    """
    pieces = path.split("/")
    if len(pieces) > 1 and pieces[0] == "trunk":
        return None, "/".join(pieces[1:])
    if len(pieces) > 2 and pieces[0] == "branches":
        return "/".join(pieces[:2]), "/".join(pieces[2:])
    return None


def split_file_projects_branches(path: str) -> Mapping[str, Any] | None:
    """Several projects in one repository: ``PROJECT/trunk/`` and ``PROJECT/branches/NAME/``.

    :returns: ``project``, ``branch`` and ``path``; None: not wanted.
    """
    project, _, inside = path.partition("/")
    split = split_file_branches(inside)
    return None if split is None else {"project": project, "branch": split[0], "path": split[1]}


class Touched(msgspec.Struct):
    """A branch that a revision touches.

    :param about: the fields of a change that the layout determines, ``branch`` first.
    :param files: the paths in the branch.
    :param deleted: the branch no longer exists.
    """

    about: dict[str, Any]
    files: list[str]
    deleted: bool = False


class Layout(msgspec.Struct):
    """The branches that a revision touches, and the rest of its paths.

    :param branches: those that still exist.
    :param deleted: the names of those that do not.
    :param problems: errors of single paths.
    """

    branches: list[Touched]
    deleted: list[str]
    problems: list[str]


def laid_out(commit: Commit, split_file: SplitFile, prefix: str = "") -> Layout:
    """The branches that a revision touches.

    :param prefix: only paths below this folder count, and the paths that *split_file* gets are relative to
        it.
    """
    found: dict[tuple[Any, ...], Touched] = {}
    problems: list[str] = []
    for path, inside in _below(commit, prefix):
        try:
            split = split_file(inside)
            if split is None:
                continue
            about, file = _about(split)
            touched = found.setdefault(tuple(about.items()), Touched(about, []))
        except Exception as error:  # It may be a user's function.
            problems.append(
                f"split_file cannot determine the branch of {inside!r}: {type(error).__name__}: {error}"
            )
            continue
        if file:
            touched.files.append(file)
        else:
            touched.deleted = path in commit.deleted
    return Layout(
        [touched for touched in found.values() if touched.files or not touched.deleted],
        [_name(touched) for touched in found.values() if touched.deleted and not touched.files],
        problems,
    )


def _below(commit: Commit, prefix: str) -> Iterator[tuple[str, str]]:
    start = f"{prefix}/" if prefix else ""
    for path in commit.files or []:
        if path.startswith(start):
            yield path, path[len(start) :]


_KNOWN = ("branch", "project", "repository", "codebase")


def _about(split: Any) -> tuple[dict[str, Any], str]:
    if isinstance(split, Mapping):
        return {name: split[name] for name in _KNOWN if split.get(name) is not None}, split["path"]
    branch, file = split
    return ({} if branch is None else {"branch": branch}), file


def _name(touched: Touched) -> str:
    about = touched.about
    return "/".join(part for part in (about.get("project"), about.get("branch") or "trunk") if part)


__all__ = [
    "Layout",
    "SplitFile",
    "Touched",
    "laid_out",
    "split_file_alwaystrunk",
    "split_file_branches",
    "split_file_projects_branches",
]
