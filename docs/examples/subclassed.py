"""Handlers for events that the dialects leave out."""

from change_hooks import Change, Ignored, Shape, shaped
from change_hooks.core.payload import epoch
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.gitlab import GitLabHandler


class Release(Shape):
    tag_name: str
    html_url: str
    name: str | None = None
    body: str | None = None
    published_at: str | None = None


class Repository(Shape):
    full_name: str
    html_url: str


class ReleaseEvent(Shape):
    action: str
    release: Release
    repository: Repository


class WithReleases(GitHubEventHandler):
    """Also handles GitHub's ``release`` when a release is published."""

    @shaped(ReleaseEvent)
    def handle_release(self, payload):
        release, repository = payload.release, payload.repository
        if payload.action != "published":
            return Ignored("the release is not published")
        change = Change(
            comments=release.body or release.name or release.tag_name,
            branch=release.tag_name,
            category="release",
            when_timestamp=epoch(release.published_at),
            revlink=release.html_url,
            repository=repository.html_url,
            project=repository.full_name,
        )
        return [change], "git"


class WithPipelines(GitLabHandler):
    """Also handles GitLab's ``pipeline`` when a pipeline has succeeded. The payload is plain objects."""

    def handle_pipeline(self, payload, event):
        pipeline, project = payload["object_attributes"], payload["project"]
        if pipeline["status"] != "success":
            return [], "git"
        change = {
            "branch": pipeline["ref"],
            "revision": pipeline["sha"],
            "category": event,
            "repository": project["git_http_url"],
            "project": project["name"],
        }
        return [change], "git"


c = {
    "www": {
        "change_hook_dialects": {
            "github": {"class": WithReleases, "secret": "a long enough secret", "strict": True},
            "gitlab": {"custom_class": WithPipelines, "secret": "another long secret"},
        }
    }
}
