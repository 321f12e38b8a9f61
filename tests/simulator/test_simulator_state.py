"""The fleet without a socket: merging, checking, paging, transfers."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator_rig import HandClock

from bulkpatch.model import Operation
from bulkpatch.prequel.catalogue import catalogue
from bulkpatch.simulator.refusals import Refusal
from bulkpatch.simulator.settings import Settings
from bulkpatch.simulator.state import Fleet, fleet_for

_TEXT = st.text(max_size=3)
_AUTH = st.none() | st.fixed_dictionaries({}, optional={"username": _TEXT, "password": _TEXT | st.none()})
_POSTGRES = st.none() | st.fixed_dictionaries(
    {},
    optional={"host": _TEXT | st.none(), "port": st.integers(), "password_auth": _AUTH, "new": st.booleans() | _AUTH},
)
_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": _TEXT,
        "enabled_models": st.lists(_TEXT, max_size=2),
        "machine_type_id": _TEXT,
        "postgres": _POSTGRES,
        "novelty": st.dictionaries(st.sampled_from(["a", "b"]), _TEXT | st.integers(), max_size=2),
    },
)


def _merged(old: Any, new: Any) -> Any:
    """Deep merge as plainly as it can be said."""
    if not isinstance(new, dict):
        return new
    base = old if isinstance(old, dict) else {}
    return {**base, **{name: _merged(base.get(name), value) for name, value in new.items()}}


def _shown(value: Any, path: str = "") -> Any:
    """``value`` without what reads hide, and without objects that are empty for it."""
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, inner in value.items():
        below = f"{path}.{name}" if path else name
        field = catalogue().field(below)
        shown = _shown(inner, below)
        if (field is None or field.readable) and shown != {}:
            kept[name] = shown
    return kept


def _hidden(value: Any, path: str = "") -> dict[str, Any]:
    field = catalogue().field(path)
    if field is not None:
        return {} if field.readable else {path: value}
    found: dict[str, Any] = {}
    if isinstance(value, dict):
        for name, inner in value.items():
            found |= _hidden(inner, f"{path}.{name}" if path else name)
    return found


@settings(max_examples=80, deadline=None)
@given(first=_CHANGES, changes=st.lists(_CHANGES, max_size=4))
def test_merge(first: Any, changes: list[Any]) -> None:
    """Patches are deep merges, split into what reads show and what they hide."""
    model, kept, given_first = deepcopy(first), Settings(first), deepcopy(first)
    for change in changes:
        model = _merged(model, change)
        kept.merge(change)
    assert kept.shown == _shown(model)
    assert kept.hidden == _hidden(model)
    assert first == given_first, "what the caller gave is left as it was"


def _fleet(n: int = 3, **knobs: Any) -> tuple[Fleet, HandClock]:
    clock = HandClock()
    return Fleet.synthetic(n, 7, clock=clock, vendors=("postgres",), **knobs), clock


def test_snapshot() -> None:
    """A snapshot holds every secret, and does not move afterwards."""
    fleet, _ = _fleet()
    own = fleet.ids[0]
    path = "postgres.password_auth.password"
    before = fleet.snapshot()[own]
    auth = {"username": "new", "password": "new-password"}
    fleet.patch(own, {"destination": {"machine_type_id": "m-1", "postgres": {"password_auth": auth}}})
    after = fleet.snapshot()[own]
    assert before["secrets"][path].startswith("first-")
    assert before["destination"]["postgres"]["password_auth"]["username"] != "new"
    assert (after["secrets"], after["machine_type_id"], after["effects"]) == ({path: "new-password"}, "m-1", 1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": 3}, "name must be a string"),
        ({"is_enabled": "true"}, "is_enabled must be a boolean"),
        ({"max_concurrent_transfers": True}, "max_concurrent_transfers must be an integer"),
        ({"frequency_minutes": 17}, "frequency_minutes must be one of"),
        ({"enabled_models": ["a", 1]}, "enabled_models must be a list of strings"),
        ({"postgres": "x"}, "postgres must be an object"),
        ({"postgres": {"port": "5432"}}, "postgres.port must be an integer"),
        ({"postgres": {"password_auth": {"password": 123456789}}}, "postgres.password_auth.password must be a string"),
        ({"mysql": {"host": "x"}}, "vendor is postgres"),
        ({"vendor": "mysql"}, "cannot be changed"),
        ({"postgres.host": "x"}, "nest objects"),
    ],
)
def test_misfits(change: dict[str, Any], complaint: str) -> None:
    """A body that does not fit is refused whole, and its value is not repeated."""
    fleet, _ = _fleet()
    before = fleet.snapshot()
    with pytest.raises(Refusal, match=complaint) as refused:
        fleet.patch(fleet.ids[0], {"destination": {"name": "never", **change}})
    assert refused.value.status == 400
    assert "123456789" not in refused.value.message
    assert fleet.snapshot() == before


@pytest.mark.parametrize("body", [None, [], {}, {"destination": None}, {"destination": []}])
def test_no_destination(body: Any) -> None:
    """A body without a destination is refused."""
    fleet, _ = _fleet()
    with pytest.raises(Refusal, match="destination is required"):
        fleet.patch(fleet.ids[0], body)


def test_read_only() -> None:
    """Read-only fields and the same vendor pass without effect."""
    fleet, _ = _fleet()
    before = fleet.get(fleet.ids[0])
    same = {"id": "x", "created_at": "x", "last_completed_transfer": {}, "vendor": "postgres"}
    after = fleet.patch(fleet.ids[0], {"destination": same})
    assert {**after, "updated_at": None} == {**before, "updated_at": None}


def test_updated_at() -> None:
    """A patch moves updated_at, and a read does not."""
    fleet, clock = _fleet()
    first = fleet.patch(fleet.ids[0], {"destination": {}})["updated_at"]
    clock.now_s += 0.001
    assert fleet.get(fleet.ids[0])["updated_at"] == first
    assert fleet.patch(fleet.ids[0], {"destination": {}})["updated_at"] > first


def test_fleet_is_pure() -> None:
    """One seed makes one fleet, in whatever order it is touched."""
    one, other = (Fleet.synthetic(30, 5, clock=HandClock()) for _ in range(2))
    backwards = {destination_id: other.get(destination_id) for destination_id in reversed(other.ids)}
    assert backwards == {destination_id: one.get(destination_id) for destination_id in one.ids}
    assert one.ids != Fleet.synthetic(30, 6, clock=HandClock()).ids
    assert len({destination["vendor"] for destination in backwards.values()}) > 5


@pytest.mark.parametrize("vendor", catalogue().vendors)
def test_vendors(vendor: str) -> None:
    """Every vendor has settings, and they are such as a PATCH takes."""
    fleet = Fleet.synthetic(1, 1, clock=HandClock(), vendors=(vendor,))
    shown = fleet.get(fleet.ids[0])
    assert shown[vendor], "the vendor's object is there"
    assert fleet.patch(fleet.ids[0], {"destination": shown})[vendor] == shown[vendor]


def test_fleet_for() -> None:
    """The fleet for a job has its ids, and the vendors whose objects its rows set."""

    def row(number: int, destination_id: str, *fields: str) -> Operation:
        return Operation(row=number, destination_id=destination_id, body=b"{}", digest=b"", fields=fields)

    rows = [row(1, "a", "name", "mysql.password_auth.password"), row(2, "b", "name"), row(3, "a", "name")]
    fleet = fleet_for(rows, seed=1, clock=HandClock())
    assert fleet.ids == ("a", "b")
    assert fleet.vendor("a") == "mysql"
    assert fleet.vendor("b") in catalogue().vendors


def test_unknown_vendor() -> None:
    """An unknown vendor is refused."""
    with pytest.raises(ValueError, match="no such vendor: dbase"):
        Fleet.from_rows(["a"], {"a": "dbase"}, seed=1, clock=HandClock())


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 35), size=st.integers(1, 12), order=st.sampled_from(["asc", "desc"]), patches=st.randoms())
def test_pages(n: int, size: int, order: str, patches: Any) -> None:
    """Pages cover the fleet exactly once while it is patched, in either order."""
    fleet, clock = _fleet(n)
    query: dict[str, str] | None = {"page_size": str(size), "order": order}
    seen: list[str] = []
    while query is not None:
        shown, page = fleet.page(query)
        seen += [destination["id"] for destination in shown]
        assert len(shown) == size or page.next_query is None
        query = dict(page.next_query) if page.next_query else None
        clock.now_s += 1
        for destination_id in patches.sample(fleet.ids, min(n, 3)):
            fleet.patch(destination_id, {"destination": {"name": "moved"}})
    assert seen == list(fleet.ids if order == "asc" else reversed(fleet.ids))


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": "0"},
        {"page_size": "101"},
        {"page_size": "x"},
        {"page_size": "²"},
        {"order": "up"},
        {"cursor": "x"},
        {"cursor": "bnVsbA=="},
        {"cursor": "eyJpZCI6Im5vcGUifQ=="},
        {"cursor": "eyJpZCI6W119"},
    ],
)
def test_bad_queries(query: dict[str, str]) -> None:
    """A query that makes no sense is refused."""
    fleet, _ = _fleet(20)
    with pytest.raises(Refusal) as refused:
        fleet.page(query)
    assert refused.value.status == 400


def test_transfer() -> None:
    """A transfer is queued, runs and ends, and only then shows in its destination."""
    fleet, clock = _fleet(transfer_s=4.0)
    own = fleet.ids[0]
    before = fleet.get(own)["last_completed_transfer"]["id"]
    transfer_id = fleet.start_transfer(own, {"models": ["events"], "tags": {"why": "rotation"}})
    seen = []
    for _ in range(5):
        transfer = fleet.transfer(transfer_id)
        seen.append((transfer["status"], "started_at" in transfer, "ended_at" in transfer))
        assert fleet.get(own)["last_completed_transfer"]["id"] == (transfer_id if "ended_at" in transfer else before)
        clock.now_s += 1
    running = [("RUNNING", True, False)] * 3
    assert seen == [("PENDING", False, False), *running, ("SUCCESS", True, True)]
    assert [metric["model_name"] for metric in fleet.transfer(transfer_id)["model_metrics"]] == ["events"]
    assert fleet.transfer(transfer_id)["tags"] == {"why": "rotation"}


def test_transfer_lists() -> None:
    """Transfers are listed by destination, and thinned out by status."""
    fleet, clock = _fleet(transfer_s=1.0)
    one, other = fleet.ids[:2]
    old = fleet.start_transfer(one, {})
    clock.now_s += 2
    young, foreign = fleet.start_transfer(one, {}), fleet.start_transfer(other, {})

    def ids(query: dict[str, str], destination_id: str | None) -> list[str]:
        return [transfer["id"] for transfer in fleet.transfers(query, destination_id)[0]]

    assert ids({}, one) == [old, young]
    assert ids({"order": "desc"}, None) == [foreign, young, old]
    assert ids({"status": "SUCCESS"}, one) == [old]


def test_bad_credentials() -> None:
    """Bad credentials fail their connection test, which keeps nothing, and their transfers."""
    fleet, clock = _fleet(bad_ids=["nobody"], bad_secrets=["wrong-password"], transfer_s=1.0)
    own, bad = fleet.ids[0], {"destination": {"postgres": {"password_auth": {"password": "wrong-password"}}}}
    before = fleet.snapshot()
    verdict = fleet.test(own, bad)
    assert (verdict["status"], verdict["error"]["blame"]) == ("error", "third_party")
    assert fleet.snapshot() == before, "a test keeps nothing"
    assert fleet.test(own, {"destination": {}}) == {"status": "success"}
    fleet.patch(own, bad)
    assert fleet.test(own, {"destination": {}})["status"] == "error"
    transfer_id = fleet.start_transfer(own, {"models": ["events"]})
    clock.now_s += 1
    failed = fleet.transfer(transfer_id)
    assert (failed["status"], failed["model_metrics"][0]["error"]["error_code"]) == ("ERROR", "PRQL-PVER")
    assert "wrong-password" not in str(failed)


def test_credentials_that_fade() -> None:
    """A destination that passes its test fails it from its first PATCH on; others do not."""
    ids = _fleet()[0].ids
    fleet, _ = _fleet(fading_ids=[ids[0]])
    for one in ids[:2]:
        assert fleet.test(one, {"destination": {}}) == {"status": "success"}
        fleet.patch(one, {"destination": {"name": "n"}})
    assert [fleet.test(one, {"destination": {}})["status"] for one in ids[:2]] == ["error", "success"]


def test_unknown_id() -> None:
    """An unknown id is 404 for every call."""
    fleet, _ = _fleet()
    calls: list[Callable[[], object]] = [
        lambda: fleet.get("nobody"),
        lambda: fleet.patch("nobody", {"destination": {}}),
        lambda: fleet.test("nobody", {"destination": {}}),
        lambda: fleet.start_transfer("nobody", {}),
        lambda: fleet.transfers({}, "nobody"),
        lambda: fleet.transfer("nobody"),
    ]
    for call in calls:
        with pytest.raises(Refusal, match="not found") as refused:
            call()
        assert refused.value.status == 404
