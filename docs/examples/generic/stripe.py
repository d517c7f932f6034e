"""Stripe: a build when the catalogue changes. The timestamp and all signatures are in one header."""

endpoint = {
    "dialect": "generic",
    "secret": "whsec_Rk8zR2R1cGxvYWRzZWNyZXQxMjM0NTY3",
    "signature": {
        "header": "Stripe-Signature",
        "prefix": "v1=",
        "separator": ",",
        "signed": "{timestamp}.{body}",
        "timestamp": {"header": "Stripe-Signature", "prefix": "t=", "separator": ","},
    },
    "event": "type",
    "id": "id",
    "events": ["product.*", "price.*"],
    "change": {
        "project": {"value": "shop"},
        "branch": {"value": "main"},
        "category": "type",
        "comments": {"path": ["type", "data.object.id"], "join": " "},
        "when_timestamp": "created",
        "properties": "data.object",
    },
}
