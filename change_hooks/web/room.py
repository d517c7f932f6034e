"""Memory for the bodies that are being received or answered.

Strategy: a small body needs no room, so one always gets in; the number of connections limits how many there
can be. The others share a number of bytes, of which one client gets a part. Where bytes are missing, the body
that comes the slowest now has to go, and not the newcomer: whoever announces much, or has sent much, and goes
on slowly keeps nobody out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

#: A body of so many bytes or fewer needs no room.
SMALL = 64 * 1024
#: For how long a body is a newcomer, in seconds.
NEW = 2.0
#: After how long the bytes that have come count half, in seconds.
HALF = 1.0


class Body:
    """A body that takes up room.

    :param client: whose it is.
    :param began: when its head had come, in seconds.
    :param evict: called when it has to go.
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
        """It has *size* bytes now."""
        self._recent = self._recent_at(now) + size - self.size
        self._at = now
        self.size = size

    def speed(self, now: float) -> tuple[bool, float]:
        """What is less is slower."""
        return now - self.began < NEW, self._recent_at(now)

    def _recent_at(self, now: float) -> float:
        faded: float = 0.5 ** ((now - self._at) / HALF)
        return self._recent * faded


class Room:
    """Bytes for bodies.

    :param limit: for all of them.
    :param share: for those of one client.
    """

    def __init__(self, limit: int, share: int) -> None:
        self.limit = limit
        self.share = share
        self.held = 0
        self._bodies: set[Body] = set()
        self._held_by: Counter[str] = Counter()

    def grow(self, body: Body, size: int, now: float) -> None:
        """*body* has *size* bytes now. What there is no room for any more is evicted; that may be itself."""
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
        """It is answered, or gone."""
        if body in self._bodies:
            self._bodies.remove(body)
            self._add(body, -body.size)

    def _add(self, body: Body, size: int) -> None:
        self.held += size
        self._held_by[body.client] += size
        if not self._held_by[body.client]:
            del self._held_by[body.client]


__all__ = ["SMALL", "Body", "Room"]
