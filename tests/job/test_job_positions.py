"""Every key and value of a job is found where it stands, however it is written."""

from __future__ import annotations

import datetime as dt
import json
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_rig import marked

from bulkpatch.job.positions import JobSource, Span
from bulkpatch.job.spec import KeyPath

JOB: Final = Path("job.toml")


def slice_of(source: JobSource, span: Span) -> str:
    """The characters of the text that ``span`` covers."""
    lines = source.text.split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


PLACES: Final = [
    # the key that is asked for, the text with its place marked, key or value
    (("a",), "«a» = 1", "key"),
    (("a",), "a = «1»", "value"),
    (("a",), "  «a»  =  1  # c", "key"),
    (("b",), "a = 1\n«b» = 2", "key"),
    (("t", "a"), "[t]\n\n# c\n«a» = 1", "key"),
    (("t", "a"), "[t]\na = «'x # y'» # c", "value"),
    (("t",), "[«t»]\na = 1", "key"),
    (("t",), "[ «t» ]\na = 1", "value"),
    (("t", "u"), "[t.«u»]", "key"),
    (("t",), "[«t».u]", "key"),
    # dotted keys
    (("a", "b"), "a.«b» = 1", "key"),
    (("a", "b"), "a . «b» = 1", "key"),
    (("a", "b", "c"), "[a]\nb.«c» = 1", "key"),
    (("a", "b"), "[a]\n«b».c = 1\nb.d = 2", "key"),
    (("a", "b", "d"), "[a]\nb.c = 1\nb.«d» = 2", "key"),
    (("a", "b", "d"), "[a]\nb.c = 1\nb.d = «2»", "value"),
    (("x", "a"), "x = { «a».b = 1, a.c = 2 }", "key"),
    # keys that look like something else
    (("3", "14"), "3.«14» = 1", "key"),
    (("1979-05-27",), "«1979-05-27» = 1", "key"),
    (("true",), "«true» = false", "key"),
    (("inf",), "«inf» = nan", "key"),
    (("-1",), "«-1» = -1", "key"),
    (("0x1F",), "«0x1F» = 0x1F", "key"),
    # quoted keys
    (("a b",), '«"a b"» = 1', "key"),
    (("a.b", "c"), "'a.b'.«c» = 1", "key"),
    (("a.b",), "«'a.b'».c = 1", "key"),
    (("é\n",), '«"\\u00e9\\n"» = 1', "key"),
    (("",), '«""» = 1', "key"),
    (("t", "a=b"), '[t]\n«"a=b"» = 1', "key"),
    (("t u", "a"), '["t u"]\n«a» = 1', "key"),
    # inline tables and lists
    (("x", "b"), "x = { a = 1, «b» = 2 }", "key"),
    (("x", "b"), "x = { a = 1, b = «{ c = 3 }» }", "value"),
    (("x", "b", "c"), "x = { a = 1, b = { «c» = 3 } }", "key"),
    (("x", 1), "x = [1, «2»]", "key"),
    (("x", 1), "x = [\n 1, # one\n # none\n «'b'»,\n]", "value"),
    (("x", 0, 1), "x = [[1, «2»], 3]", "key"),
    (("x", 1, "a"), "x = [{ a = 1 }, { «a» = 2 }]", "key"),
    # arrays of tables
    (("w",), "[[«w»]]\na = 1\n[[w]]\na = 2", "key"),
    (("w", 0), "[[«w»]]\na = 1\n[[w]]\na = 2", "key"),
    (("w", 1), "[[w]]\na = 1\n[[«w»]]\na = 2", "key"),
    (("w", 1, "a"), "[[w]]\na = 1\n[[w]]\n«a» = 2", "key"),
    (("w", 1, "g", "b"), "[[w]]\n[[w]]\n[w.g]\n«b» = 2", "key"),
    (("w", 1, "g", 0), "[[w]]\n[[w.g]]\n[[w]]\n[[w.«g»]]", "key"),
    (("w", 1, "g", 1, "c"), "[[w]]\n[[w.g]]\n[[w]]\n[[w.g]]\n[[w.g]]\n«c» = 1", "key"),
    (("w", 1, "g", "s"), "[[w]]\nsize = 1\n[[w]]\ngate = { «s» = 1 }\nw.g.s = 5\n".replace("gate", "g"), "key"),
    (("t", "w", 1, "a"), "[[t.w]]\na = 1\n[[t.w]]\n«a» = 1", "key"),
    # strings over several lines, and what stands behind them
    (("a",), 'a = «"""\nx\ny"""»\nb = 1', "value"),
    (("b",), 'a = """\n[t]\nb = 0\n"""\n«b» = 1', "key"),
    (("b",), "a = '''\r\nx'''\r\n«b» = 1\r\n", "key"),
    (("b",), 'a = "é😀"\n«b» = 1', "key"),
    (("x", "b"), 'x = { "é😀" = "é😀", «b» = 1 }', "key"),
    (("x", "b"), 'x = { a = """\né""", «b» = 1 }', "key"),
]


@pytest.mark.parametrize(("path", "text", "on"), PLACES)
def test_a_place_is_exact(path: KeyPath, text: str, on: Any) -> None:
    """Line, column and end, on the key or on its value."""
    place = marked(text)
    tomllib.loads(place.text.replace("w.g.s = 5\n", ""))
    source = JobSource(JOB, place.text)
    span = source.locate(path, on)
    assert span is not None
    assert (span.line, span.column) == (place.line, place.column)
    assert slice_of(source, span) == text[text.index("«") + 1 : text.index("»")]


def test_what_is_not_there_has_no_place_and_a_problem_points_at_what_stands_around_it() -> None:
    """The nearest key above it; nothing at all where there is none."""
    source = JobSource(JOB, "[send]\nrate = '5/s'\n[[wave]]\n[[wave]]\n")
    assert source.locate(("send", "window")) is None
    assert source.locate(("wave", 2)) is None
    assert [source.problem("BP104", path, "").line for path in (("send", "window", "tz"), ("wave", 1, "size"))] == [
        1,
        4,
    ]
    nowhere = source.problem("BP104", ("job",), "the key is missing", "Add it.")
    assert (nowhere.line, nowhere.column, nowhere.frame, nowhere.file) == (None, None, "", "job.toml")
    assert (nowhere.code, nowhere.message, nowhere.hint) == ("BP104", "the key is missing", "Add it.")


def test_the_last_table_is_known() -> None:
    """So that a line that is no TOML can be told from a secret's."""
    assert JobSource(JOB, "a = 1").last_table == ()
    assert JobSource(JOB, "[a.b]\nc = 1\n[[w]]\n[[w]]").last_table == ("w", 1)
    assert JobSource(JOB, "[[w]]\n[w.g]\nx = [").last_table == ("w", 0, "g")


# ── whatever a job looks like ────────────────────────────────────────────────────────────────

names = st.one_of(
    st.sampled_from(["a", "b", "c-d", "e_f", "1", "true", "2020-01-01"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
scalars = st.one_of(
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.dates(dt.date(1900, 1, 1)),
    st.datetimes(dt.datetime(1900, 1, 1)),  # noqa: DTZ001  (TOML has local times)
)
trees = st.dictionaries(
    names,
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
    ),
    max_size=4,
)


@dataclass
class Writer:
    """Writes a tree of values as TOML, each part in a form that is drawn."""

    draw: st.DrawFn

    def toss(self) -> bool:
        """Heads or tails."""
        return self.draw(st.booleans())

    def blank(self) -> str:
        """Blanks, where any number may stand."""
        return self.draw(st.sampled_from(["", " ", "\t "]))

    def end(self) -> str:
        """The end of a line, with what may come before and after it."""
        return self.draw(st.sampled_from(["\n", "\r\n", " # a = 1\n", "\n\n", "\n# [c]\n", "\t#\n"]))

    def key(self, name: str) -> str:
        """One name of a key."""
        bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        if bare and self.toss():
            return name
        return f"'{name}'" if name.isprintable() and "'" not in name and self.toss() else basic(name)

    def value(self, value: Any) -> str:
        """A value as it stands behind ``=``."""
        match value:
            case bool():
                return str(value).lower()
            case int() | float():
                return str(value).lower() if isinstance(value, int) or math.isinf(value) else f"{value!r}"
            case str():
                return self.text(value)
            case dt.date():
                return value.isoformat()
            case list():
                return "[" + self.gap() + "".join(f"{self.value(one)}{self.gap()},{self.gap()}" for one in value) + "]"
            case _:
                pairs = (
                    f"{self.blank()}{path}{self.blank()}={self.blank()}{self.value(one)}"
                    for path, one in self.pairs(value)
                )
                return "{" + ",".join(pairs) + self.blank() + "}"

    def gap(self) -> str:
        """What may stand between the parts of a list."""
        return self.draw(st.sampled_from(["", " ", "\n", " # ], =\n", "\r\n\t"]))

    def text(self, text: str) -> str:
        """A text in one of the forms that can hold it."""
        forms = [basic(text), f'"""\n{basic(text)[1:-1]}"""']
        if all(one.isprintable() or one == "\n" for one in text) and "'" not in text:
            forms.append(f"'''\n{text}'''")
            if "\n" not in text:
                forms.append(f"'{text}'")
        return self.draw(st.sampled_from(forms))

    def pairs(self, table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Keys, dotted where a table below may be written so, and what belongs behind them."""
        for name, value in table.items():
            if isinstance(value, dict) and value and self.toss():
                dot = f"{self.blank()}.{self.blank()}"
                yield from ((self.key(name) + dot + path, inner) for path, inner in self.pairs(value))
            else:
                yield self.key(name), value

    def table(self, table: dict[str, Any], header: str = "") -> str:
        """A whole table: first its own pairs, then the tables below it under headers of their own."""
        below = {
            name: value
            for name, value in table.items()
            if self.toss()
            and (
                isinstance(value, dict)
                or (isinstance(value, list) and value and all(isinstance(one, dict) for one in value))
            )
        }
        own = {name: value for name, value in table.items() if name not in below}
        lines = [
            f"{self.blank()}{path}{self.blank()}={self.blank()}{self.value(one)}{self.end()}"
            for path, one in self.pairs(own)
        ]
        for name, value in below.items():
            path = f"{header}.{self.key(name)}" if header else self.key(name)
            inner = self.blank() + path + self.blank()
            if isinstance(value, dict):
                lines.append(f"[{inner}]{self.end()}{self.table(value, path)}")
            else:
                lines += [f"[[{inner}]]{self.end()}{self.table(one, path)}" for one in value]
        return "".join(lines)


def basic(text: str) -> str:
    """A basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """A tree of values, and TOML that says it."""
    tree = draw(trees)
    return tree, Writer(draw).table(tree)


def _paths(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step), inner
        yield from _paths(inner, (*path, step))


@settings(max_examples=120, deadline=None)
@given(document=documents())
def test_every_key_of_any_job_is_found_on_a_line_that_holds_it(document: tuple[dict[str, Any], str]) -> None:
    """What tomllib reads is what there is; what stands at the places reads back as key and value."""
    tree, text = document
    assert tomllib.loads(text) == tree
    source = JobSource(JOB, text)
    for path, value in _paths(tree):
        key, at = source.locate(path), source.locate(path, "value")
        assert key is not None, path
        assert at is not None, path
        if isinstance(path[-1], str):
            assert list(tomllib.loads(f"{slice_of(source, key)} = 0")) == [path[-1]]
        if not isinstance(value, (dict, list)):
            assert tomllib.loads(f"x = {slice_of(source, at)}")["x"] == value
        problem = source.problem("BP105", path, "words")
        assert (problem.line, problem.column) == (key.line, key.column)
        assert "^" in problem.frame.split("\n")[-1]


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from("abc.=[]{}\"'#\n\r\t ,1é😀\x00\x1b\ud800\\"), max_size=60))
def test_any_text_can_be_pointed_into(text: str) -> None:
    """What is no TOML has places, too, or none; it never fails, and frames show one line each."""
    source = JobSource(JOB, text)
    for path in ((), ("a",), ("a", "b"), ("a", 0)):
        problem = source.problem("BP102", path, "words")
        assert problem.frame.count("\n") <= 2
        assert all(character.isprintable() or character == "\n" for character in problem.frame)
    assert isinstance(source.last_table, tuple)


def test_a_megabyte_of_brackets_is_read_without_recursion() -> None:
    """Depth is bounded by the file's size alone."""
    deep = JobSource(JOB, "x = " + "[" * 50_000)
    assert deep.problem("BP102", ("x",), "words").line in {None, 1}
    wide = JobSource(JOB, "".join(f"k{number} = {{ a = [1, 2] }}\n" for number in range(5_000)))
    assert wide.locate(("k4999", "a", 1)) == Span(line=5000, column=19, end_line=5000, end_column=20)
