"""Whatever the API repeats of a secret, nothing of it is put on record or told."""

from __future__ import annotations

import pytest
from engine_rig import Listed, Run, ScriptedApi, Told, id_in, shown

from bulkpatch.model import Request, Secret
from bulkpatch.secrets.redaction import LiveRedactor

CANARY = "cAnArY-7391-xyzzy"


@pytest.mark.proves("G7")
def test_what_the_api_says_is_scrubbed_before_it_is_on_record() -> None:
    """It is repeated in the words of a refusal, of a failure, and in what a success shows of the destination."""
    redactor = LiveRedactor()
    redactor.add(Secret(CANARY, reference="env:PW"))

    def script(request: Request) -> Told:
        name = id_in(request)
        told = {"status": "error", "message": f"{name} has no {CANARY}"}
        answers: dict[str, Told] = {"d1": (422, told), "d2": (500, told)}
        return answers.get(name, (200, shown(name, name=f"was {CANARY}")))

    source = Listed(3)
    run = Run(source=source, ledger=source.ledger(), api=ScriptedApi(script), redactor=redactor)
    assert run.to_its_end() is None
    events = [events for one in source.rows for _, events in run.ledger.story(one.destination_id)]
    outcomes = [one for batch in run.ledger.outcome_rows() for one in batch]
    assert [one.state for one in outcomes] == ["rejected", "unknown", "accepted"]
    for record in (outcomes, events, run.heard.events):
        assert "redacted" in str(record)
        assert CANARY not in str(record)
