"""A row against the live state: nothing that would change is called the same, and no secret is ever shown."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prequel_rig import CANARY, ask, reply, simulator, success

from bulkpatch.model import Operation, SecretSlot
from bulkpatch.prequel import requests
from bulkpatch.prequel.catalogue import Field, FieldType, catalogue
from bulkpatch.prequel.diff import (
    FieldDiff,
    Kind,
    compare,
    expectation_failures,
    is_noop,
    pre_image,
    vendor_clash,
)
from bulkpatch.prequel.encoding import encode_body, split
from bulkpatch.prequel.live import MISSING, Live, read_live, value_at
from bulkpatch.simulator.settings import Settings

PASSWORD = "postgres.password_auth.password"
KEY_FILE = "bigquery.gcp_service_account_key.service_account_key"
FIELDS = catalogue().fields
CHANGE, SAME, UNKNOWN = Kind.CHANGE, Kind.SAME, Kind.UNKNOWN


def operation(assignments: Mapping[str, Any], *secrets: str) -> Operation:
    """The row that sets ``assignments``; ``secrets`` names those that are references."""
    body = encode_body(assignments)
    return Operation(
        row=1,
        destination_id="d1",
        body=body,
        digest=hashlib.sha256(body).digest(),
        fields=tuple(sorted(assignments)),
        secrets=tuple(SecretSlot(path=split(path), source=str(assignments[path])) for path in secrets),
    )


def live(shown: Mapping[str, Any]) -> Live:
    """The destination ``d1`` with these settings, read from an answer."""
    found = read_live(reply(success({"destination": {**shown, "id": "d1"}})), "d1")
    assert isinstance(found, Live), found
    return found


def kinds(assignments: Mapping[str, Any], shown: Mapping[str, Any], *secrets: str) -> list[Kind]:
    """What is said of each field, in the order of their paths."""
    return [diff.kind for diff in compare(operation(assignments, *secrets), live(shown))]


# ── one field ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wanted", "shown", "kind"),
    [
        ("a", "a", SAME),
        ("a", "A", CHANGE),
        ("a", "a ", CHANGE),
        ("e\u0301", "\xe9", CHANGE),
        ("", "", SAME),
        ("", None, CHANGE),
        ("7", 7, CHANGE),
        (7, 7, SAME),
        (7, 7.0, SAME),
        (7.0, 7, SAME),
        (7, 7.5, CHANGE),
        (2**53, 2**53 + 1, CHANGE),
        (0, False, CHANGE),
        (True, 1, CHANGE),
        (1, True, CHANGE),
        (1.0, True, CHANGE),
        (False, False, SAME),
        (True, True, SAME),
        (True, False, CHANGE),
        (True, "true", CHANGE),
        (None, None, SAME),
        (None, MISSING, SAME),
        (None, "", CHANGE),
        (None, False, CHANGE),
        (None, 0, CHANGE),
        (None, [], CHANGE),
        (False, None, CHANGE),
        (False, MISSING, CHANGE),
        ([], MISSING, CHANGE),
        ("a", MISSING, CHANGE),
        ([], [], SAME),
        ([], {}, CHANGE),
        (["a", "b"], ["a", "b"], SAME),
        (["a", "b"], ["b", "a"], CHANGE),
        (["a"], ["a", "b"], CHANGE),
        (["a", "b"], ["a"], CHANGE),
        ([1, [True]], [1.0, [True]], SAME),
        ([1, [True]], [1, [1]], CHANGE),
        ([None], [], CHANGE),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, SAME),
        ({"a": 1}, {"a": 1, "b": 2}, CHANGE),
        ({"a": 1, "b": 2}, {"a": 1}, CHANGE),
        ({"a": None}, {}, CHANGE),
        ({"a": True}, {"a": 1}, CHANGE),
        ({}, {}, SAME),
    ],
)
def test_a_field_is_the_same_only_if_its_json_is(wanted: Any, shown: Any, kind: Kind) -> None:
    """True is not 1, lists keep their order, text is compared as it is, and null is nothing."""
    path = "bigquery.federated_gcp_service_account_role.workload_identity_federation_metadata"
    above = {} if shown is MISSING else {path.rpartition(".")[2]: shown}
    state = {"bigquery": {"federated_gcp_service_account_role": above}}
    (diff,) = compare(operation({path: wanted}), live(state))
    assert (diff.path, diff.kind, diff.before, diff.after) == (path, kind, shown, wanted)


@pytest.mark.parametrize("shown", [{}, {"s3": None}, {"s3": {}}, {"s3": "x"}, {"s3": []}])
def test_a_field_whose_object_is_not_there_is_a_change_from_nothing(shown: Mapping[str, Any]) -> None:
    """Unless it is set to null: it has no value already."""
    (diff,) = compare(operation({"s3.folder": "f"}), live(shown))
    assert diff == FieldDiff(path="s3.folder", kind=CHANGE, before=MISSING, after="f")
    assert kinds({"s3.folder": None}, shown) == [SAME]


def test_diffs_stand_in_the_order_of_the_row() -> None:
    """One for each field, and no more."""
    wanted = {"s3.folder": "f", "name": "n", "is_enabled": True, "machine_type_id": "m"}
    diffs = compare(operation(wanted), live({"name": "n", "is_enabled": False}))
    assert [diff.path for diff in diffs] == ["is_enabled", "machine_type_id", "name", "s3.folder"]
    assert [diff.kind for diff in diffs] == [CHANGE, UNKNOWN, SAME, CHANGE]


@pytest.mark.parametrize("path", [path for path, field in FIELDS.items() if not field.readable])
def test_what_no_get_shows_is_unknown(path: str) -> None:
    """Even if it is shown after all, masked or not, as a literal, a reference or null; and a secret is never told."""
    *parents, leaf = path.split(".")
    shown: Any = {leaf: CANARY}
    for parent in reversed(parents):
        shown = {parent: shown}
    for wanted, secrets in ((CANARY, ()), ("env:PW", (path,)), (None, ())):
        (diff,) = compare(operation({path: wanted}, *secrets), live(shown))
        assert (diff.kind, diff.before) == (UNKNOWN, MISSING)
        assert diff.after == (MISSING if FIELDS[path].secret or secrets else wanted)


def test_a_reference_is_unknown_wherever_it_stands() -> None:
    """In a field the catalogue does not know, and in one it takes for readable."""
    for path in ("postgres.new_token", "name"):
        (diff,) = compare(operation({path: "env:PW"}, path), live({"name": "env:PW", "postgres": {"new_token": "x"}}))
        assert diff == FieldDiff(path=path, kind=UNKNOWN)


@pytest.mark.parametrize("path", ["postgres", "postgres.password_auth", f"{KEY_FILE}.private_key"])
def test_an_object_around_a_secret_or_a_part_of_one_is_unknown(path: str) -> None:
    """Given whole as an unknown field, its value would show the secret."""
    wanted = {"password": CANARY} if path.startswith("postgres") else CANARY
    (diff,) = compare(operation({path: wanted}), live({"postgres": {"password_auth": {"username": "u"}}}))
    assert diff == FieldDiff(path=path, kind=UNKNOWN)


def test_a_name_that_only_begins_like_a_secrets_is_not_one() -> None:
    """Paths are compared name by name."""
    assert kinds({f"{PASSWORD}_hint": "h"}, {"postgres": {"password_auth": {"password_hint": "h"}}}) == [SAME]
    assert kinds({"name": "n", "name_secret": "env:A"}, {"name": "n"}, "name_secret") == [SAME, UNKNOWN]


@pytest.mark.parametrize(
    ("wanted", "shown", "kind"),
    [
        ("a", "a", SAME),
        ("a", "b", CHANGE),
        ("a", None, CHANGE),
        (None, None, SAME),
        ("a", MISSING, UNKNOWN),
        (None, MISSING, UNKNOWN),
        ({"x": 1}, {"x": 1}, SAME),
        ({"x": 1}, {"x": 1, "y": 2}, CHANGE),
    ],
)
@pytest.mark.parametrize("path", ["newer", "postgres.newer"])
def test_a_field_the_catalogue_does_not_know_is_compared_if_it_is_shown(
    path: str, wanted: Any, shown: Any, kind: Kind
) -> None:
    """If it is not, it may be missing or write-only: nobody can tell."""
    *parents, leaf = path.split(".")
    state: Any = {} if shown is MISSING else {leaf: shown}
    for parent in parents:
        state = {parent: state}
    (diff,) = compare(operation({path: wanted}), live(state))
    assert (diff.kind, diff.before, diff.after) == (kind, shown, wanted)


def test_without_live_state_everything_is_unknown() -> None:
    """And what would be sent is told, but for secrets."""
    wanted = {"name": "n", "newer": 1, PASSWORD: "env:PW"}
    assert compare(operation(wanted, PASSWORD), None) == (
        FieldDiff(path="name", kind=UNKNOWN, after="n"),
        FieldDiff(path="newer", kind=UNKNOWN, after=1),
        FieldDiff(path=PASSWORD, kind=UNKNOWN),
    )


def test_a_body_without_its_fields_is_a_defect_that_shows() -> None:
    """Called the same, the row would not be sent."""
    broken = Operation(row=1, destination_id="d1", body=b'{"destination":{}}', digest=b"", fields=("name",))
    with pytest.raises(ValueError, match="lacks a field"):
        compare(broken, live({}))


def test_diffs_print_without_values() -> None:
    """They may hold whatever the API shows."""
    (diff,) = compare(operation({"name": CANARY}), live({"name": f"{CANARY}2"}))
    assert (diff.before, diff.after) == (f"{CANARY}2", CANARY)
    assert CANARY not in repr(diff)
    assert "name" in repr(diff)


# ── a row ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wanted", "shown", "noop"),
    [
        ({"name": "n"}, {"name": "n"}, True),
        ({"name": "n", "is_enabled": True}, {"name": "n", "is_enabled": False}, False),
        ({"name": "n", "machine_type_id": "m"}, {"name": "n", "machine_type_id": "m"}, False),
        ({"name": "n", "newer": 1}, {"name": "n"}, False),
        ({"name": "n", "s3.folder": None}, {"name": "n"}, True),
    ],
)
def test_a_row_is_a_noop_only_if_every_field_is_the_same(
    wanted: Mapping[str, Any], shown: Mapping[str, Any], *, noop: bool
) -> None:
    """One that cannot be known is reason enough to send."""
    assert is_noop(compare(operation(wanted), live(shown))) is noop
    assert is_noop(compare(operation(wanted), None)) is False


@pytest.mark.parametrize(
    ("wanted", "vendor", "clash"),
    [
        ({"postgres.port": 1}, "postgres", None),
        ({"postgres.port": 1}, "s3", "postgres"),
        ({"postgres.port": 1}, "Postgres", "postgres"),
        ({"postgres.port": 1}, "not_yet_known", "postgres"),
        ({"postgres.port": 1}, None, None),
        ({"postgres.port": 1}, 5, None),
        ({"postgres": {"port": 1}}, "s3", "postgres"),
        ({"postgres.newer": 1}, "s3", "postgres"),
        ({"postgres_like.port": 1}, "s3", None),
        ({"name": "s3"}, "postgres", None),
        ({"aurora_postgres.port": 1, "name": "n"}, "postgres", "aurora_postgres"),
        ({"postgres.port": 1, "s3.folder": "f"}, "postgres", "s3"),
        ({}, "postgres", None),
    ],
)
def test_another_vendors_object_is_named(wanted: Mapping[str, Any], vendor: Any, clash: str | None) -> None:
    """Where the live vendor is known."""
    assert vendor_clash(operation(wanted), live({"vendor": vendor})) == clash
    assert vendor_clash(operation(wanted), None) is None


def test_a_pre_image_holds_what_can_be_put_back() -> None:
    """Readable fields that the row sets, as they are; never a secret, not even one that is shown."""
    wanted = {"name": "new", "is_enabled": False, "postgres.port": 1, "machine_type_id": "m", "newer": 1, "shown": 2}
    row = operation({**wanted, PASSWORD: "env:PW", "postgres.newer_token": "env:T"}, PASSWORD, "postgres.newer_token")
    hidden = {"password_auth": {"password": CANARY}, "newer_token": CANARY}
    shown = {"name": "\xe9", "is_enabled": False, "machine_type_id": CANARY, "shown": [1], "postgres": hidden}
    expected = '{"is_enabled":false,"name":"\xe9","postgres.port":null,"shown":[1]}'
    assert pre_image(row, live(shown)) == expected.encode()
    assert pre_image(row, None) is None
    assert pre_image(operation({PASSWORD: "env:PW"}, PASSWORD), live(shown)) == b"{}"


def test_expectations_that_do_not_hold_are_told_with_what_was_found() -> None:
    """In their own order; what holds is not told."""
    state = live(
        {"vendor": "s3", "recipient_id": "r", "id_in_provider_system": "p", "s3": {"folder": "f"}, "is_enabled": True}
    )
    expect = {"vendor": "s3", "recipient_id": "other", "s3.folder": "f", "s3.bucket_name": "b", "is_enabled": 1}
    assert expectation_failures(expect, state) == (
        ("recipient_id", "other", "r"),
        ("s3.bucket_name", "b", MISSING),
        ("is_enabled", 1, True),
    )
    assert expectation_failures({"id_in_provider_system": "p", "s3.other": None, "is_enabled": True}, state) == ()
    assert expectation_failures({}, state) == ()
    assert expectation_failures({"vendor": None, "s3.folder.f": "x"}, state) == (
        ("vendor", None, "s3"),
        ("s3.folder.f", "x", MISSING),
    )


# ── any row ──────────────────────────────────────────────────────────────────────────────────

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.STRING: WORDS,
    FieldType.INTEGER: st.integers(-(2**53), 2**53),
    FieldType.NUMBER: st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.STRING_LIST: st.lists(WORDS, max_size=3),
    FieldType.OBJECT: st.dictionaries(WORDS, st.none() | st.integers(-9, 9) | WORDS | st.booleans(), max_size=3),
}
FEW: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.STRING: st.sampled_from(["a", "b"]),
    FieldType.INTEGER: st.sampled_from([0, 1]),
    FieldType.NUMBER: st.sampled_from([0, 1.0]),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.STRING_LIST: st.sampled_from([[], ["a"], ["a", "b"]]),
    FieldType.OBJECT: st.sampled_from([{}, {"a": 1}]),
}


@st.composite
def assignments(draw: st.DrawFn, vendor: str, values: Mapping[FieldType, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """What a row may set on a destination of ``vendor``: any fields of the catalogue, a reference for each secret."""
    fields = [field for field in FIELDS.values() if field.vendor in {None, vendor}]
    chosen: list[Field] = draw(
        st.lists(st.sampled_from(fields), min_size=1, max_size=6, unique_by=lambda one: one.path)
    )
    return {one.path: "env:PW" if one.secret else draw(st.none() | values[one.type]) for one in chosen}


def row_of(wanted: Mapping[str, Any]) -> Operation:
    """The operation of these assignments, with its secret slots."""
    return operation(wanted, *(path for path in wanted if FIELDS[path].secret))


def applied(state: Settings, row: Operation) -> Settings:
    """``state`` once the API has taken the row, by the simulator's own merge."""
    after = copy.deepcopy(state)
    after.merge(json.loads(row.body)["destination"])
    return after


VENDORS = st.sampled_from(catalogue().vendors)


@given(st.data(), VENDORS)
@settings(deadline=None, max_examples=200)
def test_what_was_applied_is_the_same_and_one_changed_leaf_is_one_change(data: st.DataObject, vendor: str) -> None:
    """Whatever was there before: all that can be read is the same, all else unknown, and other leaves do not matter."""
    before, wanted = (data.draw(assignments(vendor, VALUES)) for _ in range(2))
    row = row_of(wanted)
    state = applied(applied(Settings({}), row_of(before)), row)
    diffs = compare(row, live({**state.shown, "vendor": vendor}))
    assert [diff.path for diff in diffs] == sorted(wanted)
    readable = {path for path in wanted if FIELDS[path].readable}
    assert {diff.path for diff in diffs if diff.kind is SAME} == readable
    assert {diff.path for diff in diffs if diff.kind is UNKNOWN} == set(wanted) - readable
    assert is_noop(diffs) is (readable == set(wanted))
    assert vendor_clash(row, live({**state.shown, "vendor": vendor})) is None
    if readable:
        changed = data.draw(st.sampled_from(sorted(readable)))
        state.merge(json.loads(encode_body({changed: ["changed", wanted[changed]]}))["destination"])
        after = compare(row, live(state.shown))
        assert [diff.path for diff in after if diff.kind is CHANGE] == [changed]
        assert {diff.path for diff in after if diff.kind is SAME} == readable - {changed}


@given(st.data(), st.sampled_from(["s3", "postgres", "bigquery"]))
@settings(deadline=None, max_examples=200)
def test_a_noop_changes_nothing_and_a_pre_image_undoes_the_rest(data: st.DataObject, vendor: str) -> None:
    """Against what the simulator makes of the row: nulls and missing fields are one."""
    before, wanted = (data.draw(assignments(vendor, FEW)) for _ in range(2))
    state, row = applied(Settings({}), row_of(before)), row_of(wanted)
    after = applied(state, row)
    diffs = compare(row, live(state.shown))
    if is_noop(diffs):
        assert after.hidden == state.hidden
    changes = {diff.path for diff in diffs if diff.kind is CHANGE}
    assert changes == {path for path in wanted if _leaf(state, path) != _leaf(after, path)}
    image = json.loads(pre_image(row, live(state.shown)) or b"")
    restored = applied(after, operation(image))
    assert all(_leaf(restored, path) == _leaf(state, path) for path in FIELDS if FIELDS[path].readable)


def _leaf(state: Settings, path: str) -> str:
    """A readable field as canonical text; null if it is missing."""
    value = value_at(state.shown, path)
    return json.dumps(None if value is MISSING else value, sort_keys=True)


@given(st.data(), VENDORS)
@settings(deadline=None, max_examples=100)
def test_no_secret_and_no_value_is_shown(data: st.DataObject, vendor: str) -> None:
    """Canaries in every reference and every live text: no diff of a secret holds them, no repr shows them."""
    wanted = data.draw(assignments(vendor, VALUES))
    secret = [path for path in wanted if FIELDS[path].secret]
    row = operation({**wanted, **dict.fromkeys(secret, f"env:{CANARY}")}, *secret)
    shown: dict[str, Any] = {}
    for path in wanted:
        *parents, leaf = path.split(".")
        node = shown
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = CANARY
    state = live({**shown, "vendor": CANARY})
    diffs = compare(row, state)
    assert CANARY not in repr((diffs, state))
    assert all((diff.before, diff.after) == (MISSING, MISSING) for diff in diffs if diff.path in secret)
    assert set(json.loads(pre_image(row, state) or b"")) == {path for path in wanted if FIELDS[path].readable}


def test_a_fleet_of_250_with_100_as_asked_has_100_noops() -> None:
    """Through the simulator's own PATCH and list."""
    api = simulator(250, "postgres", "s3")
    row = operation({"frequency_minutes": 60, "enabled_models": ["accounts"]})
    for one in api.fleet.ids[:100]:
        assert ask(api, requests.patch(one, row.body)).status == 200
    found = [read_live(ask(api, requests.get(one)), one) for one in api.fleet.ids]
    noops = [is_noop(compare(row, state)) for state in found if isinstance(state, Live)]
    assert noops == [True] * 100 + [False] * 150
