"""Apache Allura (SourceForge): pushes, the newest commit first. It signs with HMAC-SHA1."""

endpoint = {
    "dialect": "generic",
    "secret": "the secret of the webhook",
    "signature": {"header": "X-Allura-Signature", "algorithm": "sha1", "prefix": "sha1="},
    "repository": {"url": "repository.url", "full_name": "repository.full_name", "name": "repository.name"},
    "refs": {"ref": "ref", "before": "before", "after": "after"},
    "commits": {
        "each": "commits",
        "order": "newest first",
        "id": "id",
        "message": "message",
        "author_name": "author.name",
        "author_email": "author.email",
        "when": "timestamp",
        "url": "url",
        "files": ["added", "removed", "modified"],
    },
}
