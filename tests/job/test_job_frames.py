"""What is shown of a job: enough to find the place, nothing that may be a secret, nothing that does not print."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_rig import SMALLEST, carets, everything, load, problems

from bulkpatch.errors import InvalidInput
from bulkpatch.errors.frames import LINE_CHARS_MAX
from bulkpatch.job.frames import draw_frame, file_shown, is_known, may_hold_secret, one_line
from bulkpatch.job.positions import JobSource
from bulkpatch.job.spec import Origin
from bulkpatch.prequel.catalogue import Field, catalogue

CANARY: Final = "c4n4ryQ7xw"
"""What must never be seen. No word in it names secrets, and no key is like it."""

# ── a secret, wherever it was pasted ─────────────────────────────────────────────────────────

PLACES: Final = [
    # the API's key, and what is like it
    'api.key = "sk_prod_CANARY"',
    'api.key = "CANARY"',
    'api.key = "value:CANARY"',
    'api.key = "env:CANARY "',
    'api.key = ["CANARY"]',
    'api.key = { secret = "CANARY" }',
    'api.kye = "CANARY"',
    'api.apikey = "CANARY"',
    'api.base_url = "https://user:CANARY@api.prequel.co"',
    'api.base_url = "https://api.prequel.co/?k=CANARY"',
    'api.base_url = "http://CANARY@example.com"',
    'key = "CANARY"',
    'headers = { X-API-KEY = "CANARY" }',
    'job.name = "sk_prod_CANARY"',
    'send.rate = "sk_staging_CANARY"',
    '"sk_prod_CANARY" = 1',
    'api."sk_prod_CANARY" = 1',
    'secrets.allow_short = "CANARY"',
    'secrets.pw = "CANARY"',
    # literal values of secret fields, in every form that is no reference
    'patch.postgres.password_auth.password = "CANARY"',
    "patch.postgres.password_auth.password = 'CANARY'",
    'patch.postgres.password_auth.password = "CANARY" # CANARY',
    'patch.postgres.password_auth.password = """CANARY"""',
    'patch.postgres.password_auth.password = """\nCANARY\nCANARY\n"""',
    "patch.postgres.password_auth.password = '''\nCANARY\n'''",
    'patch.postgres.password_auth.password = ["CANARY"]',
    'patch.postgres.password_auth.password = [\n"CANARY",\n"CANARY"\n]',
    'patch.postgres.password_auth.password = { value = "CANARY" }',
    'patch.postgres.password_auth.password = { secret = "CANARY" }',
    'patch.postgres.password_auth.password = { secret = "CANARY" } # CANARY',
    'patch.postgres.password_auth.password = { secret = "value:CANARY" }',
    'patch.postgres.password_auth.password = { secret = "env:A", default = "CANARY" }',
    'patch.postgres.password_auth.password = { column = "a", default = "CANARY" }',
    'patch.postgres.password_auth.password = { column = ["CANARY"] }',
    'patch.postgres.password_auth = { password = "CANARY" }',
    'patch.postgres.password_auth = { username = 5, password = "CANARY" }',
    'patch.postgres.password_auth = "CANARY"',
    'patch.postgres = "CANARY"',
    'patch.postgres = ["CANARY"]',
    'patch = "CANARY"',
    'patch = ["CANARY"]',
    'patch.bigquery.gcp_service_account_key.service_account_key = { private = "CANARY" }',
    'patch.bigquery.gcp_service_account_key.service_account_key = """{ "private": "CANARY" }"""',
    'patch.oracle.ssl_options.wallet = "CANARY"',
    'patch.s3.aws_access_keys = { access_id = 5, secret_key = "CANARY" }',
    '[patch.postgres.password_auth]\nusername = 5\npassword = "CANARY"',
    '[patch.postgres.password_auth]\npassword = "CANARY"\nusername = 5',
    '[patch]\n"postgres.password_auth.password" = "CANARY"',
    # the right word at the wrong field, and the wrong word at the right one
    'patch.name = { secret = "CANARY" }',
    'patch.name = { secrt = "CANARY" }',
    'patch.postgres.password_auth.password = { secrt = "CANARY" }',
    # misspelt keys
    'patch.postgres.password_auth.pasword = "CANARY"',
    'patch.postgres.password_auth.pw = "CANARY"',
    'patch.postgres.pasword_auth.password = "CANARY"',
    'patch.postgress.password_auth.password = "CANARY"',
    'patch.pw = "CANARY"',
    'ptach.postgres.pw = "CANARY"',
    '[ptach]\npw = "CANARY"\n[sned]\nrate = "5/s"',
    '[api]\npw = "CANARY"\n[sned]\nrate = "5/s"',
    # values where references or names belong
    'expect.postgres.password_auth.password = "CANARY"',
    'expect.postgres.pw = "CANARY"',
    'expect.oracle.ssl_options.wallet = "CANARY"',
    'input.columns = { pw = "CANARY" }',
    'input.columns.password = "CANARY"',
    'input.previous = { pw = "CANARY" }',
    'input.where = 5\ninput.secret = "CANARY"',
    '[[wave]]\nsize = "x"\npw = "CANARY"',
    # comments
    "send.rate = 5 # CANARY",
    "# CANARY\nsend.rate = 5",
    "send.window = { days = [ # CANARY\n5] } # CANARY",
    "[snd] # CANARY",
]  # fmt: skip


def planted(text: str) -> str:
    """A whole job with ``text`` in it, the canary in its places."""
    text = text.replace("CANARY", CANARY)
    if text.startswith(("job.", "input.", '"', "#")) or not text.startswith("["):
        return (
            f'{text}\njob.name = "j"\ninput.path = "f"\n'
            if not text.startswith("job.")
            else f'{text}\ninput.path = "f"\n'
        )
    return SMALLEST + text + "\n"


@pytest.mark.parametrize("text", PLACES)
def test_no_pasted_secret_is_in_any_part_of_any_problem(tmp_path: Path, text: str) -> None:
    """Each place is refused, and the secret is in no message, hint or frame: neither its own nor a neighbour's."""
    for problem in problems(tmp_path, planted(text)):
        assert CANARY not in everything(problem)
        assert problem.line is not None


@pytest.mark.parametrize("text", PLACES)
def test_no_pasted_secret_is_shown_beside_another_mistake(tmp_path: Path, text: str) -> None:
    """On the line above the one that is shown."""
    job = planted(text) + "[sned]\nrate = 5\n"
    for problem in problems(tmp_path, job):
        assert CANARY not in everything(problem)


BROKEN: Final = [
    # quotes that do not close, or are none
    '[api]\nkey = "CANARY',
    "[api]\nkey = 'CANARY",
    "[api]\nkey = CANARY",
    "[api]\nkey CANARY",
    "[api]\nkey: CANARY",
    "[api]\nkye = CANARY",
    "[api]\nCANARY",
    "[api]\nCANARY==",
    "CANARY==",
    "CANARY",
    '"CANARY',
    "[api]\nbase_url = https://u:CANARY@h",
    '[api]\nkey = "env:A" CANARY',
    '[api]\nkey = "env:A", "CANARY"',
    '[api] key = "CANARY"',
    '[patch.postgres.password_auth]\npassword = "CANARY',
    "[patch.postgres.password_auth]\npassword = CANARY",
    '[patch.postgres.password_auth]\n"password" = CANARY',
    '[patch.postgres.password_auth]\npassword = "a\\qCANARY"',
    '[patch.postgres.password_auth]\npassword = { secret = "CANARY }',
    "[patch.postgres.password_auth]\npassword = { secret = CANARY }",
    '[patch.postgres]\npassword_auth = { password = "CANARY"',
    '[patch]\npostgres.password_auth.password = "CANARY',
    "[patch]\npostgres . password_auth . password = CANARY",
    "[patch]\npw = CANARY",
    "[patch]\nname = { secret = CANARY }",
    '[patch.postgres]\nport = 1\npassword_auth.password = "CANARY"\npassword_auth.password = "CANARY"',
    "[expect]\npostgres.password_auth.password = CANARY",
    '[input]\npath = "f"\ncolumns = { pw = CANARY }',
    'patch = { postgres = { password_auth = { password = "CANARY } } }',
    # in the middle of what began before
    '[patch.postgres.password_auth]\npassword = """\nCANARY',
    '[patch.postgres.password_auth]\npassword = """\nCANARY\n',
    '[patch.postgres.password_auth]\npassword = """\nCANARY" \\q CANARY\n"""',
    '[patch.postgres.password_auth]\npassword = """\nCANARY\\q\n"""',
    '[patch.postgres.password_auth]\npassword = """\nusername = CANARY\\q\n"""',
    "[patch.postgres.password_auth]\npassword = '''\nCANARY\x01\n'''",
    '[patch.postgres.password_auth]\npassword = [\n"CANARY\n',
    '[patch.postgres.password_auth]\npassword = [\n"a",\nCANARY\n]',
    '[secrets]\nexec_env = [\n"A"\n"CANARY"\n]',
    # beside it
    "rate = 5 = 6 # CANARY",
    '[send]\nrate = "5/s" "CANARY" # CANARY',
    '[[send]\nrate = "5/s" # CANARY',
    "# CANARY\n[send\n",
    "# CANARY \x01\n",
    # no TOML at all
    "api:\n  key: CANARY\n",
    '{"api": {"key": "CANARY"}}',
    "CANARY: 1",
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_no_secret_is_shown_of_a_line_that_is_no_toml(tmp_path: Path, text: str) -> None:
    """The parser's place is told; of the line only what is surely no value."""
    (problem,) = problems(tmp_path, text.replace("CANARY", CANARY))
    assert CANARY not in everything(problem)
    assert problem.line is not None
    assert problem.code == "BP102"


def test_no_setting_from_outside_is_shown(tmp_path: Path) -> None:
    """Flags and variables hold secrets as easily as files."""
    given_values = {
        "api.key": CANARY,
        "api.base_url": f"https://u:{CANARY}@h",
        "send.rate": CANARY,
        "send.concurrency": CANARY,
        "input.columns": {"a": CANARY},
        f"api.sk_prod_{CANARY}": 1,
    }
    origins = {key: Origin(value=value, source="flag") for key, value in given_values.items()}
    for problem in problems(tmp_path, SMALLEST, origins):
        assert CANARY not in everything(problem)


@settings(max_examples=120, deadline=None)
@given(
    field=st.sampled_from([one for one in catalogue().fields.values() if one.secret or one.sensitive]),
    value=st.sampled_from(
        ['"{}"', "'{}'", '"""\n{}"""', '["{}"]', '{{ secret = "{}" }}', '{{ x = {{ y = "{}" }} }}', "{}", '"{}']
    ),
    table=st.sampled_from(["patch", "expect", "ptach", "input.columns"]),
    nested=st.booleans(),
    tail=st.sampled_from(["", " # {}", "\nnmae = 1", "\nnmae = 1 # {}", "\n= 1"]),
)
def test_no_value_of_any_secret_field_is_ever_shown(  # noqa: PLR0913  (the parts of a mistake)
    tmp_path_factory: pytest.TempPathFactory,
    *,
    field: Field,
    value: str,
    table: str,
    nested: bool,
    tail: str,
) -> None:
    """Every secret field, in every form, in the right table and in wrong ones, whole and broken."""
    path = field.path
    above, _, name = path.rpartition(".")
    line = f"[{table}.{above}]\n{name} = {value}{tail}" if nested else f"[{table}]\n{path} = {value}{tail}"
    folder = tmp_path_factory.mktemp("job")
    try:
        load(folder, SMALLEST + line.format(*[CANARY] * 9))
    except InvalidInput as refused:
        for problem in refused.problems:
            assert CANARY not in everything(problem)


def test_references_and_plain_values_are_shown_where_they_help(tmp_path: Path) -> None:
    """What is surely no secret is quoted, so that it can be mended at a glance."""
    (rate,) = problems(tmp_path, SMALLEST + '[send]\nrate = "5/day"')
    assert rate.frame == '5 | [send]\n6 | rate = "5/day"\n  |        ^^^^^^^'
    (port,) = problems(tmp_path, SMALLEST + "[patch.postgres]\nport = 'x'")
    assert port.frame == "5 | [patch.postgres]\n6 | port = 'x'\n  |        ^^^"
    (key,) = problems(tmp_path, SMALLEST + "[api]\nkey = 'x'")
    assert key.frame == "5 | [api]\n6 | key = …\n  |       ^"
    (syntax,) = problems(tmp_path, SMALLEST + '[send]\nrate = "5/s')
    assert syntax.frame == '6 | rate = "5/s\n  |            ^'


# ── what may hold a secret ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "may"),
    [
        (("send", "rate"), False),
        (("job", "name"), False),
        (("input", "path"), False),
        (("input", "labels"), False),
        (("wave", 0, "size"), False),
        (("wave", 0, "gate", "failed"), False),
        (("send", "window", "tz"), False),
        (("limits", "per_recipient", "in_flight"), False),
        (("patch", "name"), False),
        (("patch", "postgres", "host"), False),
        (("patch", "postgres", "password_auth", "username"), False),
        (("patch", "postgres", "password_auth", "username", "column"), False),
        (("expect", "postgres", "host"), False),
        (("api", "key"), True),
        (("api", "base"), True),
        (("secrets", "exec_env"), True),
        (("input", "columns", "a"), True),
        (("wave", 0, "sizes"), True),
        (("patch", "postgres", "password_auth", "password"), True),
        (("patch", "postgres", "password_auth", "password", "secret"), True),
        (("patch", "postgres", "host", "secret"), True),
        (("patch", "postgres", "hosts"), True),
        (("patch", "postgres"), True),
        (("patch",), True),
        (("expect", "postgres", "password_auth", "password"), True),
        (("x",), True),
        (("",), True),
    ],
)
def test_a_value_may_be_a_secret_unless_it_is_known_not_to_be(path: tuple[str | int, ...], *, may: bool) -> None:
    """By the catalogue, by the grammar, by a word in its path; and always where nobody knows the key."""
    assert may_hold_secret(path) is may


def test_every_secret_field_is_told_by_the_catalogue_whatever_its_name() -> None:
    """Those without a telling word, too."""
    for field in catalogue().fields.values():
        for table in ("patch", "expect"):
            path = (table, *field.path.split("."))
            assert is_known(path)
            assert may_hold_secret(path) is (field.secret or field.sensitive)


# ── how it is drawn ──────────────────────────────────────────────────────────────────────────


def test_carets_stand_below_what_they_mean(tmp_path: Path) -> None:
    """Also behind tabs, in lines with escapes, and in lines that are cut."""
    (tabs,) = problems(tmp_path, SMALLEST + "\t[send]\n\trate\t=\t'x'\n")
    assert tabs.frame == "5 |  [send]\n6 |  rate = 'x'\n  |         ^^^"
    (escaped,) = problems(tmp_path, "send = { 'a\u202eb' = 1 }\n" + SMALLEST)
    assert escaped.frame.split("\n")[-2:] == ["1 | send = { 'a\\u202eb' = …", "  |          ^^^^^^^^^^"]
    assert carets(escaped) == (10, 10)


def test_control_characters_are_escaped_everywhere(tmp_path: Path) -> None:
    """Nothing that a terminal obeys is passed on, from keys, values, comments or the file's own name."""
    folder = tmp_path / "a\x1b[31mb\n"
    folder.mkdir()
    nasty = "".join(map(chr, [*range(0x80, 0xA0), 0x202E, 0x2066, 0xFEFF, 0x200B, 0xE0001]))
    for text in (
        f"[send]\nrate = '{nasty}'",
        f"'{nasty}' = 1",
        f"[patch]\nname = 5 # {nasty}",
        f"a = {nasty}",
        "a = \x1b",
    ):
        for problem in problems(folder, SMALLEST + text):
            assert all(one.isprintable() or one == "\n" for one in everything(problem))
            assert "\n" not in (problem.file or "") + problem.message + problem.hint
            assert "\\x1b[31mb\\n" in (problem.file or "")


def test_long_lines_are_cut_around_the_place(tmp_path: Path) -> None:
    """A frame fits on a screen, and the place is in it."""
    for lead in (0, 50, 150, 5_000):
        text = f"send = {{ {' ' * lead}rate = '5/day', {' ' * 5_000}attempts = 3 }}\n"
        (problem,) = problems(tmp_path, text + SMALLEST)
        quoted, under = problem.frame.split("\n")[-2:]
        assert len(quoted) <= LINE_CHARS_MAX + 10
        begin = under.index("^")
        assert quoted[begin : begin + 7] == "'5/day'"
        assert problem.column == len("send = { rate = ") + lead + 1


def test_long_keys_are_cut_in_messages_and_paths_of_files_never(tmp_path: Path) -> None:
    """An editor opens the path."""
    folder = tmp_path
    for _ in range(3):
        folder /= "d" * 100
    folder.mkdir(parents=True)
    (problem,) = problems(folder, f"{SMALLEST}[send]\n{'k' * 5_000} = 1")
    assert len(problem.message) < 150
    assert problem.file == str(folder / "job.toml")
    (syntax,) = problems(folder, "=")
    assert syntax.file == str(folder / "job.toml")


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=[]), max_size=300),
    cut=st.none() | st.integers(0, 300),
    column=st.integers(1, 300),
    width=st.integers(0, 300),
)
def test_a_frame_is_two_lines_that_print_and_hides_what_lies_behind_the_cut(
    text: str, cut: int | None, column: int, width: int
) -> None:
    """Whatever the line holds."""
    line = text.replace("\n", " ")
    frame = draw_frame([line], {} if cut is None else {0: cut}, 1, column, width)
    quoted, under = frame.split("\n")
    assert all(one.isprintable() for one in quoted + under)
    assert set(under.removeprefix("  | ")) <= {" ", "^"}
    assert "^" in under
    if cut is not None and cut < len(line):
        assert quoted.endswith("…")
        assert len(quoted) <= len("1 | …") + 10 * (min(cut, LINE_CHARS_MAX)) + 1


@settings(max_examples=120, deadline=None)
@given(text=st.text(st.characters(exclude_categories=[])), limit=st.integers(1, 90))
def test_one_line_is_one_line(text: str, limit: int) -> None:
    """Printable, and never longer than its limit."""
    shown = one_line(text, limit=limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    assert file_shown(Path("a\nb")) == "a\\nb"


def test_where_the_grammar_was_not_followed_nothing_is_quoted() -> None:
    """What belongs to which key cannot be told then, so all of it may be a secret."""
    source = JobSource(Path("j"), f"[api]\nkey = {CANARY}\n[send]\nrate = {CANARY}\n")
    for path in (("api",), ("api", "key"), ("send",), ("send", "rate"), ("x",)):
        problem = source.problem("BP102", path, "words")
        assert problem.frame.replace("^", "").strip(" 1234|…\n") == "", path
