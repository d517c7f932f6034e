"""Makes ``twist change-hooks`` known to Twisted."""

from change_hooks.cli.twist import ServiceMaker

change_hooks = ServiceMaker()
