"""JT/T 808 (2011, 2013, 2019), JT/T 1078 and their active-safety extensions: bytes to meaning and back.

A codec of its own: it knows no socket, no clock, no database, and nothing of the gateway around it. These
names are what other programs need; docs/codec.md has examples, docs/messages.md every message and field.

    decode, encode, explain    a frame: to a JSON-ready dict, from one, and field by field
    Profile, Reading, Field    bodies without frames, as one terminal speaks
    Link, Role, …              one connection: frames, parts, serials, repetitions, acknowledgements
    Edition, EncodeError       the editions of 808; what does not fit, by message, field and reason
"""

from __future__ import annotations

from protocol.codec import Edition, EncodeError, Field, Profile, Reading, decode, encode, explain
from protocol.frame import Fault, Reason
from protocol.link import Link, Message, Part, Repetition, Result, Role, Unanswered

__all__ = [
    "Edition",
    "EncodeError",
    "Fault",
    "Field",
    "Link",
    "Message",
    "Part",
    "Profile",
    "Reading",
    "Reason",
    "Repetition",
    "Result",
    "Role",
    "Unanswered",
    "decode",
    "encode",
    "explain",
]
