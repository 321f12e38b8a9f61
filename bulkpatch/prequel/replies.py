"""What the API's answers say.

A whole answer is either understood or its problem is named; the body itself is kept nowhere. Fields
that reports use are read leniently, since the API's schema grows: one that does not fit becomes null
and never makes a success unreadable.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, NoReturn, TypeVar

import msgspec
from msgspec import Meta, Struct

from bulkpatch.model import Answer, Reply
from bulkpatch.prequel.facts import Facts, ModelFacts, decode_facts, encode_facts, parse_time
from bulkpatch.prequel.values import DEPTH_MAX, INTEGER_MAX, too_deep

__all__ = [
    "SUCCESSES",
    "Facts",
    "ModelFacts",
    "decode_facts",
    "parse_time",
    "read_destination",
    "read_envelope",
    "read_error_message",
    "read_success",
]

Count = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""A whole number that a 64-bit column holds."""
SUCCESSES: Final = range(200, 300)
"""HTTP statuses of which the body decides."""
S = TypeVar("S", bound=Struct)


class _ModelError(Struct, gc=False):
    error_code: str | None = None
    title: str | None = None
    blame: str | None = None
    message: str | None = None


class _Metric(Struct):
    model_id: str | None = None
    model_name: str | None = None
    rows_transferred: Count | None = None
    delta_rows_transferred: Count | None = None
    volume_transferred_in_mb: float | None = None
    start_transfer_window_at: str | None = None
    end_transfer_window_at: str | None = None
    most_recent_last_updated_at: str | None = None
    error: _ModelError | None = None


class _Transfer(Struct):
    id: str | None = None
    status: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    rows_transferred: Count | None = None
    delta_rows_transferred: Count | None = None
    volume_transferred_in_mb: float | None = None
    model_metrics: list[_Metric] | None = None


class _Destination(Struct):
    id: str | None = None
    vendor: str | None = None
    name: str | None = None
    recipient_id: str | None = None
    id_in_provider_system: str | None = None
    is_enabled: bool | None = None
    updated_at: str | None = None
    last_completed_transfer: _Transfer | None = None
    total_rows_transferred_last_billing_period: Count | None = None
    total_delta_rows_transferred_last_billing_period: Count | None = None
    total_rows_transferred_current_billing_period: Count | None = None


class _Data(Struct):
    destination: _Destination | None = None


class _Envelope(Struct):
    status: str | None = None
    data: _Data | None = None
    message: str | None = None


class _Complaint(Struct):
    message: str = ""


class _AnyObject(Struct):
    """Decodes to nothing: the whole syntax is checked, and no value is."""


class _NotUnderstood(Exception):
    """Why a body is not taken for the API's answer."""


_ENVELOPES: Final = msgspec.json.Decoder(_Envelope)
_COMPLAINTS: Final = msgspec.json.Decoder(_Complaint)
_SYNTAX: Final = msgspec.json.Decoder(_AnyObject)
_NESTED: Final[dict[str, type[Struct]]] = {
    "data": _Data,
    "destination": _Destination,
    "last_completed_transfer": _Transfer,
    "model_metrics": _Metric,
    "error": _ModelError,
}
"""The fields above that hold one of the structs above, or a list of them."""
_NO_TRANSFER: Final = _Transfer()
_NO_ERROR: Final = _ModelError()
_TOO_DEEP: Final = f"JSON nested deeper than {DEPTH_MAX} levels"
_BEYOND_ANY_NUMBER: Final = "a number that no reader holds"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_destination(reply: Reply, destination_id: str) -> Answer:
    """What a PATCH or GET of ``destination_id`` was answered, by its body alone. Never raises."""
    try:
        envelope = _envelope(reply.body)
    except _NotUnderstood as problem:
        return Answer(success=False, problem=str(problem))
    message = envelope.message or ""
    if envelope.status == "error":
        return Answer(success=False, message=message)
    if envelope.status != "success":
        return Answer(success=False, problem="a status that is neither success nor error", message=message)
    found = envelope.data and envelope.data.destination
    if not found or not found.id:
        return Answer(success=False, problem="no destination with an id in it", message=message)
    if found.id != destination_id:
        return Answer(success=False, message=message, echoed_id=found.id)
    return Answer(success=True, message=message, facts=encode_facts(_facts(found)))


def read_error_message(reply: Reply) -> str:
    """The API's own words in the body of a 4xx or 5xx, not yet scrubbed; ``""`` if there are none."""
    try:
        return _COMPLAINTS.decode(reply.body).message
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""


def read_envelope(reply: Reply) -> dict[str, Any] | str:
    """The envelope of any call, decoded whole, or why it is not understood. Never raises.

    As strict as ``read_destination``, and over that no object names a key twice, since all of it is used.
    A whole number written as ``1.0`` comes as ``1``, so that equal documents are equal JSON.
    """
    try:
        _envelope(reply.body)
        return _whole(reply.body)
    except _NotUnderstood as problem:
        return str(problem)


def read_success(reply: Reply) -> dict[str, Any] | str:
    """The envelope of a 2xx that says ``success`` and whose ``data`` is an object, or what it is instead. Never raises.

    What it is instead is told in words, with the HTTP status at most, and nothing of the body.
    """
    if reply.status not in SUCCESSES:
        return f"HTTP status {reply.status}"
    envelope = read_envelope(reply)
    if isinstance(envelope, str):
        return envelope
    if envelope["status"] != "success":
        return "a status that is not success"
    return envelope if isinstance(envelope.get("data"), dict) else "no data in it"


def _whole(body: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(body.decode(), object_pairs_hook=_once_each, parse_float=_finite)
    except ValueError:  # a whole number of thousands of digits, which the decoder above skipped
        raise _NotUnderstood(_BEYOND_ANY_NUMBER) from None
    return found


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NotUnderstood("JSON with a key twice in one object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotUnderstood(_BEYOND_ANY_NUMBER)
    return int(value) if value.is_integer() and abs(value) <= INTEGER_MAX else value


def _envelope(body: bytes) -> _Envelope:
    """``body``, if it means one thing only. Raises ``_NotUnderstood``."""
    try:
        envelope = _decoded(body)
        if not body.isascii():
            body.decode()  # what lies in fields that are not used was not decoded
        if too_deep(body):
            raise _NotUnderstood(_TOO_DEEP)
        if _has_status_twice(body, envelope):
            raise _NotUnderstood("JSON with two fields named status")
        if envelope.status is None:
            raise _NotUnderstood("JSON without a status")
    except RecursionError:
        raise _NotUnderstood(_TOO_DEEP) from None
    except (msgspec.MsgspecError, ValueError):
        raise _NotUnderstood(_fault_of(body)) from None
    return envelope


def _decoded(body: bytes) -> _Envelope:
    try:
        return _ENVELOPES.decode(body)
    except msgspec.ValidationError:
        _SYNTAX.decode(body)  # what follows the field that did not fit was not looked at
        return _salvaged(_Envelope, json.loads(body))


def facts_of(settings: Mapping[str, Any]) -> bytes:
    """The facts of a destination that is decoded already, as far as they fit."""
    try:
        found = msgspec.convert(settings, _Destination)
    except msgspec.ValidationError:
        found = _salvaged(_Destination, dict(settings))
    return encode_facts(_facts(found))


def _salvaged(kind: type[S], value: dict[str, Any]) -> S:
    """What fits of ``value``; the rest is null."""
    return kind(**{field.name: _fitting(field, value.get(field.name)) for field in _fields_of(kind)})


@cache
def _fields_of(kind: type[Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of ``kind``, which msgspec works out from the annotations at every call."""
    return msgspec.structs.fields(kind)


def _fitting(field: msgspec.structs.FieldInfo, value: Any) -> Any:
    match _NESTED.get(field.name), value:
        case None, _:
            try:
                return msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                return None
        case inner, list() if field.name == "model_metrics":
            return [_salvaged(inner, item) for item in value if isinstance(item, dict)]
        case inner, dict() if field.name != "model_metrics":
            return _salvaged(inner, value)
        case _:
            return None


def _has_status_twice(body: bytes, envelope: _Envelope) -> bool:
    """Whether the envelope names its status twice: decoders take the last, other readers the first.

    Counting settles nearly every body: the only other status that is read is that of the transfer.
    Where the count is another one, or a key may be escaped, the keys are looked at.
    """
    found = envelope.data and envelope.data.destination
    transfer = found and found.last_completed_transfer
    expected = 2 if transfer and transfer.status is not None else 1
    if body.count(b'"status"') == expected and b"\\" not in body:
        return False
    return [key for key, _ in json.loads(body, object_pairs_hook=list)].count("status") > 1


def _fault_of(body: bytes) -> str:
    """What is wrong with a body that was not understood as JSON."""
    start = body.lstrip()[: len(_BYTE_ORDER_MARK)]
    if start == _BYTE_ORDER_MARK:
        return "a byte order mark before the JSON"
    if not start or start.startswith(b"<"):
        return "HTML or XML instead of JSON" if start else "an empty body"
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant)
    except UnicodeError:
        return "bytes that are not UTF-8"
    except (RecursionError, ValueError) as error:
        return _TOO_DEEP if isinstance(error, RecursionError) else "malformed JSON"
    except _NotUnderstood as fault:
        return str(fault)
    return "JSON with half a surrogate pair" if isinstance(value, dict) else "JSON that is no object"


def _refuse_constant(_: str) -> NoReturn:
    raise _NotUnderstood("NaN or Infinity, which JSON does not have")


def _facts(found: _Destination) -> Facts:
    transfer = found.last_completed_transfer or _NO_TRANSFER
    metrics = transfer.model_metrics or ()
    error = next((metric.error for metric in metrics if metric.error), _ModelError())
    return Facts(
        vendor=found.vendor,
        name=found.name,
        recipient_id=found.recipient_id,
        id_in_provider_system=found.id_in_provider_system,
        is_enabled=found.is_enabled,
        updated_at=found.updated_at,
        transfer_id=transfer.id,
        transfer_status=transfer.status,
        transfer_started_at=transfer.started_at,
        transfer_ended_at=transfer.ended_at,
        rows_transferred=transfer.rows_transferred,
        delta_rows_transferred=transfer.delta_rows_transferred,
        volume_transferred_in_mb=transfer.volume_transferred_in_mb,
        transfer_error_code=error.error_code,
        transfer_error_blame=error.blame,
        total_rows_last_billing_period=found.total_rows_transferred_last_billing_period,
        total_delta_rows_last_billing_period=found.total_delta_rows_transferred_last_billing_period,
        total_rows_current_billing_period=found.total_rows_transferred_current_billing_period,
        models=tuple(map(_model_facts, metrics)),
    )


def _model_facts(metric: _Metric) -> ModelFacts:
    error = metric.error or _NO_ERROR
    return ModelFacts(
        model_id=metric.model_id,
        model_name=metric.model_name,
        rows_transferred=metric.rows_transferred,
        delta_rows_transferred=metric.delta_rows_transferred,
        volume_transferred_in_mb=metric.volume_transferred_in_mb,
        start_transfer_window_at=metric.start_transfer_window_at,
        end_transfer_window_at=metric.end_transfer_window_at,
        most_recent_last_updated_at=metric.most_recent_last_updated_at,
        error_code=error.error_code,
        error_title=error.title,
        error_blame=error.blame,
        error=error.message,
    )
