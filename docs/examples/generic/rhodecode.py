"""RhodeCode: pushes. The secret is in the body; it is removed before anything is stored."""

endpoint = {
    "dialect": "generic",
    "secret": "the token of the webhook",
    "token_in": {"body": "token"},
    "event": "event.name",
    "events": ["repo-push"],
    "change": {
        "each": "event.push.commits",
        "skip": {"git_ref_change": "*delete*"},
        "author": "author",
        "branch": "branch",
        "comments": "message",
        "revision": "raw_id",
        "revlink": "url",
        "when_timestamp": "date",
        "repository": "$.event.repo.url",
        "project": "$.event.repo.repo_name",
        "src": "$.event.repo.repo_type",
    },
    "properties": {"pusher": "event.actor.username"},
}
