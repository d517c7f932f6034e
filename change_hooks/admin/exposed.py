"""``/metrics``: the counters, and the state of the journal."""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import time
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from change_hooks.admin.last import LastDeliveries
from change_hooks.interfaces import IJournal
from change_hooks.journal import Summary
from change_hooks.observer import Observer
from change_hooks.web.answers import Answer, write_answer

if TYPE_CHECKING:
    from change_hooks.admin.metrics import Metrics

MISSING = "metrics need: pip install 'change-hooks[metrics]'"

log = Logger()


class MetricsPage(Resource):
    """Responds with all metrics.

    :param journal: None: there is none, so the metrics about it are left out.
    :param sinks: the names of all sinks.
    """

    isLeaf = True

    def __init__(
        self, metrics: Metrics, journal: IJournal | None, last: LastDeliveries, sinks: Collection[str]
    ) -> None:
        super().__init__()
        self._metrics = metrics
        self._journal = journal
        self._last = last
        self._sinks = sinks

    def render_GET(self, request: Any) -> int:
        """Read the journal, and respond."""
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        accept = (request.requestHeaders.getRawHeaders(b"accept") or [b""])[-1].decode("latin-1")

        def answer(summary: Summary | None) -> None:
            if gone:
                return
            body, media_type = self._exposed(accept, summary)
            request.setHeader(b"content-type", media_type.encode())
            request.setHeader(b"x-content-type-options", b"nosniff")
            request.setHeader(b"content-length", b"%d" % len(body))
            request.write(b"" if request.method == b"HEAD" else body)
            request.finish()

        self._summary().addCallback(answer)
        return NOT_DONE_YET

    def _summary(self) -> Deferred[Summary | None]:
        """A summary of the journal; None: there is no journal, or it cannot be read."""
        journal = self._journal
        if journal is None:
            return succeed(None)
        read: Deferred[Summary | None] = self._last.read(journal).addCallback(
            lambda _: journal.read(lambda reader: reader.summary())
        )
        return read.addErrback(_cannot)

    def _exposed(self, accept: str, summary: Summary | None) -> tuple[bytes, str]:
        from change_hooks.admin.metrics import Standing

        now = time()
        last = {endpoint: now - age for endpoint, age in self._last.ages().items()}
        sinks = self._sinks if self._journal is not None else ()
        return self._metrics.exposed(accept, Standing(summary, sinks, last, now))


def _cannot(failure: Failure) -> None:
    log.error("the journal cannot be read for /metrics: {reason}", reason=failure.getErrorMessage())


class _Missing(Resource):
    isLeaf = True

    def render(self, request: IRequest) -> bytes:
        return write_answer(request, Answer(501, MISSING))


def metrics_page(
    endpoints: Callable[[], Collection[str]],
    journal: IJournal | None,
    last: LastDeliveries,
    sinks: Collection[str],
) -> tuple[IResource, Observer | None]:
    """The page, and its counters; without the package for it, a page that says so.

    :param endpoints: returns the names of the configured endpoints.
    :param sinks: the names of all sinks.
    """
    try:
        from change_hooks.admin.metrics import Metrics
    except ImportError:
        return _Missing(), None
    metrics = Metrics(endpoints)
    return MetricsPage(metrics, journal, last, sinks), metrics


__all__ = ["MISSING", "MetricsPage", "metrics_page"]
