"""Handler classes as operators write them: subclasses of Buildbot's, with Buildbot's import lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.adoption.payloads import (
    SECRET,
    Sent,
    as_server,
    bitbucket,
    bitbucket_pull,
    bitbucket_push,
    form,
    github,
    github_pull,
    github_push,
    gitlab,
    gitlab_merge,
    gitlab_note,
    gitlab_push,
    gitorious,
)


@dataclass
class Sample:
    """A class, how it is configured, and what is sent to it.

    :param source: a module; its last class is the handler.
    :param options: beside the class.
    :param option: where the class stands.
    :param differs: fields and properties that may differ, since the table in the documentation says so.
    """

    name: str
    source: str
    dialect: str
    requests: tuple[Sent, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    option: str = "custom_class"
    differs: tuple[str, ...] = ()


GITHUB = "from buildbot.www.hooks.github import GitHubEventHandler\nfrom twisted.internet import defer\n"
EVENTS = (
    github("push", github_push("One change", "Another")),
    github("pull_request", github_pull("opened", "A title")),
    github("pull_request", github_pull("opened", "[WIP] not yet")),
)
WHITELIST = {"github_property_whitelist": ["github.*"]}


def github_sample(
    name: str, source: str, *requests: Sent, differs: tuple[str, ...] = (), **options: Any
) -> Sample:
    return Sample(
        name, GITHUB + source, "github", requests or EVENTS, {"secret": SECRET, **options}, "class", differs
    )


SAMPLES = [
    github_sample("unchanged", "class Mine(GitHubEventHandler): pass", **WHITELIST),
    github_sample(
        "category-by-title",
        """
class Mine(GitHubEventHandler):
    @defer.inlineCallbacks
    def handle_pull_request(self, payload, event):
        changes, src = yield super().handle_pull_request(payload, event)
        if changes and payload["pull_request"]["title"].startswith("[WIP]"):
            changes[0]["category"] = "wip"
        return changes, src
""",
    ),
    github_sample(
        "only-some-files",
        """
class Mine(GitHubEventHandler):
    def handle_push(self, payload, event):
        changes, src = super().handle_push(payload, event)
        kept = [change for change in changes if any(f.startswith("src/") for f in change["files"])]
        for change in kept:
            change["properties"]["count"] = len(change["files"])
            change["branch"] = change["branch"].upper()
        return kept, src
""",
    ),
    github_sample(
        "project-and-address",
        """
class Mine(GitHubEventHandler):
    def _process_change(self, payload, user, repo, repo_url, project, event, properties):
        properties = dict(properties, pusher=payload["pusher"]["name"])
        repo_url = payload["repository"]["ssh_url"]
        return super()._process_change(payload, user, repo, repo_url, repo, event, properties)
""",
        **WHITELIST,
    ),
    github_sample(
        "own-changes",
        """
class Mine(GitHubEventHandler):
    def _process_change(self, payload, user, repo, repo_url, project, event, properties):
        return [{"revision": payload["after"], "branch": payload["ref"], "project": project, "author": "me",
                 "repository": repo_url, "comments": repo, "properties": properties, "files": []}]
""",
    ),
    github_sample(
        "own-skip",
        """
import re
class Mine(GitHubEventHandler):
    def _has_skip(self, msg):
        return bool(re.search("no build please", msg))
""",
        github("push", github_push("one [skip ci]")),
        github("push", github_push("one, no build please")),
        *EVENTS,
    ),
    github_sample(
        "skips-in-the-constructor",
        """
class Mine(GitHubEventHandler):
    def __init__(self, secret, strict, *args, **kwargs):
        super().__init__(secret, strict, *args, **kwargs)
        self.skips = list(self.skips) + ["Another"]
        self.pullrequest_ref = "head"
        self._codebase = lambda payload: payload["repository"]["name"]
""",
    ),
    github_sample(
        "secret-of-the-constructor",
        f"""
class Mine(GitHubEventHandler):
    def __init__(self, secret, strict, *args, **kwargs):
        super().__init__(secret, strict, *args, **kwargs)
        self._secret = {SECRET!r}
        self._strict = True
""",
        *EVENTS,
        Sent("github", b"{}", X_GitHub_Event="push", Content_Type="application/json"),
        secret="another one, which nobody uses",
    ),
    github_sample(
        "message-looked-up-elsewhere",
        """
class Mine(GitHubEventHandler):
    def _get_commit_msg(self, repo, sha):
        return defer.succeed("[skip ci]" if repo == "nobody/app" else f"{repo} {sha}")
""",
    ),
    github_sample(
        "skipped-by-its-head-commit",
        """
class Mine(GitHubEventHandler):
    @defer.inlineCallbacks
    def _get_commit_msg(self, repo, sha):
        message = yield super()._get_commit_msg(repo, sha)
        return message + " [ci skip]"
""",
        EVENTS[1],
    ),
    github_sample(
        "some-of-a-pull-requests-files",
        """
class Mine(GitHubEventHandler):
    @defer.inlineCallbacks
    def _get_pr_files(self, repo, number):
        files = yield super()._get_pr_files(repo, number)
        return [f for f in files if f.endswith(".py")] + [str(number)]
""",
    ),
    github_sample(
        "hidden-title",
        """
class Mine(GitHubEventHandler):
    external_property_denylist = ["github.title", "github.head"]
    def extractProperties(self, payload):
        found = super().extractProperties(payload)
        found["extra"] = len(found) > 3
        return found
""",
        EVENTS[1],
        **WHITELIST,
    ),
    github_sample(
        "an-event-of-its-own",
        """
class Mine(GitHubEventHandler):
    def handle_release(self, payload, event):
        return [{"author": payload["sender"]["login"], "repository": payload["repository"]["html_url"],
                 "revision": payload["release"]["tag_name"], "category": event,
                 "project": payload["repository"]["full_name"], "comments": "", "files": [],
                 "properties": self.extractProperties(payload["release"])}], "git"

    @defer.inlineCallbacks
    def handle_pull_request_review(self, payload, event):
        files = yield self._get_pr_files(payload["repository"]["full_name"], payload["pull_request"]["number"])
        changes, src = yield self.handle_pull_request(dict(payload, action="synchronize"), event)
        changes[0]["files"] = files + ["review"]
        return changes, src
""",
        github(
            "release",
            {
                "release": {"tag_name": "v1"},
                "repository": github_push()["repository"],
                "sender": {"login": "a"},
            },
        ),
        github("pull_request_review", {**github_pull(), "review": {"state": "approved"}}),
        **WHITELIST,
    ),
    github_sample(
        "payload-with-more",
        """
class Mine(GitHubEventHandler):
    @defer.inlineCallbacks
    def _get_payload(self, request):
        payload = yield super()._get_payload(request)
        payload["repository"]["html_url"] += "/"
        return payload
""",
    ),
    github_sample(
        "verifies-by-itself",
        """
import json
class Mine(GitHubEventHandler):
    def _get_payload(self, request):
        if request.getHeader(b"X-Own") != b"please":
            raise ValueError("no")
        return json.loads(request.content.read())
""",
        github("push", github_push()),
        github("push", github_push(), X_Own="please"),
    ),
    github_sample(
        "by-its-headers",
        """
class Mine(GitHubEventHandler):
    def process(self, request):
        if request.getHeader("X-GitHub-Event") == "pull_request":
            return defer.succeed(([], "git"))
        return super().process(request)
""",
    ),
    github_sample(
        "a-list-and-bytes",
        """
from collections import namedtuple
Result = namedtuple("Result", "changes src")
class Mine(GitHubEventHandler):
    def handle_push(self, payload, event):
        return [self._process_change(payload, None, "app", "ssh://x", "p", event, {}), b"git"]

    @defer.inlineCallbacks
    def handle_pull_request(self, payload, event):
        changes, src = yield super().handle_pull_request(payload, event)
        return Result(changes, src)
""",
    ),
    github_sample(
        "a-mixin-and-compiled-skips",
        """
import re
class Loud:
    def __init__(self, *args, **kwargs):
        kwargs["skips"] = [re.compile("ANOTHER", re.I)]
        kwargs.setdefault("pullrequest_ref", "head")
        super().__init__(*args, **kwargs)

    def process(self, request):
        return super().process(request).addCallback(self.louder)

    def louder(self, result):
        changes, src = result
        for change in changes:
            change["project"] += "!"
        return changes, src

class Mine(Loud, GitHubEventHandler):
    pass
""",
    ),
    github_sample(
        "coroutines",
        """
class Mine(GitHubEventHandler):
    async def process(self, request):
        changes, src = await super().process(request)
        return changes, src

    def handle_pull_request(self, payload, event):
        return defer.ensureDeferred(self._pull(payload, event))

    async def _pull(self, payload, event):
        changes, src = await super().handle_pull_request(payload, event)
        for change in changes:
            change["files"] = sorted(await self._get_pr_files("acme/app", 7))
        return changes, src

    async def _get_commit_msg(self, repo, sha):
        return "A message"
""",
    ),
    github_sample(
        "a-workflow-and-what-is-imported-beside-the-class",
        """
from buildbot.www.hooks.github import DEFAULT_GITHUB_API_URL, DEFAULT_SKIPS_PATTERN
class Mine(GitHubEventHandler):
    external_property_denylist = GitHubEventHandler.external_property_denylist + ["github.title"]

    def __init__(self, *args, **kwargs):
        kwargs["skips"] = DEFAULT_SKIPS_PATTERN + ["Another"]
        super().__init__(*args, **kwargs)

    def handle_workflow_run(self, payload, event):
        if self.github_api_endpoint != DEFAULT_GITHUB_API_URL:
            raise ValueError("an API of another server")
        return super().handle_workflow_run(payload, event)
""",
        github("workflow_run", {"action": "completed"}),
        *EVENTS,
        **WHITELIST,
    ),
    github_sample(
        "an-ignored-ping",
        "class Mine(GitHubEventHandler):\n    def handle_ping(self, payload, event): return [{'revision': '1', "
        "'author': payload['zen'], 'comments': '', 'files': []}], 'git'\n",
        github("ping", {"zen": "Keep it"}),
    ),
    Sample(
        "github-handler",
        """
from buildbot.www.hooks.github import GitHubHandler
class Mine(GitHubHandler):
    def getChanges(self, request):
        d = self.handler.process(request)
        def more(result):
            changes, src = result
            for change in changes:
                change["codebase"] = self.options["mine"][change["repository"]]
            return changes, src
        return d.addCallback(more)
""",
        "github",
        EVENTS,
        {"secret": SECRET, "mine": {"https://github.com/acme/app": "app"}},
    ),
    Sample(
        "gitlab-branches",
        """
from buildbot.www.hooks.gitlab import GitLabHandler
class Mine(GitLabHandler):
    def _process_change(self, payload, user, repo, repo_url, event, codebase=None):
        changes = super()._process_change(payload, user, repo, payload["project"]["git_http_url"], event, codebase)
        for change in changes:
            change["branch"] = "refs/heads/" + change["branch"]
            change["properties"]["user"] = user
            change["properties"]["repo"] = repo
        return changes
""",
        "gitlab",
        (gitlab(gitlab_push("One", "Two")), gitlab(gitlab_push("One"), "?codebase=app")),
    ),
    Sample(
        "gitlab-merge-requests",
        """
from buildbot.www.hooks.gitlab import GitLabHandler
class Mine(GitLabHandler):
    def _process_merge_request_change(self, payload, event, codebase=None):
        if payload["object_attributes"]["title"].startswith("Draft:"):
            return []
        changes = super()._process_merge_request_change(payload, "mr-" + event, codebase=codebase)
        for change in changes:
            change["branch"] = "merge-requests/%d/head" % payload["object_attributes"]["iid"]
        return changes

    def _process_note_addition_to_merge_request(self, payload, event, codebase=None):
        if "build" not in payload["object_attributes"]["note"]:
            return []
        return super()._process_note_addition_to_merge_request(payload, event, codebase)
""",
        "gitlab",
        (
            gitlab(gitlab_merge()),
            gitlab(gitlab_merge(title="Draft: not yet")),
            gitlab(gitlab_note()),
            gitlab(gitlab_note("thanks")),
        ),
        differs=("change_hook_missing",),
    ),
    Sample(
        "gitlab-codebase",
        """
from twisted.internet import defer
from buildbot.www.hooks.gitlab import GitLabHandler
class Mine(GitLabHandler):
    @defer.inlineCallbacks
    def getChanges(self, request):
        changes, src = yield super().getChanges(request)
        for change in changes:
            change["codebase"] = change["repository"].rsplit("/", 1)[-1]
            change["when_timestamp"] = change["when_timestamp"].replace(microsecond=0)
        return changes, src
""",
        "gitlab",
        (
            gitlab(gitlab_push("One"), X_Gitlab_Token="token"),
            gitlab(gitlab_push("One"), X_Gitlab_Token="wrong"),
        ),
        {"secret": "token"},
    ),
    Sample(
        "bitbucketserver-pull-requests",
        """
from buildbot.www.hooks.bitbucketserver import BitbucketServerEventHandler
class Mine(BitbucketServerEventHandler):
    def handle_pullrequest(self, payload, refname, category):
        changes, src = super().handle_pullrequest(payload, refname.replace("merge", "from"), category)
        changes[0]["properties"]["number"] = payload["pullrequest"]["id"]
        return changes, src

    def handle_pullrequest_rejected(self, payload):
        return [], "git"

    def _handle_repo_refs_changed_common(self, payload):
        changes, src = super()._handle_repo_refs_changed_common(payload)
        return [change for change in changes if change["branch"] != "refs/tags/v1"], src
""",
        "bitbucketserver",
        (
            bitbucket("bitbucketserver", "pullrequest:created", as_server(bitbucket_pull())),
            bitbucket("bitbucketserver", "pullrequest:fulfilled", as_server(bitbucket_pull())),
            bitbucket("bitbucketserver", "pullrequest:rejected", as_server(bitbucket_pull())),
            bitbucket("bitbucketserver", "repo:refs_changed", as_server(bitbucket_push())),
            bitbucket("bitbucketserver", "repo:push", as_server(bitbucket_push(type="tag", name="v1"))),
        ),
        {"bitbucket_property_whitelist": ["bitbucket.title"]},
        differs=("change_hook_missing",),
    ),
    Sample(
        "bitbucketcloud-codebase",
        """
from buildbot.www.hooks.bitbucketcloud import BitbucketCloudEventHandler
class Mine(BitbucketCloudEventHandler):
    def __init__(self, master, options=None):
        super().__init__(master, options)
        self._codebase = lambda payload: payload["repository"]["name"]

    def getChanges(self, request):
        changes, src = self.process(request)
        for change in changes:
            change["category"] = "cloud-" + change["category"]
        return changes, src

    def handle_repo_push(self, payload):
        changes, src = super().handle_repo_push(payload)
        return changes[:1], src
""",
        "bitbucketcloud",
        (
            bitbucket("bitbucketcloud", "repo:push", bitbucket_push()),
            bitbucket("bitbucketcloud", "pullrequest:updated", bitbucket_pull()),
        ),
        differs=("change_hook_missing",),
    ),
    Sample(
        "gitorious-project",
        """
from buildbot.www.hooks.gitorious import GitoriousHandler
class Mine(GitoriousHandler):
    def process_change(self, payload, user, repo, repo_url, project):
        return super().process_change(payload, user, repo, "ssh://" + repo_url, project + "/" + user)
""",
        "gitorious",
        (form("gitorious", payload=json.dumps(gitorious())),),
        differs=("change_hook_missing",),
    ),
    Sample(
        "base-of-arguments",
        """
from buildbot.www.hooks.base import BaseHookHandler
class Mine(BaseHookHandler):
    def getChanges(self, request):
        args = request.args
        return [dict(revision=args[b"rev"][0], repository=args.get(b"repository")[0], author="svn",
                     project=self.options["project_name"], comments="", files=[], codebase=b"")], "svn"
""",
        "svnhook",
        (form("svnhook", rev="5", repository="svn://x"),),
        {"project_name": "p"},
    ),
    Sample(
        "base-with-more",
        """
from twisted.internet import defer
from buildbot.www.hooks.base import BaseHookHandler
class Mine(BaseHookHandler):
    @defer.inlineCallbacks
    def getChanges(self, request):
        changes, src = yield super().getChanges(request)
        (change,) = changes
        change["branch"] = change["branch"].split("/")[-1]
        change["properties"]["from"] = "base"
        return changes, "hg"
""",
        "base",
        (form("base", revision="1", branch="a/b", who="Ann", comments="c", files='["x"]', when="7"),),
    ),
    Sample(
        "base-of-json",
        """
import json
from buildbot.www.hooks.base import BaseHookHandler
class Mine(BaseHookHandler):
    def getChanges(self, request):
        payload = json.loads(request.content.read())
        if request.getHeader(b"X-Kind") != b"Build":
            raise ValueError("what is this?")
        author = payload["author"]
        return [{"author": author["name"], "revision": payload["sha"], "comments": payload["text"],
                 "files": payload["files"], "category": self.options.get("category"), "properties": {}}], "git"
""",
        "phabricator",
        (
            Sent(
                "phabricator",
                b'{"author": {"name": "Ann"}, "sha": "1", "text": "t", "files": ["a"]}',
                X_Kind="Build",
            ),
            Sent("phabricator", b"{}", X_Kind="Other"),
        ),
        {"category": "own"},
    ),
]
