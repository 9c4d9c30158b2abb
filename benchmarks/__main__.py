"""`python -m benchmarks [NAME …]`: runs benchmarks and writes their results."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from benchmarks.common import NotHere, Options, save

NAMES = ("decode", "cold", "ingest", "evidence", "latency")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=float, default=Options().seconds)
    parser.add_argument("--connections", type=int, default=Options().connections)
    parser.add_argument("--window", type=int, default=Options().window)
    parser.add_argument("--no-save", action="store_true", help="print only")
    given = parser.parse_args()
    options = Options(given.seconds, given.connections, given.window)
    for name in given.names:
        if name not in NAMES:
            parser.error(f"no benchmark {name!r}; there are {', '.join(NAMES)}")
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"{name}: {module.QUESTION}", file=sys.stderr, flush=True)
        try:
            figures = module.run(options)
        except NotHere as reason:
            print(f"{name}: not run, {reason}", file=sys.stderr)
            continue
        print(json.dumps({name: figures}, indent=2), flush=True)
        if not given.no_save:
            save(name, module.QUESTION, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
