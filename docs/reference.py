"""Writes docs/reference/: the tables of the program as pages, so that no page says what the program does not.

Writes the completion scripts too, which the program prints as they lie.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import EnumType
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import polars as pl

import bulkpatch
from bulkpatch.cli import app as commands
from bulkpatch.cli.commands.completing import SHELLS, work_out
from bulkpatch.cli.settings import VARIABLES, Common, Sending
from bulkpatch.core.lifecycle import DONE, FAILED
from bulkpatch.errors import CODES, EXIT_MEANINGS, codes
from bulkpatch.job.schema import job_schema
from bulkpatch.model import Progressed, RunEnded, RunResult, Snapshot
from bulkpatch.observe.metrics import Metrics
from bulkpatch.prequel.catalogue import Field, catalogue
from bulkpatch.reporting.columns import INSTANT, MODELS, REPLY, SEND
from bulkpatch.reporting.failures import OURS
from bulkpatch.reporting.meanings import MODEL_COLUMNS, OUTCOME_COLUMNS, STATES

FOLDER: Final = Path(__file__).parent / "reference"
SCRIPTS: Final = Path(bulkpatch.__file__).parent / "cli" / "scripts"
NOTE: Final = "<!-- written by docs/reference.py: change the program, then `make reference` -->"
INTEGER_LARGEST: Final = 2**53
"""A whole number's own bound, which no page needs to tell."""

Page = Iterator[str]


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    for shell in SHELLS:
        (SCRIPTS / f"bulkpatch.{shell}").write_text(work_out(shell), encoding="utf-8")


def pages() -> Mapping[str, str]:
    """File name → text, as the program of this moment has it."""
    makers: tuple[Callable[[], Page], ...] = (
        _commands, _job, _fields, _columns, _exit_codes, _errors, _metrics, _library,
    )  # fmt: skip
    return {
        f"{maker.__name__.lstrip('_').replace('_', '-')}.md": "\n".join((NOTE, "", *maker())).rstrip("\n") + "\n"
        for maker in makers
    }


# ── pieces of a page ─────────────────────────────────────────────────────────────────────────


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Page:
    for row in (head, ("---",) * len(head), *rows):
        cells = " | ".join(cell.replace("|", r"\|") for cell in row)
        yield f"| {cells} |"
    yield ""


def _code(value: object) -> str:
    return f"`{value}`"


def _words(docstring: str | None) -> Page:
    """A docstring as paragraphs, without its parameters."""
    prose = inspect.cleandoc(docstring or "").partition("\nParameters\n")[0]
    yield from (*prose.replace("``", "`").strip().splitlines(), "")


# ── commands ─────────────────────────────────────────────────────────────────────────────────


def _commands() -> Page:
    yield from ("# Commands", "", "`bulkpatch COMMAND --help` says the same.", "")
    shared = {"Common": _options_of(Common), "Sending": _options_of(Sending)}
    program = commands.build()
    for name in commands.COMMANDS:
        arguments = list(program[name].assemble_argument_collection(parse_docstring=True))
        places = [one for one in arguments if one.index is not None]
        taken = {one.name for one in arguments}
        typed = "".join(f" {_place(one)}" for one in places)
        yield from (f"## {name}", "", f"`bulkpatch {name}{typed}`", "")
        yield from _words(inspect.getdoc(program[name].default_command))
        own = [one for one in arguments if one.show and one.name not in shared["Common"] | shared["Sending"]]
        if own:
            yield from _table(("argument", "what it is", "default"), map(_argument, own))
        sets = [f"[{words}](#{anchor})" for key, words, anchor in _SETS if shared[key] <= taken]
        if sets:
            yield from (f"Also takes the {' and the '.join(sets)}.", "")
    for key, words, _ in _SETS:
        every = program["run"].assemble_argument_collection()
        yield from (f"## {words.capitalize()}", "")
        yield from _table(
            ("option", "what it is", "default"),
            [_argument(one) for one in every if one.show and one.name in shared[key]],
        )
    yield from ("## Environment", "", "A flag wins over the environment, the environment over the job.", "")
    yield from _table(("variable", "sets"), [(_code(name), f"`{key}` of the job") for name, key in VARIABLES.items()])
    yield "`BULKPATCH_REPORT_DIR` is where run folders lie, `BULKPATCH_SIM_KEY` the key that `sim` takes."


_SETS: Final = (("Common", "common options", "common-options"), ("Sending", "sending options", "sending-options"))


def _options_of(group: type[Common | Sending]) -> frozenset[str]:
    return frozenset(f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(group))


def _place(argument: Any) -> str:
    word = argument.name.lstrip("-").upper()
    return word if argument.required else f"[{word}]"


def _argument(argument: Any) -> tuple[str, str, str]:
    names = [_place(argument)] if argument.index is not None else sorted(argument.names, key=len, reverse=True)
    choices = ", ".join(map(_code, argument.get_choices() or ()))
    about = argument.parameter.help or ""
    default = argument.field_info.default
    shown = "" if default in (inspect.Parameter.empty, None, False, "", 0) else _code(default)
    return ", ".join(map(_code, names)), " ".join(filter(None, (about, choices and f"({choices})"))), shown


# ── job file and fields ──────────────────────────────────────────────────────────────────────


def _job() -> Page:
    schema = job_schema()
    yield from ("# Job file", "", "TOML. A key that is not here is refused, with the nearest that is.", "")
    for name, drawn in schema["properties"].items():
        if name in {"patch", "expect"}:
            fields = "The fields are [those of the API](fields.md)."
            yield from (f"## [{name}]", "", f"{drawn['description']} {fields}", "")
        else:
            yield from _section(name, drawn, schema["$defs"])


def _section(name: str, drawn: Mapping[str, Any], tables: Mapping[str, Any]) -> Page:
    """One table of the job, then the tables in it."""
    table = tables[_reference(drawn).rpartition("/")[2]]
    many = drawn.get("type") == "array"
    yield from (f"## [[{name}]]" if many else f"## [{name}]", "")
    yield from (" ".join((table["description"], *([drawn["description"]] if many else []))), "")
    inner = {key: form for key, form in table["properties"].items() if "Table" in _reference(form)}
    keys = {key: form for key, form in table["properties"].items() if key not in inner}
    required = table.get("required", ())
    yield from (
        _table(
            ("key", "what it is", "form", "default"),
            (
                (_code(key), one.get("description", ""), _form(one), "*needed*" if key in required else _default(one))
                for key, one in keys.items()
            ),
        )
        if keys
        else ()
    )
    for key, form in inner.items():
        yield from _section(f"{name}.{key}", form, tables)


def _reference(form: Mapping[str, Any]) -> str:
    """Which table of the schema ``form`` is, or is a list of; empty where it is a value."""
    places = (form, form.get("items", {}), *form.get("anyOf", ()))
    return next((str(place["$ref"]) for place in places if "$ref" in place), "")


def _form(form: Mapping[str, Any]) -> str:
    match form:
        case {"anyOf": forms}:
            words = " or ".join(dict.fromkeys(map(_form, forms)))
        case {"const": value}:
            words = _code(value)
        case {"enum": values}:
            words = ", ".join(map(_code, values))
        case {"type": "array", "items": one}:
            words = f"list of {_form(one)}"
        case {"type": "boolean"}:
            words = "`true`, `false`"
        case {"type": "integer", "minimum": least}:
            most = form.get("maximum", INTEGER_LARGEST)
            words = f"{least} to {most}" if most < INTEGER_LARGEST else f"{least} or more"
        case {"type": "object"}:
            words = "table of text"
        case _:
            words = "share" if "%" in form.get("pattern", "") else "text"
    return words


def _default(form: Mapping[str, Any]) -> str:
    match form.get("default"):
        case None | [] | {}:
            return ""
        case bool(value):
            return _code(str(value).lower())
        case str(text):
            return _code(f'"{text}"')
        case value:
            return _code(value)


def _fields() -> Page:
    yield from ("# Fields of the API", "", "What `[patch]`, `[expect]` and columns of the input may name. A secret", "")
    yield from ("takes a reference; what is write-only cannot be read back. `bulkpatch schema` says the same.", "")
    for vendor, fields in groupby(catalogue().fields.values(), key=lambda field: field.vendor or "Every destination"):
        yield from (f"## {vendor}", "", *_table(("field", "type", "mark", "what is known of it"), map(_field, fields)))


def _field(field: Field) -> tuple[str, str, str, str]:
    mark = "secret" if field.secret else "" if field.readable else "write-only"
    values = ", ".join(map(_code, field.enum or field.known_values))
    more = "" if field.enum or not values else " and others"
    about = " ".join(filter(None, (field.description, values and f"{values}{more}")))
    return _code(field.path), field.type.value.replace("_", " "), mark, about


# ── the report ───────────────────────────────────────────────────────────────────────────────


def _columns() -> Page:
    yield from ("# Report columns", "", "## States", "")
    counts = {**dict.fromkeys(DONE, "done"), **dict.fromkeys(FAILED, "failed")}
    yield from _table(
        ("state", "meaning", "counts as"), [(_code(one), words, counts.get(one, "")) for one, words in STATES.items()]
    )
    yield from ("## outcomes.parquet", "", "One row per input row, in input order.", "")
    yield from _table(("column", "type", "meaning"), _typed(SEND | REPLY, OUTCOME_COLUMNS))
    yield from ("Then each label of the job, as `label_<name>`.", "")
    yield from ("## models.parquet", "", "One row per input row and model of its destination's last transfer.", "")
    yield from _table(("column", "type", "meaning"), _typed(MODELS, MODEL_COLUMNS))
    ours = ", ".join(map(_code, OURS))
    yield from (
        "## failures.csv",
        "",
        f"The failed rows with their input cells byte for byte, and {ours}. Columns that",
    )
    yield "begin with `_bp_` are passed over on input, so the file is input again."


def _typed(types: Mapping[str, pl.DataType], meanings: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, kind in types.items():
        yield _code(name), "Datetime, µs, UTC" if kind == INSTANT else str(kind), meanings[name]


def _exit_codes() -> Page:
    yield from ("# Exit codes", "")
    yield from _table(("code", "meaning"), [(str(int(code)), words) for code, words in EXIT_MEANINGS.items()])


def _errors() -> Page:
    yield from ("# Error codes", "")
    yield from ("`bulkpatch explain CODE` says the same. A code is never used again for something else.", "")
    rooms = dict(re.findall(r"(BP\d)xx ([^·.]+[^·.\s])", codes.__doc__ or ""))
    for room, among in groupby(CODES.items(), key=lambda one: one[0][:3]):
        words = " ".join(rooms[room].split())
        yield from (f"## {room}xx: {words}", "")
        for code, about in among:
            yield from (f"### {code}", "", f"**{about.title}.** {about.cause}", "", f"*Fix:* {about.fix}", "")


def _metrics() -> Page:
    yield from ("# Metrics", "", "Of `--metrics-file` and `--metrics-port`, in the OpenMetrics form.", "")
    shown = Metrics()
    shown.notify(Progressed(snapshot=Snapshot(total=1, left_s=1.0)))
    ended = RunResult(run_id="", folder="", status="finished", exit_code=0, snapshot=Snapshot(total=1, left_s=1.0))
    shown.notify(RunEnded(result=ended))
    suffixes = {"counter": "_total", "info": "_info"}
    yield from _table(
        ("metric", "kind", "meaning"),
        [(_code(one.name + suffixes.get(one.type, "")), one.type, one.documentation) for one in shown.collect()],
    )


# ── the library ──────────────────────────────────────────────────────────────────────────────


def _library() -> Page:
    yield from ("# Library", "", "What `import bulkpatch` gives. [As a library](../library.md) shows it at work.", "")
    given = {name: getattr(bulkpatch, name) for name in bulkpatch.__all__}
    yield from ("## Functions", "")
    for name, function in given.items():
        if inspect.isfunction(function):
            yield from (f"### {name}", "", f"`{_signature(name, function)}`", "", *_words(function.__doc__))
    yield from ("## Values", "")
    for name, kind in given.items():
        if inspect.isclass(kind):
            yield from (f"### {name}", "", *_words(kind.__doc__), *_members(kind))


def _signature(name: str, function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    awaited = "await " if inspect.iscoroutinefunction(function) else ""
    return re.sub(r"Unpack\[(\w+)\]", r"\1", f"{awaited}{name}{signature}".replace("'", ""))


def _members(kind: type) -> Page:
    if isinstance(kind, EnumType):
        yield from (", ".join(f"`{one.value}`" for one in kind), "")  # type: ignore[var-annotated]
    elif dataclasses.is_dataclass(kind):
        members = [(_code(one.name), _code(str(one.type).replace(" | ", " or "))) for one in dataclasses.fields(kind)]
        yield from _table(("field", "type"), members) if members else ()


if __name__ == "__main__":
    main()
