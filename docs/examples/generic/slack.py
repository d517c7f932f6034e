"""Slack: a shortcut that starts a build. It is sent as a form; the signature covers the form."""

endpoint = {
    "dialect": "generic",
    "secret": "8f742231b10e8888abcd99yyyzzz85a5",
    "signature": {
        "header": "X-Slack-Signature",
        "prefix": "v0=",
        "signed": "v0:{timestamp}:{body}",
        "timestamp": {"header": "X-Slack-Request-Timestamp", "tolerance": 300},
    },
    "event": "type",
    "id": "trigger_id",
    "events": ["shortcut"],
    "change": {
        "author": "user.username",
        "project": "team.domain",
        "branch": {"path": "callback_id", "map": {"build_main": "main", "build_stable": "stable"}},
        "category": "type",
        "when_timestamp": "action_ts",
    },
}
