"""The durable store of deliveries and changes.

Strategy: an accepted delivery is stored in one transaction with its changes and with an *entry* for each sink
that wants something of it: the transactional outbox. Entries stand in *queues*, one for each pair of sink
and repository; a queue is worked through in order, and its head carries the attempts and the time of the next
one. So a failing repository or sink holds up nobody else, and whoever works on a queue needs to know only
that queue.

Several receivers may share a journal. Who works on a queue, or finishes a pending delivery, holds it on
a *lease*, and renews that; what a receiver that died held falls to the others when its lease runs out.

All writing is done one transaction at a time over all receivers, so that no statement has to think of another
one beside it. Statements are written in what SQLite and PostgreSQL share, and stand as named constants at the
head of the module that runs them; a store says how to connect, how to run operations in one transaction, and
which clock leases go by.
"""

from __future__ import annotations

from change_hooks.journal.records import (
    LEASE,
    NOWHERE,
    STATES,
    TRACES,
    Appended,
    Attempt,
    ChangeKey,
    Claimed,
    DeadLetter,
    Entry,
    Outcome,
    Pending,
    Results,
    Routes,
    Trace,
    Wish,
    Work,
)
from change_hooks.journal.views import (
    SINK_STATES,
    Listed,
    SinkState,
    SinkSummary,
    StoredChange,
    StoredDelivery,
    Summary,
    Wanted,
    Whole,
)

__all__ = [
    "LEASE",
    "NOWHERE",
    "SINK_STATES",
    "STATES",
    "TRACES",
    "Appended",
    "Attempt",
    "ChangeKey",
    "Claimed",
    "DeadLetter",
    "Entry",
    "Listed",
    "Outcome",
    "Pending",
    "Results",
    "Routes",
    "SinkState",
    "SinkSummary",
    "StoredChange",
    "StoredDelivery",
    "Summary",
    "Trace",
    "Wanted",
    "Whole",
    "Wish",
    "Work",
]
