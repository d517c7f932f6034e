"""The durable store of deliveries and changes.

Strategy: an accepted delivery is stored in one transaction with its changes and with an *entry* for each sink
that wants part of it: the transactional outbox. Entries are in *queues*, one for each pair of sink and
repository; a queue is worked through in order, and records the attempts of its head and the time of the next
one. So a failing repository or sink holds up nothing else, and a worker needs to know only its queue.

Several receivers may share a journal. A receiver that works on a queue, or finishes a pending delivery, holds
it by a *lease*, which it renews; when a receiver dies, its leases expire, and the others take over.

Only one receiver writes at a time, so no statement needs to consider concurrent ones. Statements use the SQL
that SQLite and PostgreSQL share, and are named constants at the top of the module that runs them; a store
knows how to connect, how to run operations in one transaction, and which clock leases use.
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
