"""A port for change hooks only, with limits while a request arrives. Run it: python own_port.py"""

import sys

from twisted.internet import reactor
from twisted.python import log

from change_hooks import Change, ChangeHookService


def on_change(change: Change) -> None:
    print(f"{change.author} changed {change.branch}: {change.comments}", flush=True)


www = {"change_hook_dialects": {"base": {"secret": "a long enough secret"}}}
hooks = ChangeHookService(www, sink=on_change)
log.startLogging(sys.stderr)
hooks.startService()
reactor.addSystemEventTrigger("before", "shutdown", hooks.stopService)
reactor.listenTCP(8080, hooks.site, interface="127.0.0.1")
reactor.run()
