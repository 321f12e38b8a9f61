"""Whatever stands in a job, in its rows or in an answer: it is taken or refused in words; nothing else is raised."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest
from api_rig import Bench
from wire_rig import Wire, done, job_of, run_on

from bulkpatch import api
from bulkpatch.errors import CODES, ExitCode, InvalidInput

JOB: Final = """#:schema x
[job]
name = "fuzzed"
[api]
base_url = "http://127.0.0.1:9"
allow_unknown_fields = true
[input]
path = "rows.%s"
where = "customer <> 'x'"
null = "NULL"
labels = ["customer"]
inline_secrets = false
[input.columns]
pw = "postgres.password_auth.password"
[patch]
max_concurrent_transfers = 2
[patch.postgres]
port = { column = "port", default = 5432 }
[patch.postgres.password_auth]
username = "u"
[expect]
vendor = "postgres"
[send]
rate = "5/s"
timeout = "30s"
window = { days = ["sat"], from = "01:00", to = "05:00", tz = "UTC" }
[[wave]]
size = "10%%"
by = "customer"
gate = { failed = "1%%", soak = "1m", transfers = "95%%" }
[guard]
max_failed = "1%%"
[verify]
connection_test = "off"
[secrets]
exec_env = ["A"]
"""
ROWS: Final = {
    "csv": b'destination_id,customer,pw,port,is_enabled\na,x,env:A,1,true\nb,"y ""z""",file:pw,,false\n',
    "tsv": b"destination_id\tcustomer\tpw\tport\tis_enabled\na\tx\tenv:A\t1\ttrue\nb\ty\tfile:pw\t\tfalse\n",
    "ndjson": b'{"destination_id":"a","customer":"x","pw":"exec:x","port":1}\n{"destination_id":"b","pw":"fd:3"}\n',
}
VALUES: Final[Sequence[str]] = (
    *("nan", "-inf", "1e400", "-0", "0x7f", "9" * 30, "true", '""', '"\\u0000"', '"\\U0010FFFF"', "[]", "{}", "[[]]"),
    *("2020-01-01", "12:00:00", "2020-01-01T00:00:00Z", '"{"', '"{customer}"', '"{nope}"', '{ secret = "env:{pw}" }'),
    *('{ column = "pw" }', "{ column = 3, default = [] }", '{ secret = "x", column = "y" }', '"' + "x" * 5000 + '"'),
    *('"../../etc/passwd"', '"."', '"rows.*"', '"-"', '"1/0"', '"1/0s"', '"-1%"', '"1000%"', '"rest"', '"SELECT 1"'),
    *('["sat", 3]', "{ a = { b = { c = 1 } } }", '"exec:rm"', '"file:/dev/zero"', '"env:"', '"fd:0"', "'''\n\n'''"),
)
PIECES: Final[Sequence[bytes]] = (
    *(b"", b'"', b"\x00", b"\xff", b"\n", b"\r", b",", b"\t", b"[", b"{", b"}", b"=", b"\xe2\x80\xa8", b"\xed\xa0\x80"),
    *(b"[[wave]]\n", b"env:", b"file:", b"exec:'", b"NULL", b"\\ud800", b"1e999", b"\xef\xbb\xbf", b"9" * 400, b"\x1a"),
)
_VALUE = re.compile(r"(?<== ).*$", re.MULTILINE)


def damaged(content: bytes, chance: random.Random, most: int = 4) -> bytes:
    """A few places of ``content`` put out of order."""
    worse = bytearray(content)
    for _ in range(chance.randrange(most)):
        place = chance.randrange(len(worse) + 1)
        worse[place : place + chance.choice([0, 0, 1, 2, 20])] = chance.choice(PIECES)
    return bytes(worse)


def fuzzed_job(kind: str, chance: random.Random) -> bytes:
    """A job with some of its values replaced, some lines gone or twice, and at times some bytes of no sense."""
    text = JOB % kind
    for _ in range(chance.randrange(3)):
        spans = [match.span() for match in _VALUE.finditer(text)]
        start, end = chance.choice(spans)
        text = text[:start] + chance.choice(VALUES) + text[end:]
    lines = text.splitlines(keepends=True)
    if chance.random() < 0.3:
        at = chance.randrange(len(lines))
        lines[at : at + 1] = chance.choice([[], [lines[at]] * 2, [lines[at], chance.choice(lines)]])
    return damaged("".join(lines).encode(), chance, most=chance.choice([1, 1, 3]))


def check_inputs(seed: int) -> bool:
    """``check`` of one fuzzed job and its fuzzed rows; whether it was taken."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    kind = chance.choice(list(ROWS))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        job = Path(folder, "job.toml")
        job.write_bytes(fuzzed_job(kind, chance))
        Path(folder, f"rows.{kind}").write_bytes(damaged(ROWS[kind], chance))
        try:
            api.check(job, bench.options())
        except InvalidInput as refused:
            for problem in refused.problems:
                assert problem.code in CODES, seed
                assert problem.message, seed
                assert all(one.isprintable() for one in problem.message + problem.hint), seed
            return False
        return True


@pytest.mark.parametrize("tier", [40, pytest.param(10_000, marks=pytest.mark.long)])
def test_any_job_over_any_rows_is_taken_or_refused_in_words(tier: int) -> None:
    """No other exception, and no message with a character that moves a cursor."""
    taken = sum(map(check_inputs, range(tier)))
    assert 0 < taken < tier


HEADERS: Final[Sequence[bytes]] = (
    *(
        b"Retry-After: 1",
        b"Retry-After: -1",
        b"RateLimit: r=0;t=1",
        b"Location: ::",
        b"Location: https://[",
        b"Date: x",
    ),
    *(b"Content-Encoding: br", b"Transfer-Encoding: chunked", b"Content-Length: 3", b"Connection: close", b"X: \xff"),
    *(b"Content-Type: text/html", b" folded", b"NoColon", b"Trailer: x", b"Upgrade: h2c"),
)
STATUSES: Final = (b"200", b"204", b"299", b"304", b"400", b"404", b"429", b"500", b"503", b"099", b"999", b"2x0", b"")


def fuzzed_answer(destination_id: str, chance: random.Random) -> bytes:
    """A good answer with another status, more headers, and some bytes of no sense."""
    raw = done(destination_id)
    if chance.random() < 0.5:
        raw = raw.replace(b"200", chance.choice(STATUSES), 1)
    for _ in range(chance.randrange(3)):
        raw = raw.replace(b"\r\n", b"\r\n" + chance.choice(HEADERS) + b"\r\n", 1)
    return damaged(raw, chance) if chance.random() < 0.5 else raw


def check_answers(seed: int) -> int:
    """A run whose every answer is fuzzed; its exit code."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        Wire(
            lambda talk: talk.say(fuzzed_answer(talk.destination_id, chance)),
            reads=lambda: fuzzed_answer("d1", chance) if seed % 3 == 0 else done("d1"),
        ) as wire,
    ):
        bench = Bench(Path(folder))
        told = run_on(bench, wire, job_of(bench, wire.url, 6, timeout="200ms", concurrency=2))
        assert len(told.rows) == 6, seed
        assert told.result.exit_code in set(ExitCode) - {ExitCode.INTERNAL, ExitCode.INVALID, ExitCode.LEDGER}, seed
        return told.result.exit_code


@pytest.mark.parametrize("tier", [4, pytest.param(500, marks=pytest.mark.long)])
def test_any_answer_ends_in_a_state_of_its_row(tier: int, cases: Callable[[int], None]) -> None:
    """Of reads and of writes; a run goes on or stops, and never breaks."""
    for seed in range(tier):
        check_answers(seed)
    cases(tier)
