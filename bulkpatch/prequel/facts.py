"""What the ledger keeps of a reply, and reports read: JSON arrays, since names would be half of every row."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

FACTS_VERSION: Final = 1
"""The first entry of the array. Entries are only ever appended, so older and newer facts read alike."""

_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class ModelFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One model of the last completed transfer. Times are the API's text; see ``parse_time``."""

    model_id: str | None = None
    model_name: str | None = None
    rows_transferred: int | None = None
    delta_rows_transferred: int | None = None
    volume_transferred_in_mb: float | None = None
    start_transfer_window_at: str | None = None
    end_transfer_window_at: str | None = None
    most_recent_last_updated_at: str | None = None
    error_code: str | None = None
    error_title: str | None = None
    error_blame: str | None = None
    error: str | None = None


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """What a reply said of its destination. Names are those of the report's columns; times are the API's text.

    ``transfer_error_code`` and ``_blame`` are those of the first model that has an error.
    """

    version: int = FACTS_VERSION
    vendor: str | None = None
    name: str | None = None
    recipient_id: str | None = None
    id_in_provider_system: str | None = None
    is_enabled: bool | None = None
    updated_at: str | None = None
    transfer_id: str | None = None
    transfer_status: str | None = None
    transfer_started_at: str | None = None
    transfer_ended_at: str | None = None
    rows_transferred: int | None = None
    delta_rows_transferred: int | None = None
    volume_transferred_in_mb: float | None = None
    transfer_error_code: str | None = None
    transfer_error_blame: str | None = None
    total_rows_last_billing_period: int | None = None
    total_delta_rows_last_billing_period: int | None = None
    total_rows_current_billing_period: int | None = None
    models: tuple[ModelFacts, ...] = ()


_DECODER: Final = msgspec.json.Decoder(Facts)
encode_facts: Final = msgspec.json.Encoder().encode
"""``Facts`` → compact JSON."""


def decode_facts(document: bytes) -> Facts:
    """What ``encode_facts`` made, in this version or another. Raises ``ValueError`` for anything else."""
    try:
        return _DECODER.decode(document)
    except (msgspec.MsgspecError, UnicodeError):
        raise ValueError("not the facts of a reply") from None


def parse_time(text: str | None) -> int | None:
    """RFC 3339 → microseconds since 1970, UTC (finer digits are cut); None for what is not, or is no time."""
    if text is None or not _RFC_3339.fullmatch(text):
        return None
    try:
        return (datetime.fromisoformat(text.upper()) - _EPOCH) // _MICROSECOND
    except ValueError:
        return None
