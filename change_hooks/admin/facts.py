"""What the page shows of the current configuration."""

from __future__ import annotations

import msgspec


class EndpointFacts(msgspec.Struct, frozen=True):
    """An endpoint.

    :param name: its name.
    :param sender: a short description of the sender; empty: not known.
    :param secret: whether deliveries are verified by a secret.
    :param simulated: whether ``change-hooks simulate`` can send to it.
    """

    name: str
    sender: str = ""
    secret: bool = False
    simulated: bool = False


class Facts(msgspec.Struct, frozen=True):
    """The configuration, as far as the page shows it.

    :param endpoints: in the order of the configuration.
    :param sinks: the names of the sinks.
    :param warnings: one sentence each.
    :param payloads: whether payloads may be shown.
    :param url: the public URL, without the endpoint's name; empty: not known.
    :param config: the configuration's file, as an argument of commands; empty: none.
    """

    endpoints: tuple[EndpointFacts, ...] = ()
    sinks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    payloads: bool = True
    url: str = ""
    config: str = ""


__all__ = ["EndpointFacts", "Facts"]
