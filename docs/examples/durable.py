"""The same with a journal: every change that got a 202 reaches the sink. Run it: python durable.py"""

import sys

from twisted.internet import reactor
from twisted.python import log
from twisted.web.resource import Resource
from twisted.web.server import Site

from change_hooks import Change, ChangeHookService


def on_change(change: Change) -> None:
    print(f"{change.author} changed {change.branch}: {change.comments}", flush=True)


www = {"change_hook_dialects": {"base": {"secret": "a long enough secret"}}}
hooks = ChangeHookService(www, sink=on_change)
root = Resource()
root.putChild(b"change_hook", hooks.resource)
log.startLogging(sys.stderr)
hooks.startService()
reactor.addSystemEventTrigger("before", "shutdown", hooks.stopService)
reactor.listenTCP(8080, Site(root), interface="127.0.0.1")
reactor.run()
