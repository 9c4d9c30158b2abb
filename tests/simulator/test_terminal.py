"""A terminal against a platform, with a clock of the test's own and no network."""

from __future__ import annotations

from math import inf

import pytest

from protocol.codec import decode_body  # placeholder
