from change_hooks.dialects.github import GitHubEventHandler

c = {}
c["www"] = dict(
    port=8010,
    change_hook_dialects={
        "github": {"custom_class": GitHubEventHandler, "secret": "a long enough secret", "strict": True},
    },
)
