"""The forms that values of a job file take: text in, checked value out, and what an editor is told of each.

Every check raises with a code of ours and words of ours: what pydantic would say of a value is never shown.
"""

from __future__ import annotations

import re
import shlex
import zoneinfo
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from bulkpatch.core.quantities import parse_duration, parse_rate, parse_threshold
from bulkpatch.job.references import Refused, check_reference
from bulkpatch.model import Rate, Threshold
from bulkpatch.prequel.requests import check_base_url

TIMEOUT_S_MIN: Final = 0.1
"""Seconds; less than a TLS handshake over an ocean takes."""
TIMEOUT_S_MAX: Final = 600.0
"""Seconds; the longest that anything else waits for the API, too."""
NAME_CHARS_MAX: Final = 200
"""Characters; with time and suffix it must fit in the 255 bytes of a folder's name."""
INTEGER_MAX: Final = 2**53
"""Beyond it, programs that keep numbers as doubles take another number than was meant."""

PLUGIN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
"""The name of a plugin: no dot and no slash, since a report writer's is also that of a folder."""
TRANSPORTS: Final = ("httpx", "curl")
"""What an editor offers; a package may bring more."""

T = TypeVar("T")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_DURATION_FORM: Final = {"type": "string", "pattern": r"^\s*[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h)\s*$"}
_SHARE_FORM: Final = {"type": "string", "pattern": r"^\s*[0-9]{1,3}(\.[0-9]{1,4})?%\s*$"}
_COUNT_FORM: Final = {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX}


def _refused(code: str, words: str, hint: str = "") -> PydanticCustomError:
    """An error that ends as a problem with this code."""
    return PydanticCustomError(code, "{words}", {"words": words, "hint": hint})


def checked(code: str, read: Callable[[Any], T]) -> Callable[[Any], T]:
    """``read`` as a validator: its ``ValueError`` becomes ``code``, or the code that a ``Refused`` brings."""

    def validate(value: Any) -> T:
        try:
            return read(value)
        except Refused as error:
            raise _refused(error.code, str(error), error.hint) from None
        except ValueError as error:
            raise _refused(code, str(error)) from None

    return validate


def _text(read: Callable[[str], T]) -> Callable[[Any], T]:
    def read_text(value: Any) -> T:
        if not isinstance(value, str):
            raise ValueError("text in quotes belongs here")  # noqa: TRY004  (a wrong value, not a wrong call)
        return read(value)

    return read_text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or len(text) > NAME_CHARS_MAX:
        raise ValueError(f"not a job name of 1 to {NAME_CHARS_MAX} characters")
    return text


def _plugin(text: str) -> str:
    if not PLUGIN.fullmatch(text):
        raise ValueError("a name of lower-case letters, digits and hyphens belongs here")
    return text


def _timeout(text: str) -> float:
    seconds = parse_duration(text)
    if not TIMEOUT_S_MIN <= seconds <= TIMEOUT_S_MAX:
        raise Refused("BP105", "less than 100ms or more than 10m")
    return seconds


def _patience(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < TIMEOUT_S_MIN:
        raise Refused("BP105", "less than 100ms")
    return seconds


def _threshold(value: Any) -> Threshold:
    threshold = parse_threshold(value)
    if threshold.count is not None and threshold.count > INTEGER_MAX:
        raise ValueError("a whole number beyond 2^53")
    return threshold


def _size(value: Any) -> Threshold | None:
    """None is the rest."""
    if value == "rest":
        return None
    try:
        size = _threshold(value)
    except ValueError:
        raise ValueError('a wave\'s size is a number of rows, a share such as "10%", or "rest"') from None
    if not (size.count or size.share):
        raise ValueError("a wave has at least one row")
    return size


def _share(text: str) -> float:
    share = parse_threshold(text).share
    if share is None:
        raise ValueError('a share such as "95%" belongs here')
    return share


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError('a time of day is "00:00" to "23:59"')
    return text


def _zone(text: str) -> str:
    try:
        if text != "UTC":
            zoneinfo.ZoneInfo(text)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError('no such time zone; write "UTC" or a name such as "Europe/Berlin"') from None
    return text


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL stands in the text")
    return text


def _some_words(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:
        raise ValueError("a quote in the command is not closed") from None
    if not words:
        raise ValueError("the command has no words")
    return text


def _once_each(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("an entry stands twice")
    return values


def _some_once_each(values: tuple[str, ...]) -> tuple[str, ...]:
    """The length is looked at last: pydantic takes a list of wrong entries for an empty one."""
    if not values:
        raise ValueError("it may not be empty")
    return _once_each(values)


Text = Annotated[str, StringConstraints(min_length=1), AfterValidator(checked("BP105", _no_nul))]
Command = Annotated[Text, AfterValidator(checked("BP105", _some_words))]
Texts = Annotated[
    tuple[Text, ...],
    Field(strict=False, json_schema_extra={"uniqueItems": True}),
    AfterValidator(checked("BP105", _once_each)),
]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Days = Annotated[
    tuple[Day, ...],
    Field(strict=False, json_schema_extra={"minItems": 1, "uniqueItems": True}),
    AfterValidator(checked("BP105", _some_once_each)),
]
JobName = Annotated[
    str,
    PlainValidator(checked("BP116", _text(_name))),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$", "maxLength": NAME_CHARS_MAX}),
]
PluginName = Annotated[
    str,
    PlainValidator(checked("BP105", _text(_plugin))),
    WithJsonSchema({"type": "string", "pattern": f"^{PLUGIN.pattern}$"}),
]
Transport = Annotated[
    PluginName,
    WithJsonSchema({"anyOf": [{"enum": list(TRANSPORTS)}, {"type": "string", "pattern": f"^{PLUGIN.pattern}$"}]}),
]
PluginNames = Annotated[
    tuple[PluginName, ...],
    Field(strict=False, json_schema_extra={"uniqueItems": True}),
    AfterValidator(checked("BP105", _once_each)),
]
BaseUrl = Annotated[
    str,
    PlainValidator(checked("BP111", _text(check_base_url))),
    WithJsonSchema({"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"}),
]
Reference = Annotated[
    str,
    PlainValidator(checked("BP301", _text(check_reference))),
    WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9-]*:"}),
]
RateText = Annotated[
    Rate,
    PlainValidator(checked("BP106", _text(parse_rate))),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9]{1,10}\s*/\s*(s|min|h)\s*$"}),
]
Timeout = Annotated[float, PlainValidator(checked("BP114", _text(_timeout))), WithJsonSchema(_DURATION_FORM)]
Duration = Annotated[float, PlainValidator(checked("BP114", _text(parse_duration))), WithJsonSchema(_DURATION_FORM)]
Patience = Annotated[float, PlainValidator(checked("BP114", _text(_patience))), WithJsonSchema(_DURATION_FORM)]
FailedRows = Annotated[
    Threshold, PlainValidator(checked("BP113", _threshold)), WithJsonSchema({"anyOf": [_COUNT_FORM, _SHARE_FORM]})
]
Share = Annotated[float, PlainValidator(checked("BP105", _text(_share))), WithJsonSchema(_SHARE_FORM)]
WaveSize = Annotated[
    Threshold | None,
    PlainValidator(checked("BP105", _size)),
    WithJsonSchema({"anyOf": [{**_COUNT_FORM, "minimum": 1}, _SHARE_FORM, {"const": "rest"}]}),
]
TimeOfDay = Annotated[
    str,
    PlainValidator(checked("BP105", _text(_clock))),
    WithJsonSchema({"type": "string", "pattern": f"^({_CLOCK.pattern})$"}),
]
TimeZone = Annotated[
    str, PlainValidator(checked("BP105", _text(_zone))), WithJsonSchema({"type": "string", "minLength": 1})
]
