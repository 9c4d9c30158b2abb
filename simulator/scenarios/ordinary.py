"""A terminal that keeps to the standard."""

from __future__ import annotations

from simulator.behaviour import Behaviour


class Ordinary(Behaviour):
    title = "keeps to the standard"
