"""What the project promises, by number; a test says which of them it proves, and ``--prove`` prints the table."""

from __future__ import annotations

GUARANTEES = {
    "G1": "no byte of a PATCH leaves before its intent is on the disk",
    "G2": "after any crash each row is pending, done, failed or in doubt, and in doubt at most concurrency of them",
    "G3": "done means: 2xx, whole body read, status success, recorded durably",
    "G4": "a row recorded done is never sent again by its job",
    "G5": "the rate holds in every window, across retries, reads and resumes",
    "G6": "never more than concurrency requests in flight",
    "G7": "no secret is in any artefact, screen or argument list, in 13 encodings",
    "G8": "two processes never send for one ledger",
    "G9": "the input is sealed: a change is noticed and named",
    "G10": "every input row is reported exactly once",
    "G11": "the key goes to the configured origin only, over verified TLS",
    "G12": "replies, attempts and memory are bounded",
    "G13": "a signal stops new sends at once and loses nothing",
    "G14": "a full or failing disk or a power cut leaves a ledger that can be resumed",
    "G15": "ids and values reach the wire byte for byte",
    "G16": "pacing and deadlines do not follow the wall clock",
    "G17": "a newer ledger is refused untouched, an older one is migrated after a copy",
    "G18": "the same job, seed and faults make the same trace",
}
