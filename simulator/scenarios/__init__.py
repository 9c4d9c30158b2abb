"""How terminals behave, by name. One behaviour a file; the rude ones are in `pathological/`."""

from __future__ import annotations

from simulator.behaviour import Behaviour
from simulator.scenarios import alarms, evidence, ordinary, outage, pathological

WELL_BEHAVED: dict[str, type[Behaviour]] = {
    "ordinary": ordinary.Ordinary,
    "alarms": alarms.Alarms,
    "evidence": evidence.Evidence,
    "outage": outage.Outage,
}
SCENARIOS: dict[str, type[Behaviour]] = WELL_BEHAVED | pathological.SCENARIOS

GROUPS: dict[str, tuple[str, ...]] = {
    "mix": ("ordinary", "ordinary", "ordinary", "alarms", "evidence", "outage"),
    "pathological": tuple(pathological.SCENARIOS),
    "all": tuple(SCENARIOS),
}
"""Names that stand for several: the terminals of a fleet take turns."""


def scenarios(names: str) -> list[type[Behaviour]]:
    """The scenarios of a comma-separated list; ValueError names what there is not."""
    found: list[type[Behaviour]] = []
    for name in names.split(","):
        for single in GROUPS.get(name.strip(), (name.strip(),)):
            if single not in SCENARIOS:
                known = ", ".join([*GROUPS, *SCENARIOS])
                raise ValueError(f"no scenario {single!r}; there are {known}")
            found.append(SCENARIOS[single])
    return found
