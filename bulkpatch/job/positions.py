"""Where each key and value of a job file stands, so that an error can point at it.

The values themselves come from tomllib; only places are read here, and no place says what stands there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import tree_sitter
import tree_sitter_toml

from bulkpatch.errors import Problem
from bulkpatch.job.frames import draw_frame, file_shown, may_hold_secret
from bulkpatch.job.spec import KeyPath

_LANGUAGE: Final = tree_sitter.Language(tree_sitter_toml.language())
_TABLES: Final = frozenset({"table", "table_array_element"})
_KEYS: Final = frozenset({"bare_key", "quoted_key", "dotted_key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A run of characters; lines and columns count from 1, the end is the first one after it."""

    line: int
    column: int
    end_line: int
    end_column: int


class JobSource:
    """The text of one job file with the places of all its keys.

    Any text will do: of one that is no TOML, as much is known as can be told. ``file`` is its path on
    one line, never cut.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.file = file_shown(path)
        self.lines = tuple(line.removesuffix("\r") for line in text.split("\n"))

    @property
    def last_table(self) -> KeyPath:
        """The path of the last table header; empty if there is none."""
        return self._places.last_table

    def locate(self, key_path: KeyPath, on: Literal["key", "value"] = "key") -> Span | None:
        """The place of the key (or of its value) at ``key_path``, or None. A table's value is its header."""
        return self._places.spans.get((key_path, on))

    def problem(
        self,
        code: str,
        key_path: KeyPath,
        message: str,
        hint: str = "",
        on: Literal["key", "value"] = "key",
    ) -> Problem:
        """A problem that points at ``key_path``, or else at what stands around it."""
        wanted = key_path
        while (span := self.locate(wanted, on if wanted == key_path else "key")) is None and wanted:
            wanted = wanted[:-1]
        if span is None:
            return Problem(code=code, message=message, hint=hint, file=self.file)
        return Problem(
            code=code,
            message=message,
            hint=hint,
            file=self.file,
            line=span.line,
            column=span.column,
            frame=self.frame(span),
        )

    def frame(self, span: Span) -> str:
        """The quoted source around ``span``, without comments and without what may be a secret."""
        one_liner = span.end_line == span.line
        width = span.end_column - span.column if one_liner else len(self.lines[span.line - 1])
        return draw_frame(self.lines, self._places.cuts, span.line, span.column, width)

    @cached_property
    def _places(self) -> _Places:
        return _Places(self.text)


class _Places:
    """``spans`` by key path, the first one of each; ``cuts``: line index → column index from which it is hidden."""

    def __init__(self, text: str) -> None:
        self.spans: dict[tuple[KeyPath, Literal["key", "value"]], Span] = {}
        self.cuts: dict[int, int] = {}
        self._lines = text.encode("utf-8", "surrogatepass").split(b"\n")
        self.last_table: KeyPath = ()
        self._arrays: dict[KeyPath, int] = {}
        root = tree_sitter.Parser(_LANGUAGE).parse(b"\n".join(self._lines)).root_node
        for node in root.children:
            self._statement(node)
        if root.has_error:  # what belongs to which key cannot be told
            self.cuts = dict.fromkeys(range(len(self._lines)), 0)

    def _statement(self, node: tree_sitter.Node) -> None:
        if node.type not in _TABLES:
            self._walk(node, ())
            return
        header: KeyPath = ()
        for child in node.children:
            if child.type in _KEYS:
                self.last_table = header = self._header(child, opens=node.type == "table_array_element")
            else:
                self._walk(child, header)

    def _header(self, node: tree_sitter.Node, *, opens: bool) -> KeyPath:
        """The path that a table's header opens; the last element of each ``[[…]]`` on the way is meant."""
        path: KeyPath = ()
        parts = list(_parts(node))
        for number, (name, part) in enumerate(parts, start=1):
            path += (name,)
            self._note(path, part, part)
            if opens and number == len(parts):
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path += (self._arrays[path],)
                self._note(path, part, part)
        return path

    def _walk(self, start: tree_sitter.Node, path: KeyPath) -> None:
        """Note what stands at and below a statement. Iterative: nesting is bounded by the file's size alone."""
        waiting = [(start, path)]
        while waiting:
            node, path = waiting.pop()
            match node.type:
                case "comment":
                    self._hide(node)
                case "pair":
                    waiting += self._pair(node, path)
                case "array":
                    waiting += self._items(node, path)
                case "inline_table":
                    waiting += [(child, path) for child in reversed(node.children)]

    def _pair(self, node: tree_sitter.Node, path: KeyPath) -> Iterator[tuple[tree_sitter.Node, KeyPath]]:
        """The value, and a comment behind it: the grammar takes that for a part of the pair."""
        comments = [child for child in node.children if child.type == "comment"]
        value = next(child for child in reversed(node.children) if child not in comments)
        parts = list(_parts(node.children[0]))
        for name, part in parts:
            path += (name,)
            self._note(path, part, part)
        self.spans[path, "value"] = self._span(value)
        if value.type != "inline_table" and may_hold_secret(path):
            self._hide(value)
        yield value, path
        yield from ((comment, path) for comment in comments)

    def _items(self, node: tree_sitter.Node, path: KeyPath) -> Iterator[tuple[tree_sitter.Node, KeyPath]]:
        index = 0
        for child in node.children:
            if child.is_named and child.type != "comment":
                self._note((*path, index), child, child)
                yield child, (*path, index)
                index += 1
            else:
                yield child, path

    def _note(self, path: KeyPath, key: tree_sitter.Node, value: tree_sitter.Node) -> None:
        self.spans.setdefault((path, "key"), self._span(key))
        self.spans.setdefault((path, "value"), self._span(value))

    def _hide(self, node: tree_sitter.Node) -> None:
        start, end = node.start_point, node.end_point
        column = self._column(start)
        self.cuts[start.row] = min(column, self.cuts.get(start.row, column))
        for row in range(start.row + 1, end.row + 1):
            self.cuts[row] = 0

    def _span(self, node: tree_sitter.Node) -> Span:
        start, end = node.start_point, node.end_point
        return Span(
            line=start.row + 1,
            column=self._column(start) + 1,
            end_line=end.row + 1,
            end_column=self._column(end) + 1,
        )

    def _column(self, point: tree_sitter.Point) -> int:
        return len(self._lines[point.row][: point.column].decode("utf-8", "replace"))


def _parts(node: tree_sitter.Node) -> Iterator[tuple[str, tree_sitter.Node]]:
    """The names of a key, dotted or not, with their places. Dotted keys nest to the left."""
    found = []
    while node.type == "dotted_key":
        found.append(node.children[-1])
        node = node.children[0]
    found.append(node)
    return ((_name(part), part) for part in reversed(found))


def _name(node: tree_sitter.Node) -> str:
    text = (node.text or b"").decode("utf-8", "replace")
    if node.type != "quoted_key":
        return text
    try:
        return next(iter(tomllib.loads(f"{text} = 0")))
    except tomllib.TOMLDecodeError:
        return text
