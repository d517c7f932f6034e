"""A journal whose sink is code of a program: the program does the replay that a command asks for."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

from .conftest import eventually, free_port, program

EMBEDDED = """
import sys
from pathlib import Path

from twisted.application.service import Application, IService, IServiceCollection
from twisted.internet import reactor

from change_hooks import ChangeHookService


def sink(change):
    if Path("down").exists():
        raise RuntimeError("down")
    with open("taken", "a") as taken:
        print(change.revision, file=taken)


www = {"change_hook_dialects": {"base": True}, "change_hook_attempts": 1}
hooks = ChangeHookService(www, sink=sink)
application = Application("embedding")
hooks.setServiceParent(IServiceCollection(application))
reactor.listenTCP(int(sys.argv[1]), hooks.site, interface="127.0.0.1")
service = IService(application)
reactor.callWhenRunning(service.startService)
reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
reactor.run()
"""


def test_the_program_that_has_the_sink_replays(tmp_path: Path) -> None:
    (tmp_path / "down").touch()
    (tmp_path / "hooks.cfg").write_text("c = {'www': {'change_hook_dialects': {'base': True}}}")
    port = free_port()

    def change_hooks(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program("change-hooks"), arguments[0], "hooks.cfg", *arguments[1:]]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)

    with subprocess.Popen([sys.executable, "-c", EMBEDDED, str(port)], cwd=tmp_path) as embedding:
        try:

            def sent() -> bool:
                try:
                    url = f"http://127.0.0.1:{port}/change_hook/base"
                    with urllib.request.urlopen(url, b"revision=1", timeout=10) as answer:
                        return bool(answer.status == 202)
                except OSError:
                    return False

            eventually(sent)
            eventually(lambda: '"failed"' in change_hooks("deliveries", "--json").stdout)
            (tmp_path / "down").unlink()
            replayed = change_hooks("replay", "--failed", "--since", "1h")
            assert (replayed.returncode, replayed.stdout) == (0, "Replayed 1 delivery; none failed.\n"), (
                replayed.stderr
            )
            eventually(lambda: (tmp_path / "taken").exists())
            assert (tmp_path / "taken").read_text() == "1\n"
        finally:
            embedding.terminate()
            embedding.wait(30)
