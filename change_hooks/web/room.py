"""Memory for the bodies of requests that are being received or answered.

Strategy: a small body needs no room, so it is always admitted; the number of connections limits how many
there can be. All others share a budget of bytes, of which one client may use a part. If room is short, the
body that is currently arriving most slowly is evicted, rather than the new one: a client that announces a
large body, or has sent much, and continues slowly cannot keep others out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

#: A body of up to so many bytes needs no room.
SMALL = 64 * 1024
#: How long a body counts as new, in seconds.
NEW = 2.0
#: After how long received bytes count half, in seconds.
HALF = 1.0


class Body:
    """A body that takes up room.

    :param client: the client that sends it.
    :param began: when its head had arrived, in seconds.
    :param evict: called when the body is evicted.
    """

    __slots__ = ("_at", "_recent", "began", "client", "complete", "evict", "size")

    def __init__(self, client: str, began: float, evict: Callable[[], None]) -> None:
        self.client = client
        self.began = began
        self.evict = evict
        self.size = 0
        self.complete = False
        self._recent = 0.0
        self._at = began

    def grow(self, size: int, now: float) -> None:
        """The body now has *size* bytes."""
        self._recent = self._recent_at(now) + size - self.size
        self._at = now
        self.size = size

    def speed(self, now: float) -> tuple[bool, float]:
        """The order for eviction: a smaller value means slower."""
        return now - self.began < NEW, self._recent_at(now)

    def _recent_at(self, now: float) -> float:
        faded: float = 0.5 ** ((now - self._at) / HALF)
        return self._recent * faded


class Room:
    """The budget of bytes for bodies.

    :param limit: for all bodies.
    :param share: for the bodies of one client.
    """

    def __init__(self, limit: int, share: int) -> None:
        self.limit = limit
        self.share = share
        self.held = 0
        self._bodies: set[Body] = set()
        self._held_by: Counter[str] = Counter()

    def grow(self, body: Body, size: int, now: float) -> None:
        """*body* now has *size* bytes. Bodies without room are evicted; this one may be among them."""
        self._bodies.add(body)
        self._add(body, size - body.size)
        body.grow(size, now)
        while body in self._bodies:
            if self._held_by[body.client] > self.share:
                rivals = {each for each in self._bodies if each.client == body.client}
            elif self.held > self.limit:
                rivals = self._bodies
            else:
                return
            coming = [each for each in rivals if not each.complete]
            slowest = min(coming, key=lambda each: each.speed(now), default=body)
            self.release(slowest)
            slowest.evict()

    def release(self, body: Body) -> None:
        """The request of *body* has been answered, or its client has disconnected."""
        if body in self._bodies:
            self._bodies.remove(body)
            self._add(body, -body.size)

    def _add(self, body: Body, size: int) -> None:
        self.held += size
        self._held_by[body.client] += size
        if not self._held_by[body.client]:
            del self._held_by[body.client]


__all__ = ["SMALL", "Body", "Room"]
