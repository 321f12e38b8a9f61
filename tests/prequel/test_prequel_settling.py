"""Lost answers: what a destination shows settles them, and no more is said than that tells."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prequel_rig import CANARY, reply, success

from bulkpatch.model import Operation, SecretSlot
from bulkpatch.prequel.encoding import encode_body, split
from bulkpatch.prequel.live import Live, read_live
from bulkpatch.prequel.settling import Finding, settle

PASSWORD = "postgres.password_auth.password"
APPLIED, NOT_APPLIED, UNKNOWABLE = Finding.APPLIED, Finding.NOT_APPLIED, Finding.UNKNOWABLE
ROW = {"name": "new", "is_enabled": False}


def operation(assignments: Mapping[str, Any]) -> Operation:
    """The row that sets ``assignments``."""
    body = encode_body(assignments)
    secrets = (SecretSlot(path=split(PASSWORD), source="env:PW"),) if PASSWORD in assignments else ()
    digest = hashlib.sha256(body).digest()
    fields = tuple(sorted(assignments))
    return Operation(row=1, destination_id="d1", body=body, digest=digest, fields=fields, secrets=secrets)


def live(**shown: Any) -> Live:
    """The destination as it is shown now."""
    found = read_live(reply(success({"destination": {**shown, "id": "d1"}})), "d1")
    assert isinstance(found, Live)
    return found


@pytest.mark.parametrize(
    ("shown", "before", "finding"),
    [
        ({"name": "new", "is_enabled": False}, {"name": "old", "is_enabled": True}, APPLIED),
        ({"name": "new", "is_enabled": False}, {"name": "new", "is_enabled": True}, APPLIED),
        ({"name": "new", "is_enabled": False}, None, APPLIED),
        ({"name": "old", "is_enabled": True}, {"name": "old", "is_enabled": True}, NOT_APPLIED),
        ({"name": "new", "is_enabled": True}, {"name": "new", "is_enabled": True}, NOT_APPLIED),
        ({"name": "other", "is_enabled": False}, {"name": "old", "is_enabled": False}, NOT_APPLIED),
        ({"name": "old", "is_enabled": True}, None, NOT_APPLIED),
        ({}, None, NOT_APPLIED),
        ({"name": "new", "is_enabled": False}, {"name": "new", "is_enabled": False}, UNKNOWABLE),
        ({"name": "new", "is_enabled": False}, {}, UNKNOWABLE),
        ({"name": "new", "is_enabled": False}, {"name": "new"}, UNKNOWABLE),
    ],
)
def test_what_is_shown_against_what_was(
    shown: Mapping[str, Any], before: Mapping[str, Any] | None, finding: Finding
) -> None:
    """Each combination of as set, not as set, the same before and not known before, settled or left."""
    assert settle(operation(ROW), live(**shown), before).finding is finding


def test_what_no_get_shows_settles_nothing() -> None:
    """A row of secrets and machine types alone stays in doubt, whatever else is known of its destination."""
    found = settle(operation({PASSWORD: "env:PW", "machine_type_id": "m"}), live(name="x"), None)
    assert (found.finding, found.why) == (UNKNOWABLE, "no field that the row sets can be read back")


def test_readable_fields_settle_for_those_beside_them() -> None:
    """A body is applied whole or not at all, so one name tells of the secret that was sent with it."""
    row = operation({PASSWORD: "env:PW", "name": "new"})
    assert settle(row, live(name="new"), {"name": "old"}).finding is APPLIED
    assert settle(row, live(name="old"), {"name": "old"}).finding is NOT_APPLIED


def test_a_destination_that_is_gone_settles_nothing() -> None:
    """It says so, and does not claim that the change was not made."""
    found = settle(operation(ROW), None, {"name": "old"})
    assert (found.finding, found.why) == (UNKNOWABLE, "the API shows no such destination")


def test_null_is_a_missing_field() -> None:
    """Clearing a field that was set is seen to have worked, however the API shows that nothing is there."""
    row = operation({"name": None})
    assert settle(row, live(), {"name": "old"}).finding is APPLIED
    assert settle(row, live(name=None), {"name": None}).finding is UNKNOWABLE
    assert settle(row, live(name="old"), {"name": "old"}).finding is NOT_APPLIED


def test_a_reason_names_fields_and_no_values() -> None:
    """Reasons go into reports; of many fields the first are named."""
    row = operation({"name": CANARY, "is_enabled": True, "frequency_minutes": 15, "max_concurrent_transfers": 2})
    found = settle(row, live(name=f"x{CANARY}"), {"name": f"y{CANARY}"})
    assert found.why == "not as the row sets it: frequency_minutes, is_enabled, max_concurrent_transfers, …"
    assert CANARY not in repr(found)


VALUES = st.fixed_dictionaries({"name": st.sampled_from("ab"), "is_enabled": st.booleans()})


@given(VALUES, VALUES, st.booleans())
def test_an_atomic_api_is_never_misjudged(before: dict[str, Any], row: dict[str, Any], applied: bool) -> None:  # noqa: FBT001
    """Where nobody else writes, a finding is what happened, and is missing only where nothing could tell."""
    found = settle(operation(row), live(**(row if applied else before)), before).finding
    assert found is (UNKNOWABLE if row == before else APPLIED if applied else NOT_APPLIED)
