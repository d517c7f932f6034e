from __future__ import annotations

from change_hooks.web.room import Body, Room


class Taken:
    """A room of 100 bytes, 60 for each client, and what was evicted from it."""

    def __init__(self) -> None:
        self.room = Room(100, 60)
        self.evicted: list[str] = []

    def body(self, name: str, size: int = 0, *, client: str = "", began: float = 0) -> Body:
        body = Body(client or name, began, lambda: self.evicted.append(name))
        if size:
            self.room.grow(body, size, began)
        return body


def test_bodies_share_the_room() -> None:
    taken = Taken()
    one, two = taken.body("one", 60), taken.body("two", 40)
    assert (taken.room.held, taken.evicted) == (100, [])
    taken.room.release(one)
    taken.room.release(one)
    assert taken.room.held == 40
    taken.room.grow(two, 60, 0)
    assert (taken.room.held, taken.evicted) == (60, [])


def test_the_slowest_goes_whoever_came_last() -> None:
    taken = Taken()
    fast, slow = taken.body("fast", 20), taken.body("slow", 40)
    taken.room.grow(fast, 35, 10)
    taken.room.grow(slow, 41, 10)
    taken.room.grow(taken.body("newcomer", began=10), 30, 10)
    assert (taken.room.held, taken.evicted) == (65, ["slow"])
    taken.room.grow(taken.body("another", began=10), 40, 10)
    assert taken.evicted == ["slow", "fast"]


def test_what_has_come_long_ago_counts_for_nothing() -> None:
    taken = Taken()
    taken.body("much at once", 60)
    steady = taken.body("steady", 1)
    for second in range(1, 30):
        taken.room.grow(steady, 1 + second, second)
    taken.room.grow(taken.body("newcomer", began=30), 11, 30)
    assert taken.evicted == ["much at once"]


def test_a_newcomer_is_not_the_slowest_before_it_could_send_anything() -> None:
    taken = Taken()
    one, two = taken.body("one", 1), taken.body("two", 8)
    for second in range(1, 10):
        taken.room.grow(one, 1 + 6 * second, second)
        taken.room.grow(two, 8 + 4 * second, second)
    assert (taken.room.held, taken.evicted) == (99, [])
    taken.room.grow(taken.body("newcomer", began=9), 2, 9)
    assert taken.evicted == ["two"]


def test_what_is_being_answered_does_not_go() -> None:
    taken = Taken()
    for name in ("a", "b"):
        taken.body(name, 50).complete = True
    late = taken.body("late", began=100)
    taken.room.grow(late, 1, 100)
    assert (taken.room.held, taken.evicted) == (100, ["late"])


def test_a_client_that_takes_more_than_its_part_loses_its_own_slowest() -> None:
    taken = Taken()
    taken.body("other", 5)
    taken.body("slow", 20, client="x")
    taken.room.grow(taken.body("newcomer", client="x", began=5), 50, 5)
    assert taken.evicted == ["slow"]
    taken.room.grow(taken.body("large", client="y", began=5), 61, 5)
    assert taken.evicted == ["slow", "large"]
    assert taken.room.held == 55


def test_as_many_go_as_must() -> None:
    taken = Taken()
    for number in range(10):
        taken.body(str(number), 10)
    taken.room.grow(taken.body("x", began=5), 55, 5)
    assert len(taken.evicted) == 6
    assert taken.room.held == 95
