"""Payloads, written from the forges' documentation: the fields that we use, and some around them."""

from __future__ import annotations

from typing import Any

SHA = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
OTHER = "95d60b3c4a2f8d1e0b9a87c6f5e4d3c2b1a09f8e"
ZEROS = "0" * 40

GITHUB_REPOSITORY: dict[str, Any] = {
    "name": "api",
    "full_name": "octo-org/api",
    "html_url": "https://github.com/octo-org/api",
    "clone_url": "https://github.com/octo-org/api.git",
    "ssh_url": "git@github.com:octo-org/api.git",
}
GITHUB_PULL_REQUEST: dict[str, Any] = {
    "action": "opened",
    "number": 7,
    "pull_request": {
        "url": "https://api.github.com/repos/octo-org/api/pulls/7",
        "html_url": "https://github.com/octo-org/api/pull/7",
        "number": 7,
        "state": "open",
        "title": "Say hello \u00fc",
        "body": "It was time.",
        "created_at": "2026-11-20T10:00:00Z",
        "updated_at": "2026-11-24T10:00:00Z",
        "merged": False,
        "draft": False,
        "commits": 2,
        "user": {"login": "aenne"},
        "head": {"ref": "hello", "sha": SHA, "repo": {**GITHUB_REPOSITORY, "full_name": "aenne/api"}},
        "base": {"ref": "main", "sha": OTHER, "repo": GITHUB_REPOSITORY},
    },
    "repository": GITHUB_REPOSITORY,
    "sender": {"login": "aenne"},
}

GITLAB_PROJECT: dict[str, Any] = {
    "name": "Diaspora",
    "web_url": "https://gitlab.example.com/mike/diaspora",
    "git_ssh_url": "git@gitlab.example.com:mike/diaspora.git",
    "git_http_url": "https://gitlab.example.com/mike/diaspora.git",
    "path_with_namespace": "mike/diaspora",
}
GITLAB_MERGE: dict[str, Any] = {
    "iid": 4,
    "title": "Say hello \u00fc",
    "description": "It was time.",
    "state": "opened",
    "action": "open",
    "source_branch": "hello",
    "target_branch": "main",
    "source_project_id": 15,
    "target_project_id": 15,
    "source": GITLAB_PROJECT,
    "target": GITLAB_PROJECT,
    "last_commit": {
        "id": SHA,
        "message": "hello",
        "timestamp": "2026-11-24T10:00:00+00:00",
        "url": "https://gitlab.example.com/mike/diaspora/-/commit/" + SHA,
        "author": {"name": "J\u00f6rg", "email": "joerg@example.com"},
    },
    "url": "https://gitlab.example.com/mike/diaspora/-/merge_requests/4",
}
GITLAB_MERGE_REQUEST: dict[str, Any] = {
    "object_kind": "merge_request",
    "event_type": "merge_request",
    "user": {"name": "J\u00f6rg", "email": "joerg@example.com"},
    "project": GITLAB_PROJECT,
    "object_attributes": GITLAB_MERGE,
    "changes": {},
    "labels": [],
}
GITLAB_NOTE: dict[str, Any] = {
    "object_kind": "note",
    "event_type": "note",
    "user": {"name": "J\u00f6rg", "email": "joerg@example.com"},
    "project": GITLAB_PROJECT,
    "object_attributes": {"id": 1, "note": "/build it", "action": "create", "system": False},
    "merge_request": {name: value for name, value in GITLAB_MERGE.items() if name not in ("action", "url")},
}

CLOUD_REPOSITORY: dict[str, Any] = {
    "full_name": "team_name/repo_name",
    "name": "repo_name",
    "scm": "git",
    "project": {"name": "Untitled project", "key": "PROJ"},
    "links": {
        "self": {"href": "https://api.bitbucket.org/2.0/repositories/team_name/repo_name"},
        "html": {"href": "https://bitbucket.org/team_name/repo_name"},
    },
}
CLOUD_ACTOR: dict[str, Any] = {"display_name": "Emma", "nickname": "emma"}
CLOUD_PULL_REQUEST: dict[str, Any] = {
    "actor": CLOUD_ACTOR,
    "repository": CLOUD_REPOSITORY,
    "pullrequest": {
        "id": 1,
        "title": "Say hello \u00fc",
        "description": "It was time.",
        "state": "MERGED",
        "created_on": "2026-11-20T10:00:00.123456+00:00",
        "updated_on": "2026-11-24T10:00:00.123456+00:00",
        "source": {"branch": {"name": "hello"}, "commit": {"hash": SHA}, "repository": CLOUD_REPOSITORY},
        "destination": {"branch": {"name": "main"}, "commit": {"hash": OTHER}},
        "merge_commit": {"hash": "764413d85e29"},
        "links": {"html": {"href": "https://bitbucket.org/team_name/repo_name/pull-requests/1"}},
    },
}
CLOUD_OLD_PULL_REQUEST: dict[str, Any] = {
    "actor": {"display_name": "Emma", "username": "emma"},
    "repository": CLOUD_REPOSITORY,
    "pullrequest": {
        "id": 21,
        "title": "hello",
        "link": "https://bitbucket.example.com/pull-requests/21",
        "fromRef": {"branch": {"name": "hello", "raw_node": SHA}, "commit": {"hash": SHA}},
        "toRef": {"branch": {"name": "main", "raw_node": OTHER}, "commit": {"hash": OTHER}},
    },
}

SERVER_REPOSITORY: dict[str, Any] = {
    "slug": "repository",
    "name": "repository",
    "scmId": "git",
    "project": {"key": "PROJ", "name": "project"},
    "links": {"self": [{"href": "https://bitbucket.example.com/projects/PROJ/repos/repository/browse"}]},
}
SERVER_ACTOR: dict[str, Any] = {"name": "admin", "emailAddress": "admin@example.com", "displayName": "Admin"}
SERVER_PULL_REQUEST: dict[str, Any] = {
    "eventKey": "pr:opened",
    "date": "2026-11-24T13:23:29+1100",
    "actor": SERVER_ACTOR,
    "pullRequest": {
        "id": 3,
        "version": 1,
        "title": "Say hello \u00fc",
        "description": "It was time.",
        "state": "OPEN",
        "createdDate": 1795486609000,
        "fromRef": {
            "id": "refs/heads/hello",
            "displayId": "hello",
            "latestCommit": SHA,
            "repository": SERVER_REPOSITORY,
        },
        "toRef": {
            "id": "refs/heads/main",
            "displayId": "main",
            "latestCommit": OTHER,
            "repository": SERVER_REPOSITORY,
        },
        "links": {
            "self": [{"href": "https://bitbucket.example.com/projects/PROJ/repos/repository/pull-requests/3"}]
        },
    },
}
SERVER_ADD_ON_PUSH: dict[str, Any] = {
    "actor": {"username": "admin", "displayName": "Admin"},
    "repository": SERVER_REPOSITORY,
    "push": {
        "changes": [
            {
                "created": False,
                "closed": False,
                "old": {"type": "branch", "name": "main", "target": {"type": "commit", "hash": OTHER}},
                "new": {"type": "branch", "name": "main", "target": {"type": "commit", "hash": SHA}},
            }
        ]
    },
}
SERVER_ADD_ON_PULL_REQUEST: dict[str, Any] = {
    "actor": {"username": "admin", "displayName": "Admin"},
    "repository": SERVER_REPOSITORY,
    "pullrequest": {
        "id": 21,
        "title": "hello",
        "link": "https://bitbucket.example.com/projects/PROJ/repos/repository/pull-requests/21",
        "fromRef": {"commit": {"hash": SHA}, "branch": {"name": "hello", "rawNode": SHA}},
        "toRef": {"commit": {"hash": OTHER}, "branch": {"name": "main", "rawNode": OTHER}},
    },
}
