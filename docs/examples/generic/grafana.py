"""Grafana Alerting: a build for each alert that fires. The contact point names both headers."""

endpoint = {
    "dialect": "generic",
    "secret": "the secret of the contact point",
    "signature": {
        "header": "X-Grafana-Alerting-Signature",
        "signed": "{timestamp}:{body}",
        "timestamp": "X-Grafana-Alerting-Timestamp",
    },
    "event": "status",
    "id": {"path": ["groupKey", "status", "alerts.0.startsAt"], "join": " "},
    "ignore_events": ["resolved"],
    "change": {
        "each": "alerts",
        "skip": {"status": "resolved"},
        "author": "$.receiver",
        "project": {"path": "labels.service", "default": "unknown"},
        "branch": {"value": "main"},
        "category": {"value": "alert"},
        "comments": ["annotations.summary", "$.title"],
        "revlink": "generatorURL",
        "when_timestamp": "startsAt",
    },
    "properties": {"alert": "$.commonLabels.alertname"},
}
