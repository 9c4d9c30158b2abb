"""Generations, deadlines and pressure, without sockets."""

from __future__ import annotations

from alarms.lifecycle import Watch
from gateway.registry import Limits, Registry
from gateway.session import Session
from tests.gateway.test_session import Line, Talk


class House:
    """A registry with sessions that are told who they are."""

    def __init__(self, **limits) -> None:
        self.talk = Talk()
        self.seen: list[tuple[str, bool]] = []
        self.registry = Registry(
            self.talk.services, Limits(**limits), online=lambda s, on: self.seen.append((s.phone, on))
        )

    def open(self, phone: str = "", address: str = "192.0.2.1") -> Session:
        line = Line()
        line.address = address
        session = self.registry.open(line)
        assert session is not None
        if phone:
            session.link.phone = phone
            self.registry.enter(session)
            session.admitted(1, Watch(phone))
        return session


def test_the_newest_wins_and_the_old_socket_can_not_hurt_it():
    house = House()
    old = house.open("1")
    new = house.open("1")
    assert old.transport.closed and house.registry.session("1") is new
    assert new.generation > old.generation
    house.registry.lost(old)  # its connection_lost comes late
    assert house.registry.session("1") is new and len(house.registry) == 1
    assert house.seen == [("1", True)]
    house.registry.lost(new)
    assert house.seen == [("1", True), ("1", False)] and house.registry.session("1") is None
    assert house.talk.services.counters.connections["tcp"] == 0
    assert house.talk.services.counters.authenticated == 0


def test_a_session_that_never_proved_itself_leaves_no_trace():
    house = House(per_address=2)
    first, second = house.open(), house.open()
    assert house.registry.open(Line()) is None
    house.registry.lost(first)
    third = house.open()
    house.registry.lost(second)
    house.registry.lost(third)
    house.registry.lost(third)
    assert house.seen == [] and not house.registry._per_address


def test_proving_frees_the_place_of_an_address():
    house = House(per_address=1)
    for n in range(5):
        house.open(str(n))
    assert len(house.registry) == 5


def test_deadlines():
    house = House(preauth_timeout=10, idle_timeout=100)
    silent, known = house.open(), house.open("1")
    house.talk.clock += 11
    house.registry.sweep()
    assert silent.transport.closed and not known.transport.closed
    house.talk.clock += 100
    house.registry.sweep()
    assert known.transport.closed and len(house.registry) == 0


def test_nobody_is_idle_while_reading_is_paused():
    house = House(preauth_timeout=10, idle_timeout=100)
    known = house.open("1")
    house.registry.pressure(True)
    assert known.transport.paused
    late = house.open()
    assert late.transport.paused
    house.talk.clock += 1000
    house.registry.sweep()
    assert not known.transport.closed and not late.transport.closed
    house.registry.pressure(False)
    assert not known.transport.paused


def test_what_the_read_side_sees():
    house = House()
    house.open("1", address="198.51.100.7")
    house.talk.clock += 5
    seen = house.registry.connection("1")
    assert (seen.transport, seen.address, seen.edition) == ("tcp", "198.51.100.7", 2013)
    assert seen.last_seen == seen.since
    assert house.registry.connection("2") is None


def test_a_registry_that_stops_takes_nobody():
    house = House()
    house.registry.accepting = False
    assert house.registry.open(Line()) is None
