from buildbot.util.service import BuildbotService

from change_hooks.hosts.buildbot import make_resource


class InternalHooks(BuildbotService):
    name = "internal_hooks"

    def reconfigService(self, **www):
        resource = make_resource(self.master, www)
        self.master.www.apps.get("base").resource.putChild(b"internal", resource)


services = [InternalHooks(change_hook_dialects={"base": True})]
