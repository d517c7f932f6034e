"""A Klein application with change hooks. Run it: python in_klein.py"""

from klein import Klein

from change_hooks import Change, make_resource

app = Klein()


def on_change(change: Change) -> None:
    print(f"{change.author} changed {change.branch}: {change.comments}", flush=True)


hooks = make_resource({"change_hook_dialects": {"base": {"secret": "a long enough secret"}}}, sink=on_change)


@app.route("/")
def home(request):
    return "a Klein application"


@app.route("/ci/change_hook", branch=True)
def change_hook(request):
    return hooks


if __name__ == "__main__":
    app.run("127.0.0.1", 8080)
