"""The examples of docs/codec.md do what they say."""

from __future__ import annotations

import doctest
from pathlib import Path

import protocol

PAGE = Path(__file__).parents[2] / "docs" / "codec.md"


def test_the_examples_of_the_page() -> None:
    text = "\n".join("" if line.startswith("```") else line for line in PAGE.read_text().splitlines())
    examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(examples.examples) > 20
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(examples, out=told.append)
    assert not told, "".join(told)


def test_the_public_names_are_there_and_told_of() -> None:
    page = PAGE.read_text()
    for name in protocol.__all__:
        assert getattr(protocol, name).__doc__, name
        assert f"`{name}`" in page, name
    assert (Path(protocol.__file__).parent / "py.typed").exists()
