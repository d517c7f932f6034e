"""A Twisted server with change hooks below one of its paths. Run it: python embedded.py"""

import sys

from twisted.internet import reactor
from twisted.python import log
from twisted.web.resource import Resource
from twisted.web.server import Site

from change_hooks import Change, make_resource


def on_change(change: Change) -> None:
    print(f"{change.author} changed {change.branch}: {change.comments}", flush=True)


www = {"change_hook_dialects": {"base": {"secret": "a long enough secret"}}}
root, ci = Resource(), Resource()
root.putChild(b"ci", ci)
ci.putChild(b"change_hook", make_resource(www, sink=on_change))
log.startLogging(sys.stderr)
reactor.listenTCP(8080, Site(root), interface="127.0.0.1")
reactor.run()
