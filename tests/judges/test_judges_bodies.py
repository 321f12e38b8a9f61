"""What bulkpatch asks, checked by Prism, which stands before the API and refuses what breaks the OpenAPI document."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import polars as pl
import pytest
from judges_rig import judging, program
from program_parrot import NO_SUCH_CALL, Answer, Asked, Parrot
from program_rig import KEY, Bench

from bulkpatch.prequel.catalogue import Field, FieldType, catalogue

SAMPLES = {
    FieldType.STRING: "some text",
    FieldType.INTEGER: "7",
    FieldType.NUMBER: "7.5",
    FieldType.BOOLEAN: "true",
    FieldType.STRING_LIST: "orders;invoices",
    FieldType.OBJECT: '{"type": "service_account", "project_id": "p"}',
}
SECRETS = {FieldType.STRING: "Zq7Wm2xK9vTb4NcR8yHd", FieldType.OBJECT: '{"private_key": "Kf4Xw8Rz2Mt6Hb9Yn3Qd"}'}
"""As they stand in no other cell: a secret that turns up in a report ends the run."""
FORMATS = {"uuid": "3c90c3cc-0d44-4b50-8888-8dd25736052a", "email": "exporter@project.iam.example"}
SENDABLE = {
    path: field
    for path, field in catalogue().fields.items()
    if not path.endswith(".ssh_public_key") and path != "sftp.public_key_auth.public_key"  # Prequel supplies these
}
JOB = """[job]
name = "bodies"

[api]
base_url = "{url}"

[input]
path = "bodies.csv"
inline_secrets = true

[send]
rate = "200/s"
concurrency = 8
timeout = "20s"
attempts = 1

[guard]
max_failed = "100%"

[verify]
connection_test = "{tests}"
"""


@contextmanager
def prism(folder: Path, origin: str) -> Iterator[str]:
    """Prism before ``origin``: 422 for a request that breaks the document, 500 for an answer that does."""
    document = folder / "openapi.yaml"
    document.write_bytes(resources.files("bulkpatch.prequel").joinpath("openapi.yaml").read_bytes())

    def command(port: int) -> list[str]:
        return [program("prism"), "proxy", "--errors", "-h", "127.0.0.1", "-p", str(port), str(document), origin]

    with judging(folder, command) as url:
        yield url


def cell(field: Field) -> str:
    """A value that fits ``field``, as a cell of the input."""
    if field.secret:
        return SECRETS[field.type]
    choices = field.enum or field.known_values
    return choices[0] if choices else FORMATS.get(field.format, SAMPLES[field.type])


def table(rows: Mapping[str, Mapping[str, str]]) -> str:
    """The input: a column for each field, and in each row the cells that are given."""
    text = io.StringIO()
    lines = csv.DictWriter(text, ["destination_id", *catalogue().fields], lineterminator="\n")
    lines.writeheader()
    lines.writerows({"destination_id": one, **cells} for one, cells in rows.items())
    return text.getvalue()


def sent_by(bench: Bench, rows: Mapping[str, Mapping[str, str]], tests: str) -> Parrot:
    """A run of ``rows`` through Prism, every row of which is accepted; the API behind it, which tells nothing back."""
    with Parrot(patched, reads=never_fails) as parrot, prism(bench.folder, parrot.url) as url:
        check_that_it_judges(url)
        assert not parrot.asked
        bench.write("bodies.csv", table(rows))
        ended = bench.run("run", bench.write("job.toml", JOB.format(url=url, tests=tests)), "--yes")
    assert ended.code in {0, 1}, ended.err
    failed = bench.outcomes().filter(pl.col("state").is_in(["accepted", "verified"]).not_())
    assert failed.select("destination_id", "stage", "http_status", "error").rows() == []
    sent = {asked.path.rpartition("/")[2]: json.loads(asked.body) for asked in parrot.asked}
    assert sent == {one: {"destination": nested(cells)} for one, cells in rows.items()}
    return parrot


def patched(asked: Asked) -> Answer:
    """The destination that was asked for, and nothing of what it holds."""
    data = {"destination": {"id": asked.path.rpartition("/")[2]}}
    return 200, {}, json.dumps({"status": "success", "message": "ok", "data": data}).encode()


def never_fails(asked: Asked) -> Answer:
    """A connection test that passes; there is nothing to read."""
    passed = b'{"status":"success","message":"ok","data":{"status":"success"}}'
    return (200, {}, passed) if asked.path.endswith("/test-connection") else NO_SUCH_CALL


def nested(cells: Mapping[str, str]) -> dict[str, Any]:
    """The body that ``cells`` ask for, made by a hand that owes nothing to the code under test."""
    made: dict[str, Any] = {}
    for path, text in cells.items():
        *above, last = path.split(".")
        node = made
        for name in above:
            node = node.setdefault(name, {})
        kind = catalogue().fields[path].type
        node[last] = text.split(";") if kind == "string_list" else text if kind == "string" else json.loads(text)
    return made


def check_that_it_judges(url: str) -> None:
    """A port in words is 422."""
    headers = {"X-API-KEY": KEY, "Content-Type": "application/json"}
    body = b'{"destination":{"postgres":{"port":"many"}}}'
    request = Request(f"{url}/destinations/id-a", data=body, headers=headers, method="PATCH")  # noqa: S310
    with pytest.raises(HTTPError) as refused:
        urlopen(request)  # noqa: S310  (a loopback address)
    refused.value.close()
    assert refused.value.code == 422


@pytest.mark.proves("G15")
def test_prism_takes_a_body_of_each_field(bench: Bench, cases: Callable[[int], None]) -> None:
    """Every field that can be sent, alone in its body."""
    rows = {f"field-{number}": {path: cell(field)} for number, (path, field) in enumerate(SENDABLE.items())}
    sent_by(bench, rows, "off")
    cases(len(rows))


@pytest.mark.proves("G15")
def test_prism_takes_a_body_and_the_tests_of_each_vendor(bench: Bench, cases: Callable[[int], None]) -> None:
    """Every field of a vendor and the common ones in one body, with the connection never_fails before and after."""
    rows = {
        vendor: {path: cell(field) for path, field in SENDABLE.items() if field.vendor in {None, vendor}}
        for vendor in catalogue().vendors
    }
    tests = [asked for asked in sent_by(bench, rows, "both").read if asked.path.endswith("/test-connection")]
    assert len(tests) == 2 * len(rows)
    cases(len(rows))
