"""Answers to commands of the platform: twice, late, never."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.link import Message, Result
from simulator.behaviour import Behaviour

Answers = Sequence[tuple[float, Result]]


class DoubleAcks(Behaviour):
    title = "acknowledges each command twice"

    def answers(self, command: Message, result: Result) -> Answers:
        return ((0.0, result), (0.2, result))


class LateAcks(Behaviour):
    title = "acknowledges commands half a minute later"

    def answers(self, command: Message, result: Result) -> Answers:
        return ((30.0, result),)


class NoAcks(Behaviour):
    title = "acknowledges no command"

    def answers(self, command: Message, result: Result) -> Answers:
        return ()
