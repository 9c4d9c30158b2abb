"""Answers to commands of the platform: twice, late, never, under another serial, refusals."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from protocol.link import Message
from simulator.behaviour import Behaviour
from simulator.bodies import Say

ACK = 0x0001
SERIAL_FIRST = frozenset((0x0104, 0x0201, 0x0302, 0x0500, 0x0802, 0x0805, 0x1205))
"""Answers whose body begins with the serial of the command."""


class DoubleAcks(Behaviour):
    title = "acknowledges each command twice"

    def replies(self, command: Message, said: Sequence[Say]) -> Sequence[Say]:
        return [*said, *(replace(say, after=0.2) for say in said if say.message_id == ACK)]


class LateAcks(Behaviour):
    title = "acknowledges commands half a minute later"

    def replies(self, command: Message, said: Sequence[Say]) -> Sequence[Say]:
        return [replace(say, after=30.0) if say.message_id == ACK else say for say in said]


class NoAcks(Behaviour):
    title = "acknowledges no command"

    def replies(self, command: Message, said: Sequence[Say]) -> Sequence[Say]:
        return [say for say in said if say.message_id != ACK]


class LateAnswers(Behaviour):
    title = "answers commands half a minute later"

    def replies(self, command: Message, said: Sequence[Say]) -> Sequence[Say]:
        return [replace(say, after=say.after + 30.0) for say in said]


class NoAnswers(Behaviour):
    title = "says nothing at all to commands"

    def replies(self, command: Message, said: Sequence[Say]) -> Sequence[Say]:
        return ()


class AckForAnswers(Behaviour):
    title = "acknowledges commands that want an answer of their own, before it"

    def replies(self, command: Message, said: Sequence[Say]) -> Sequence[Say]:
        acknowledged = any(say.message_id == ACK for say in said)
        return said if acknowledged else [Say(ACK, _head(command) + b"\0"), *said]


class AnswerSerialZero(Behaviour):
    title = "names serial 0 in answers and acknowledgements of commands"

    def replies(self, command: Message, said: Sequence[Say]) -> Sequence[Say]:
        named = SERIAL_FIRST | {ACK}
        return [
            replace(say, body=bytes(2) + say.body[2:]) if say.message_id in named else say for say in said
        ]


def refuses(result: int) -> type[Behaviour]:
    """A terminal that refuses every command (results 1 to 3 of 808-2013 table 4; 4 is the platform's)."""

    class Refuses(Behaviour):
        title = f"refuses every command with result {result}"

        def replies(self, command: Message, said: Sequence[Say]) -> Sequence[Say]:
            return [Say(ACK, _head(command) + bytes((result,)))]

    return Refuses


def _head(command: Message) -> bytes:
    return command.serial.to_bytes(2) + command.id.to_bytes(2)
