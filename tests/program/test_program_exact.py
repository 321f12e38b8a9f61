"""Ids and values reach the wire as they stand in the input, and an id that could be an address reaches nothing."""

from __future__ import annotations

import csv
import io
import json
import random
import string
import unicodedata
from collections.abc import Callable, Sequence

import pytest
from program_parrot import Answer, Asked, Parrot
from program_rig import Bench

SEED = 20_231_201
ID_CHARS = string.ascii_letters + string.digits + "_-"
TELLING = (
    *("00123", "1E5", "1e400", "0x1F", "1_000", "+1", "-0", "1.0", ".5", "NaN", "NA", "N/A", "null", "None", "nil"),
    *(
        "true",
        "FALSE",
        "yes",
        "2023-12-01",
        "12:30",
        "1,5",
        "€ 5",
        "=1+1",
        "@x",
        "#",
        "//",
        "\\",
        "\\n",
        "%2e%2e",
        "{}",
    ),
    *(
        " blank before",
        "blank behind ",
        " ",
        "  two  ",
        "\ttab",
        'a "quoted" word',
        "a,comma",
        "two\nlines",
        "cr\r\nlf",
    ),
    *(unicodedata.normalize(form, "Åström éàü ﬁ") for form in ("NFC", "NFD", "NFKC")),
    *(
        "\ufeffmark",
        "a\u200bb",
        "\u202edrawkcab",
        "👩‍👩‍👧",
        "\U0010ffff",
        "\u2028",
        "\x7f",
        "\x01",
        "\u0131",
        "ẞ",
        "日本語",
        "عربي",
    ),
)
"""Values that some reader takes for something else."""
HOSTILE_IDS = (
    *(
        "..",
        ".",
        "../keys",
        "a/b",
        "a%2fb",
        "%2e%2e",
        "a b",
        " a",
        "a ",
        "a?b",
        "a#b",
        "a;b",
        "a@b",
        "a:80",
        "a\\b",
        "a&b",
    ),
    *(
        "a\tb",
        "a\nb",
        "a\r\nX-Evil: 1",
        "é",
        "e\u0301",
        "\u0661",
        "\uff41",
        "a\u200b",
        "\ufeffa",
        "\u212a",
        "a" * 129,
    ),
)
"""An id in none of which bulkpatch may see its own place."""


def any_id(draw: random.Random) -> str:
    """A valid id of any length."""
    return "".join(draw.choices(ID_CHARS, k=draw.choice((1, 2, 7, 36, 128))))


def any_value(draw: random.Random) -> str:
    """One of ``TELLING``, or any characters but surrogates, NUL and 0x1A, for which a file is refused."""
    if draw.random() < 0.5:
        return draw.choice(TELLING)
    codes = (draw.choice((draw.randrange(1, 0xD800), draw.randrange(0xE000, 0x110000))) for _ in range(12))
    return "".join(chr(code) for code in codes if code != 0x1A)


def table(rows: Sequence[tuple[str, str]]) -> str:
    """The input; the quotes are the csv module's."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    lines.writerows([("destination_id", "name"), *rows])
    return text.getvalue()


def job(url: str) -> str:
    """A job that sends it as fast as it goes."""
    api = f'[job]\nname = "exact"\n[api]\nbase_url = "{url}"\n[input]\npath = "exact.csv"\n'
    return f'{api}[send]\nrate = "100000/s"\nconcurrency = 8\ntimeout = "30s"\n'


def answer(asked: Asked) -> Answer:
    """A success for the destination that was asked for."""
    data = {"destination": {"id": asked.path.rpartition("/")[2]}}
    return 200, {}, json.dumps({"status": "success", "message": "ok", "data": data}).encode()


def check_exact(bench: Bench, count: int) -> None:
    """``count`` rows of a seed: path and body of each PATCH are those of its row, character for character."""
    draw = random.Random(SEED)  # noqa: S311  (a fixed seed)
    rows = {any_id(draw): any_value(draw) for _ in range(2 * count)}
    rows = dict(list(rows.items())[:count])
    bench.write("exact.csv", table(list(rows.items())))
    with Parrot(answer) as parrot:
        ended = bench.start("run", bench.write("job.toml", job(parrot.url)), "--yes").wait(600)
    assert ended.code == 0, ended.err
    sent = {asked.path: json.loads(asked.body) for asked in parrot.asked}
    assert sent == {f"/destinations/{one}": {"destination": {"name": value}} for one, value in rows.items()}
    assert len(parrot.asked) == len(rows) == count
    assert bench.outcomes()["destination_id"].to_list() == list(rows)


@pytest.mark.proves("G15")
def test_five_hundred_ids_and_values_arrive_as_they_are(bench: Bench, cases: Callable[[int], None]) -> None:
    """Numbers stay text, blanks stay, no form of Unicode is made another."""
    check_exact(bench, 500)
    cases(500)


@pytest.mark.long
@pytest.mark.proves("G15")
def test_ten_thousand_ids_and_values_arrive_as_they_are(bench: Bench, cases: Callable[[int], None]) -> None:
    """The same for more of them."""
    check_exact(bench, 10_000)
    cases(10_000)


@pytest.mark.proves("G11", "G15")
def test_an_id_that_could_be_an_address_is_refused(bench: Bench, cases: Callable[[int], None]) -> None:
    """All of them in one input: exit 2, each row is named, and nothing is asked."""
    bench.write("exact.csv", table([("good", "x"), *((one, "x") for one in HOSTILE_IDS)]))
    with Parrot(answer) as parrot:
        ended = bench.run("run", bench.write("job.toml", job(parrot.url)), "--yes")
    assert (ended.code, parrot.asked, parrot.read) == (2, [], [])
    assert ended.err.count("error[BP214]") == len(HOSTILE_IDS)
    assert all(character.isprintable() or character == "\n" for character in ended.err)
    cases(len(HOSTILE_IDS))
