"""What the page knows of the configuration in force."""

from __future__ import annotations

import msgspec


class EndpointFacts(msgspec.Struct, frozen=True):
    """An endpoint.

    :param name: its name.
    :param sender: who sends to it, in a few words; empty: not known.
    :param secret: deliveries are verified by a secret.
    :param simulated: ``change-hooks simulate`` can send to it.
    """

    name: str
    sender: str = ""
    secret: bool = False
    simulated: bool = False


class Facts(msgspec.Struct, frozen=True):
    """What is configured.

    :param endpoints: in the order of the configuration.
    :param sinks: the names of the sinks.
    :param warnings: what is doubtful, each a sentence.
    :param payloads: what was sent may be shown.
    :param url: what forges are told, without the endpoint's name; empty: not known.
    :param config: the configuration's file as commands take it; empty: none.
    """

    endpoints: tuple[EndpointFacts, ...] = ()
    sinks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    payloads: bool = True
    url: str = ""
    config: str = ""


__all__ = ["EndpointFacts", "Facts"]
