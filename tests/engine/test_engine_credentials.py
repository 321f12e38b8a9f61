"""Rows with secrets: what is put on record of them, before they leave."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from engine_rig import Listed, Run, ScriptedApi, Told, accepts

from bulkpatch.model import Request, RowState, Secret, SecretSlot, Stage, Staging, credential_of

PATH = ("postgres", "password_auth", "password")
BOTH = Staging(stages=(Stage.PRETEST, Stage.PATCH, Stage.VERIFY))


class Store:
    """ports.SecretResolver: the value is the reference's own name; a reference with ``vault`` has a version."""

    async def resolve(self, source: str | Secret) -> Secret:
        """The value behind ``source``."""
        if isinstance(source, Secret):
            return source
        return Secret(f"value of {source}", reference=source, version="v7" if "vault" in source else None)


class Secretive(Listed):
    """Rows that set one password each, in the order of ``sources``."""

    def __init__(self, *sources: str | Secret) -> None:
        super().__init__(len(sources))
        body = b'{"destination":{"postgres":{"password_auth":{"password":"reference"}}}}'
        slots = [(SecretSlot(path=PATH, source=source),) for source in sources]
        self.rows = [
            replace(row, body=body, fields=(".".join(PATH),), secrets=slot)
            for row, slot in zip(self.rows, slots, strict=True)
        ]


def test_the_version_of_a_secret_is_on_record_before_it_leaves() -> None:
    """With the intent of each attempt that carries it, and of no other; where the store tells none, nothing is."""
    kept: list[list[list[list[Any]]]] = []

    def script(request: Request) -> Told:
        kept.append([list(map(list, batch)) for batch in run.ledger.credential_rows()])
        return accepts(request)

    source = Secretive("vault:a", "env:B", Secret("inline-value", reference="inline"))
    run = Run(source=source, ledger=source.ledger(), api=ScriptedApi(script), secrets=Store(), staging=BOTH)
    assert run.to_its_end() is None
    assert run.ledger.counts() == {RowState.VERIFIED: 3}
    (rows,) = run.ledger.credential_rows()
    assert [(row.credential, json.loads(row.versions)) for row in rows] == [
        ("vault:a", [[".".join(PATH), "vault:a", "v7"]]),
        ("env:B", []),
        ("inline", []),
    ]
    first = next(at for at, (_, request) in enumerate(run.api.asked) if request.method == "PATCH")
    assert json.loads(kept[first][0][0][2]) == [[".".join(PATH), "vault:a", "v7"]]
    assert "inline-value" not in repr(list(run.ledger.credential_rows()))


def test_a_credential_is_known_by_its_references_in_the_order_of_their_paths() -> None:
    """However the slots stand; an inline secret by that word and never by its value; none by nothing."""
    source = Secretive("env:A")
    row = source.rows[0]
    first = SecretSlot(path=("a", "key"), source=Secret("hidden-value", reference="inline"))
    assert credential_of(replace(row, secrets=(*row.secrets, first))) == "inline, env:A"
    assert credential_of(replace(row, secrets=())) is None
