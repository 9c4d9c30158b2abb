"""Evidence that comes late, twice, in pieces, under wrong names and sizes, or to the wrong door."""

from __future__ import annotations

from simulator.evidence import Faults
from simulator.scenarios.evidence import Evidence

SMALL = 1 << 10  # bytes of a packet, so that pictures have several

UPLOADS: dict[str, tuple[str, Faults]] = {
    "upload-loses": ("loses a fifth of its data packets", Faults(lost=0.2, chunk=SMALL)),
    "upload-doubles": ("sends data packets twice", Faults(doubled=0.3, chunk=SMALL)),
    "upload-reorders": ("sends data packets in another order", Faults(reordered=0.5, chunk=SMALL)),
    "upload-overlaps": ("sends data packets that overlap", Faults(overlapping=0.5, chunk=SMALL)),
    "upload-early-done": (
        "says that a file is sent before its last packet",
        Faults(early_done=True, chunk=SMALL),
    ),
    "upload-cuts": ("loses the connection amid a file, and resumes", Faults(cut=0.6, chunk=SMALL)),
    "upload-chaos": (
        "all at once: packets lost, doubled, reordered, overlapping, connections cut",
        Faults(lost=0.05, doubled=0.05, reordered=0.05, overlapping=0.05, cut=0.2, chunk=SMALL),
    ),
    "upload-other-header": ("uploads under the header of another edition", Faults(other_header=True)),
    "upload-hostile-names": (
        "gives files names that lead out of a folder, or into trouble",
        Faults(
            names=(
                "../../../../etc/passwd",
                "/etc/cron.d/jtgate",
                "C:\\Windows\\win.ini",
                "00_65_6501_0_\0.jpg",
                "照片\u202egpj.exe",
                "CON",
                "a" * 250,
            )
        ),
    ),
    "upload-claims-4-gib": ("claims that its files have 4 GiB", Faults(claimed=(1 << 32) - 1)),
    "upload-unknown-number": ("uploads under a number that was never issued", Faults(number="F" * 32)),
    "upload-foreign-alarm": ("uploads to the alarm of another terminal", Faults(foreign=True)),
}


def uploads(name: str) -> type[Evidence]:
    """The behaviour of that name."""

    class Uploads(Evidence):
        title, faults = UPLOADS[name]

    return Uploads


SCENARIOS = {name: uploads(name) for name in UPLOADS}
