"""No more destinations of one customer are touched at a time than its limits allow."""

from __future__ import annotations

from core_rig import work
from hypothesis import given
from hypothesis import strategies as st

from bulkpatch.core.recipients import Recipients
from bulkpatch.core.work import Work
from bulkpatch.model import PerRecipient, Stage


def of(recipient_id: str | None, number: int = 1) -> Work:
    """A row of that recipient."""
    return work(number, recipient_id=recipient_id)


def test_a_recipient_has_no_more_in_flight_than_allowed() -> None:
    recipients = Recipients(PerRecipient(in_flight=2))
    first, second, third = of("r"), of("r"), of("r")
    for one in (first, second):
        assert recipients.bars(one) is None
        recipients.entered(one)
    assert recipients.bars(third) == "r"
    assert recipients.bars(of("other")) is None
    recipients.left(first)
    assert recipients.bars(third) is None
    recipients.entered(third)
    assert recipients.bars(first) == "r"


def test_a_recipient_has_no_more_changed_and_unverified_than_allowed() -> None:
    """What is in a slot may change at any moment, so it counts; what left unchanged does not."""
    recipients = Recipients(PerRecipient(unverified=1))
    first, second = of("r"), of("r")
    recipients.entered(first)
    assert recipients.bars(second) == "r"
    recipients.left(first)
    assert recipients.bars(second) is None
    recipients.entered(first)
    recipients.left(first)
    recipients.begun(first)
    assert recipients.bars(second) == "r"
    recipients.ended(first)
    assert recipients.bars(second) is None


def test_a_row_that_changed_its_destination_is_not_barred_from_its_verification() -> None:
    """It is one of the unverified itself, and counts once however often it takes a slot."""
    recipients = Recipients(PerRecipient(unverified=1))
    first, second = of("r"), of("r")
    recipients.entered(first)
    recipients.left(first)
    recipients.begun(first)
    for _ in range(3):
        assert recipients.bars(first) is None
        recipients.entered(first)
        assert recipients.bars(second) == "r"
        recipients.left(first)
        assert recipients.bars(second) == "r"
    recipients.ended(first)
    assert recipients.bars(second) is None


def test_a_row_that_changed_its_destination_is_still_held_to_what_is_in_flight() -> None:
    recipients = Recipients(PerRecipient(in_flight=1, unverified=9))
    recipients.entered(of("r"))
    begun = work(2, recipient_id="r", passed=Stage.PATCH)
    assert begun.begun
    assert recipients.bars(begun) == "r"


def test_a_row_whose_recipient_is_not_known_is_held_to_no_limit() -> None:
    recipients = Recipients(PerRecipient(in_flight=1, unverified=1))
    nobody = of(None)
    for _ in range(3):
        assert recipients.bars(nobody) is None
        recipients.entered(nobody)
    recipients.left(nobody)
    recipients.begun(nobody)
    recipients.ended(nobody)
    assert recipients.bars(nobody) is None
    assert nobody.begun


def test_without_limits_nobody_is_barred() -> None:
    recipients = Recipients(PerRecipient())
    for number in range(100):
        one = of("r", number)
        assert recipients.bars(one) is None
        recipients.entered(one)
        recipients.begun(one)


@given(
    steps=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["go", "back", "change", "settle"])), max_size=120),
    in_flight=st.none() | st.integers(1, 3),
    unverified=st.none() | st.integers(1, 3),
)
def test_whatever_rows_do_the_limits_hold(
    steps: list[tuple[int, str]], in_flight: int | None, unverified: int | None
) -> None:
    """Six rows of one recipient that go when they may, come back, change their destination and are settled."""
    recipients = Recipients(PerRecipient(in_flight=in_flight, unverified=unverified))
    rows = [of("r", number) for number in range(6)]
    going, changed, settled = set[int](), set[int](), set[int]()
    for number, what in steps:
        one = rows[number]
        if number in settled:
            continue
        if what == "go" and number not in going and recipients.bars(one) is None:
            recipients.entered(one)
            going.add(number)
        elif what != "go" and number in going:
            recipients.left(one)
            going.remove(number)
            if what == "change" and number not in changed:
                recipients.begun(one)
                changed.add(number)
            if what == "settle":
                recipients.ended(one)
                settled.add(number)
        assert in_flight is None or len(going) <= in_flight
        assert unverified is None or len((going | changed) - settled) <= unverified
    for number in going:
        recipients.left(rows[number])
    for number in changed - settled:
        recipients.ended(rows[number])
    assert recipients.bars(of("r", 9)) is None
