"""Change: one normalised record of a commit or event, which a build system acts on."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import datetime, timezone
from math import isfinite
from typing import Any, NoReturn

import msgspec

#: Text that is never None; a missing value or None means the empty string.
REQUIRED_TEXT = ("author", "comments", "revlink", "repository", "project")
#: Text that may be None: not known, or not applicable.
OPTIONAL_TEXT = ("committer", "revision", "branch", "category", "codebase", "src")
_TEXT = (*REQUIRED_TEXT, *OPTIONAL_TEXT)

#: The property that lists the fields of a change that the sender could have sent but did not: ``["files"]``
#: distinguishes "the files are not known" from "no file was touched".
MISSING = "change_hook_missing"
#: The property of a change that was not sent but recovered: how.
RECOVERED = "change_hook_recovered"
#: The property of a push whose sender left out commits: the number of all its commits, or True if that is
#: not known.
TRUNCATED = "change_hook_truncated"
#: The property that names the list elements that do not match the forge's documentation and were left out,
#: each by the path of the wrong value in it (``$.commits[3].id``).
UNREAD = "change_hook_unread"
#: How deeply a property may be nested.
DEEPEST = 64


#: The years 1 to 9999 in seconds since the epoch: the range of dates.
FIRST, LATEST = -62_135_596_800, 253_402_300_799


class InvalidChange(ValueError):
    """A change with an unknown field, or a value of the wrong type.

    :param field: the field, for instance ``files[2]``.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"change field {field!r}: {message}")
        self.field = field


_set = msgspec.structs.force_setattr


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One normalised change.

    :param author: ``Name <email>``, or as much of it as the sender knows.
    :param committer: like *author*, when the committer is recorded separately.
    :param files: the paths touched; see :data:`MISSING` for "not known".
    :param comments: the commit message, or the pull request's title and description.
    :param revision: the commit's name in the version control system.
    :param when_timestamp: seconds since the epoch.
    :param branch: the branch, tag or ref.
    :param category: what kind of event it was: ``push``, ``pull``, ``tag`` ...
    :param revlink: a web page that shows the change.
    :param properties: a JSON-able mapping of further facts.
    :param repository: the repository's address.
    :param project: the project's name.
    :param codebase: Buildbot's name for the repository's role in a build.
    :param src: the version control system: ``git``, ``hg``, ``svn`` ...
    :raises InvalidChange: for a value of the wrong type; it names the field.
    """

    author: str = ""
    committer: str | None = None
    files: list[str] = []
    comments: str = ""
    revision: str | None = None
    when_timestamp: int | None = None
    branch: str | None = None
    category: str | None = None
    revlink: str = ""
    properties: dict[str, Any] = {}
    repository: str = ""
    project: str = ""
    codebase: str | None = None
    src: str | None = None

    def __post_init__(self) -> None:
        for name in _TEXT:
            text = getattr(self, name)
            if type(text) is not str:
                if text is not None or name in REQUIRED_TEXT:
                    _wrong(name, "str", text)
            elif not is_well_formed(text):
                _set(self, name, well_formed(text))
        files, when = self.files, self.when_timestamp
        if type(files) is not list:
            _wrong("files", "list of str", files)
        for index, path in enumerate(files):
            if type(path) is not str:
                _wrong(f"files[{index}]", "str", path)
        if not all(map(is_well_formed, files)):
            _set(self, "files", [*map(well_formed, files)])
        if when is not None and type(when) is not int:
            _wrong("when_timestamp", "int (seconds since the epoch)", when)
        if when is not None and not FIRST <= when <= LATEST:
            raise InvalidChange("when_timestamp", "is not a time of the years 1 to 9999")
        properties = self.properties
        if type(properties) is not dict:
            _wrong("properties", "dict", properties)
        if properties:
            _set(self, "properties", json_able(properties))

    @staticmethod
    def for_ref(
        *, branch: str | None, category: str | None, repository: str, project: str, src: str
    ) -> Change:
        """The fields that the changes of a push have in common. They are not checked again either, which
        saves 3 microseconds; a delivery with one commit takes 71.
        """
        change = copy(_BLANK)
        _set(change, "branch", branch)
        _set(change, "category", category)
        _set(change, "repository", repository)
        _set(change, "project", project)
        _set(change, "src", src)
        return change

    def for_commit(
        self,
        *,
        author: str,
        committer: str | None,
        files: list[str],
        comments: str,
        revision: str,
        when: int | None,
        revlink: str,
        properties: dict[str, Any],
    ) -> Change:
        """The change of one commit of a push, with the other fields of this one.

        For what was decoded straight to a :class:`~change_hooks.core.payload.Shape`, and so has the right
        types and no lone surrogates: nothing is checked again. That saves 5 microseconds in a delivery with
        one commit, which takes 71, and 120 in one with a hundred, which takes 316.
        """
        # copy() would look for it first, which takes 10 microseconds more for a hundred commits.
        change: Change = self.__copy__()  # type: ignore[attr-defined]
        _set(change, "author", author)
        _set(change, "committer", committer)
        _set(change, "files", files)
        _set(change, "comments", comments)
        _set(change, "revision", revision)
        _set(change, "when_timestamp", when)
        _set(change, "revlink", revlink)
        _set(change, "properties", properties)
        return change

    def replace(self, **fields: object) -> Change:
        """A copy with other *fields*.

        :raises InvalidChange: for a value of the wrong type; it names the field.
        """
        return msgspec.structs.replace(self, **fields)

    def with_src(self, src: str) -> Change:
        """A copy with another *src*."""
        changed = copy(self)
        _set(changed, "src", src)
        return changed

    def with_properties(self, properties: dict[str, Any]) -> Change:
        """A copy with other *properties*, which come from :func:`json_able` and are not copied."""
        changed = copy(self)
        _set(changed, "properties", properties)
        return changed

    def as_dict(self) -> dict[str, object]:
        """All keyword arguments of Buildbot's ``addChange``, which changes the properties that it gets: the
        changes of a push share theirs, and each of these dicts has its own.
        """
        return {**msgspec.structs.asdict(self), "files": [*self.files], "properties": {**self.properties}}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Change:
        """Make a change from what a handler returned.

        Besides the fields' own types this accepts the values that handlers written for ``request.args`` use:
        bytes for text (decoded as UTF-8, with replacement), a list of one value for that value, None for the
        default, and a datetime or float for *when_timestamp*. A number out of the range of dates is left out.

        :raises InvalidChange: for an unknown key or a value of the wrong type.
        """
        fields: dict[str, Any] = {}
        for name, value in mapping.items():
            if value is None:
                if name not in _FIELDS:
                    _unknown(name)
            elif name in _TEXT:
                fields[name] = _text(value)
            elif name == "files":
                fields[name] = [_text(path) for path in value] if isinstance(value, (list, tuple)) else value
            elif name == "when_timestamp":
                fields[name] = _epoch(value)
            elif name == "properties":
                fields[name] = dict(value) if isinstance(value, Mapping) else value
            else:
                _unknown(name)
        return cls(**fields)


_FIELDS = frozenset(Change.__struct_fields__)


def person(name: str | None, email: str | None) -> str:
    """``Name <email>``, or whichever of the two is known, or the empty string."""
    name, email = (name or "").strip(), (email or "").strip()
    return f"{name} <{email}>" if name and email else name or email


def is_well_formed(text: str) -> bool:
    """Whether *text* contains no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def well_formed(text: str) -> str:
    """*text* with every lone surrogate replaced by U+FFFD, so that it can be encoded."""
    if is_well_formed(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _unknown(name: object) -> NoReturn:
    raise InvalidChange(str(name), f"no such field; valid names are {', '.join(sorted(_FIELDS))}")


def _wrong(field: str, expected: str, value: object) -> NoReturn:
    raise InvalidChange(field, f"expected {expected}, got {type(value).__name__}")


def _text(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _epoch(value: Any) -> Any:
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return moment(value)
    return value


def moment(number: float, unit: int = 1) -> int | None:
    """The rule for numbers that are dates: seconds since the epoch, in the years 1 to 9999; None for others.

    :param number: in units of 1/*unit* seconds: 1000 for milliseconds.
    """
    if isinstance(number, float):
        if not isfinite(number):
            return None
        number = int(number)
    seconds = number // unit
    return seconds if FIRST <= seconds <= LATEST else None


def json_able(properties: Mapping[Any, Any]) -> dict[str, Any]:
    """A copy of properties.

    :raises InvalidChange: one of them cannot be written as JSON.
    """
    copied: dict[str, Any] = _json_able(properties, "properties")
    return copied


def _json_able(value: Any, path: str, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise InvalidChange(path[:200], "is nested too deeply")
    if isinstance(value, str):
        return well_formed(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if isfinite(value):
            return value
        raise InvalidChange(path, "JSON has neither infinite numbers nor NaN")
    if isinstance(value, (list, tuple)):
        return [_json_able(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        copy = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidChange(path, "every key must be a str")
            copy[well_formed(key)] = _json_able(item, f"{path}.{key}", depth + 1)
        return copy
    raise InvalidChange(path, f"{type(value).__name__} is not JSON-able")


_BLANK = Change()

__all__ = [
    "FIRST",
    "LATEST",
    "MISSING",
    "RECOVERED",
    "TRUNCATED",
    "UNREAD",
    "Change",
    "InvalidChange",
    "json_able",
    "moment",
    "person",
    "well_formed",
]
