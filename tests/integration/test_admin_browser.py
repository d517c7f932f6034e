"""The admin page in a real browser."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from change_hooks.testing import build

from ..support.browser import chromium, violations
from ..support.programs import Server, eventually, free_port

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> \x1b[2J"
WWW = """'change_hook_admin': {'port': PORT},
    'change_hook_dialects': {'base': True, 'github': {'secret': 'a long enough secret'}, 'gitlab': {}},
    'change_hook_sinks': {
        'build': {'sink': 'command', 'argv': ['/bin/sh', '-c', 'echo "$CHANGE_HOOK_BRANCH" >> build.txt']},
        'mirror': {'sink': 'command', 'argv': ['/bin/sh', '-c', 'exit 65']},
        'nightly': {'sink': 'command', 'argv': ['/bin/sh', '-c', 'exit 1'], 'only': {'branches': ['dev']}},
    }"""
DIALECTS: dict[str, Any] = {
    "change_hook_dialects": {"base": True, "github": {"secret": "a long enough secret"}, "gitlab": {}}
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


class Page:
    """A server, and the address of its page."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{port}/"

    def send(self, endpoint: str, event: str = "", payload: Any = b"", **sent: Any) -> None:
        delivery = build(DIALECTS, endpoint, event, payload, **sent)
        url = self.server.url.removesuffix("/change_hook") + delivery.uri.decode()
        request = urllib.request.Request(url, data=delivery.body, method="POST")
        for name, values in delivery.requestHeaders.getAllRawHeaders():
            request.add_header(name.decode(), values[-1].decode())
        try:
            urllib.request.urlopen(request, timeout=60).close()
        except urllib.error.HTTPError as error:
            error.close()

    def push(self, **fields: str) -> None:
        self.send("base", form={"revision": "1c9f", "repository": "acme/api", "branch": "main", **fields})

    def lists(self) -> int:
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            return int(answer.read().count(b'<tr id="d'))

    def built(self) -> list[str]:
        path = self.server.folder / "build.txt"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def page(server: Callable[..., Server]) -> Page:
    port = free_port()
    made = Page(server(WWW.replace("PORT", str(port))), port)
    made.push(author="Ann <ann@example.com>", comments="One\n\ntwo")
    made.push(author=HOSTILE, comments=HOSTILE, repository=HOSTILE, branch="dev")
    made.send("github", "ping", {"zen": "x"})
    made.send("github", "push", {}, secret="wrong")
    made.send("gitlab", "Push Hook", {}, headers={"X-Gitlab-Token": "x"})
    eventually(lambda: len(made.built()) == 2)
    eventually(lambda: made.lists() == 5)  # The traces of what gave nothing come a second later.
    return made


PATHS = [
    "",
    "?state=failed",
    "?endpoint=nowhere",
    "?text=zzz",
    "deliveries/1",
    "deliveries/2",
    "deliveries/9",
    "replay",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_everybody_can_read_it(scheme: str, width: int, page: Page, browser: Any) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    shown = context.new_page()
    problems: list[str] = []
    shown.on("console", lambda message: problems.append(message.text))
    shown.on("pageerror", lambda error: problems.append(str(error)))
    for path in PATHS:
        shown.goto(page.url + path)
        assert violations(shown) == [], path
        assert shown.evaluate("document.documentElement.scrollWidth") <= width, path
        assert "owned" not in shown.title()
    assert [problem for problem in problems if "404" not in problem] == []
    ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is (scheme == "light")
    context.close()


def test_nothing_comes_from_another_host(page: Page, browser: Any) -> None:
    context = browser.new_context()
    shown = context.new_page()
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    for path in PATHS:
        shown.goto(page.url + path)
    assert asked
    assert [url for url in asked if not url.startswith(page.url)] == []
    context.close()


@pytest.mark.parametrize("script", [True, False])
def test_one_delivery_is_replayed(script: bool, page: Page, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=script)
    shown = context.new_page()
    shown.goto(page.url)
    shown.get_by_label("Text").fill("Ann")
    shown.get_by_role("button", name="Filter").click()
    shown.locator("td.when a").click()
    assert shown.url.endswith("/deliveries/1")
    shown.get_by_label("build").check()
    shown.get_by_role("button", name="Replay").click()
    assert shown.url.endswith("/deliveries/1")
    eventually(lambda: page.built() == ["main", "dev", "main"])
    context.close()


def test_many_are_replayed_after_a_question(page: Page, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto(page.url)
    eventually(lambda: shown.reload() and shown.locator("td.result .failed").count() == 2)
    shown.get_by_label("State").select_option("failed")
    shown.get_by_role("button", name="Filter").click()
    shown.get_by_role("link", name="Replay these").click()
    assert shown.inner_text("h1") == "Replay 2 deliveries?"
    shown.get_by_label("these sinks").check()
    shown.get_by_label("build").check()
    shown.get_by_role("button", name="Replay 2 deliveries").click()
    assert "A replay of 2 deliveries was requested" in shown.inner_text("main")
    eventually(lambda: sorted(page.built()) == ["dev", "dev", "main", "main"])
    context.close()


def test_the_list_follows_what_comes_until_it_is_paused(page: Page, browser: Any) -> None:
    context = browser.new_context()
    shown = context.new_page()
    shown.goto(page.url)
    shown.get_by_text("live", exact=True).wait_for()
    page.push(author="Newcomer")
    shown.get_by_text("Newcomer").wait_for()
    assert "Newcomer" in shown.locator("tbody tr").first.inner_text()
    shown.get_by_role("button", name="Pause").click()
    page.push(author="Latecomer")
    shown.get_by_text("held").wait_for()
    assert not shown.get_by_text("Latecomer").count()
    shown.get_by_role("button", name="Resume").click()
    shown.get_by_text("Latecomer").wait_for()
    assert page.server.stop() == 0
    shown.get_by_text("reconnecting").wait_for()
    context.close()


def test_it_is_used_by_keyboard(page: Page, browser: Any) -> None:
    context = browser.new_context()
    shown = context.new_page()
    shown.goto(page.url)
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.textContent") == "Skip to the content"
    shown.keyboard.press("Enter")
    assert shown.evaluate("document.activeElement.id") == "content"
    for _ in range(40):
        shown.keyboard.press("Tab")
        if shown.evaluate("document.activeElement.closest('td.when') !== null"):
            break
    shown.keyboard.press("Enter")
    shown.wait_for_url("**/deliveries/*")
    context.close()


def test_another_site_replays_nothing(page: Page, browser: Any, server: Any) -> None:
    context = browser.new_context()
    shown = context.new_page()
    shown.goto(f"{page.url}deliveries/1")
    token = shown.locator("input[name=token]").get_attribute("value")
    form = (
        f"<form method=post action={page.url}replay><input name=seq value=1><input name=to value=chosen>"
        f"<input name=sink value=build><input name=token value={token}><button>go</button></form>"
    )
    shown.goto(f"data:text/html,{form}")
    with shown.expect_response(f"{page.url}replay") as answered:
        shown.get_by_role("button").click()
    assert answered.value.status == 403
    shown.goto(f"{page.url}deliveries/1")
    shown.evaluate("document.querySelector('input[name=token]').value = 'forged'")
    shown.get_by_label("build").check()
    with shown.expect_response(f"{page.url}replay") as answered:
        shown.get_by_role("button", name="Replay").click()
    assert answered.value.status == 403
    assert page.built() == ["main", "dev"]
    context.close()
