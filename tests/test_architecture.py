"""The house stands: who may import whom, and no circles (ARCHITECTURE.md, "Rooms")."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("protocol", "alarms", "storage", "gateway", "simulator", "benchmarks")

MAY_IMPORT = {
    "protocol": set(),
    "alarms": {"protocol"},
    "storage": {"protocol", "alarms"},
    "gateway": {"protocol", "alarms", "storage"},
    "simulator": {"protocol"},
    "benchmarks": {"protocol", "alarms", "storage", "gateway", "simulator"},
}
# A command may use what a listener may not: `audit` reads the simulator's ledger, and `jtgate` offers
# the simulator as a command.
COMMANDS = {"gateway.commands_audit", "gateway.cli"}

PURE = ("protocol", "alarms")
IMPURE = {
    "asyncio", "socket", "time", "random", "secrets", "logging", "structlog", "os", "threading", "selectors",
    "subprocess", "uvloop", "asyncpg", "httpx", "pathlib",
}  # fmt: skip

# Rooms within the gateway that must not know others of it.
KEPT_APART = {
    "gateway.tcp": {"gateway.api", "gateway.stream", "gateway.worker", "asyncpg", "storage.database"},
    "gateway.udp": {"gateway.api", "gateway.stream", "gateway.worker", "asyncpg", "storage.database"},
    "gateway.session": {"gateway.api", "gateway.stream", "gateway.worker", "asyncpg", "storage.database"},
    "gateway.handlers": {"gateway.api", "gateway.stream", "gateway.worker", "asyncpg", "storage.database"},
    "gateway.registry": {"gateway.api", "gateway.stream", "gateway.worker", "asyncpg", "storage.database"},
    "storage.writer": {"gateway"},
}


def modules() -> dict[str, Path]:
    found = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """Modules that `name` imports when it runs; those for type checkers alone are left out."""
    tree = ast.parse(MODULES[name].read_text())
    for node in _running(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _running(child)


def top_level(name: str) -> Iterator[str]:
    """What `name` imports as it is imported itself: commands import the rest when they run."""
    tree = ast.parse(MODULES[name].read_text())
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


@pytest.mark.parametrize("name", sorted(MODULES))
def test_rooms_are_entered_by_those_who_may(name):
    room = name.partition(".")[0]
    allowed = MAY_IMPORT[room] | {room}
    if name in COMMANDS:
        allowed = allowed | {"simulator"}
    for imported in imports(name):
        other = imported.partition(".")[0]
        if other in ROOMS:
            assert other in allowed, f"{name} may not import {imported}"
        assert other != "tests", f"{name} imports tests"


@pytest.mark.parametrize("name", [m for m in sorted(MODULES) if m.partition(".")[0] in PURE])
def test_the_core_has_no_clock_no_socket_and_no_chance(name):
    impure = {i.partition(".")[0] for i in imports(name)} & IMPURE
    assert not impure, f"{name} imports {impure}"


@pytest.mark.parametrize("name", sorted(KEPT_APART))
def test_the_hot_path_does_not_know_the_rest(name):
    for imported in imports(name):
        for kept in KEPT_APART[name]:
            assert imported != kept and not imported.startswith(kept + "."), f"{name} imports {imported}"


def test_no_circle_of_imports():
    graph = {name: {i for i in top_level(name) if i in MODULES and i != name} for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("name", sorted(n for n, path in MODULES.items() if path.name != "__init__.py"))
def test_every_module_says_what_it_is_for(name):
    assert ast.get_docstring(ast.parse(MODULES[name].read_text())), f"{name} has no docstring"


def test_composition_happens_in_one_place():
    """Only the worker makes writers, registries and admissions."""
    makers = ("Writer(", "Registry(", "Admission(", "Services(")
    for name, path in MODULES.items():
        if name.startswith("gateway") and name != "gateway.worker":
            text = path.read_text()
            for maker in makers:
                assert f"= {maker}" not in text, f"{name} makes a {maker[:-1]}"
