"""What stands behind the colon of an extra's reference: ``PLACE#KEY?version=N``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bulkpatch.secrets.flaws import Unusable

EXTRAS = ("keyring", "vault", "aws-sm", "gcp-sm", "azure-kv", "op", "age")
"""Schemes that come with the extra of the same name."""

AZURE_CLOUDS = ("vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net")
"""Hosts of key vaults. No other is asked: who edits the input must not choose who gets this machine's token."""

_LEAVE_OUT = "Or leave [secrets] pin_versions out."
_PARTS = re.compile(r"([^#?]+)(?:#([^#?]+))?(?:\?(version|stage)=([^#?&=\s]+))?")


class Spot(NamedTuple):
    """One document of a store, or one version of it."""

    place: str
    version: str | None = None
    stage: str | None = None


class Target(NamedTuple):
    """A document, and which of its keys; without one it is the value as a whole."""

    spot: Spot
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    shape: str
    place: re.Pattern[str]
    divided: bool = True
    keyed: bool | None = None
    pins: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    pin: str = "ID"
    fixed: re.Pattern[str] = re.compile(".+")


def read_target(scheme: str, text: str) -> Target:
    """``text`` of an extra's reference taken apart. Raises ``Unusable`` (BP301) with the form that it should have."""
    form = _FORMS[scheme]
    place, key, pin, pinned = text, None, None, None
    if form.divided:
        parts = _PARTS.fullmatch(text)
        if parts is None:
            raise _misshapen(scheme)
        place, key, pin, pinned = parts.groups()
    fits = form.place.fullmatch(place) and form.keyed in {None, key is not None}
    if pin is not None and (pin not in form.pins or not form.pins[pin].fullmatch(pinned or "")):
        fits = False
    if not fits:
        raise _misshapen(scheme)
    spot = Spot(place, pinned if pin == "version" else None, pinned if pin == "stage" else None)
    return Target(spot, key)


def refuse_unpinned(scheme: str, text: str) -> None:
    """Raise ``Unusable`` (BP308) unless the reference names one version, which no writer can move."""
    form = _FORMS.get(scheme)
    if form is None or "version" not in form.pins:
        versioned = ", ".join(name for name, one in _FORMS.items() if "version" in one.pins)
        raise Unusable("BP308", f"{scheme}: has no versions to pin", fix=f"Use one of {versioned} for it. {_LEAVE_OUT}")
    version = read_target(scheme, text).spot.version
    if version is None or not form.fixed.fullmatch(version):
        moves = "an alias, which moves" if version else "no version"
        raise Unusable("BP308", f"it names {moves}", fix=f"End it with ?version={form.pin}. {_LEAVE_OUT}")


def _misshapen(scheme: str) -> Unusable:
    return Unusable("BP301", f"{scheme}: takes {_FORMS[scheme].shape}")


_SEGMENT = r"(?!\.{1,2}(?:/|$))[^/]+"
"""A step of a path: HTTP clients take ``..`` as the way to another secret."""

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")

_FORMS: Mapping[str, _Form] = {
    "vault": _Form(
        shape="MOUNT/PATH#FIELD, or MOUNT//PATH#FIELD where the mount has a slash itself; then ?version=N may follow",
        place=re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*//?{_SEGMENT}(?:/{_SEGMENT})*"),
        keyed=True,
        pins={"version": _NUMBER},
        pin="N",
    ),
    "aws-sm": _Form(
        shape="a secret's name or ARN; #JSONKEY and ?version=ID or ?stage=LABEL may follow",
        place=re.compile(r"(?:arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@-]{1,512}"),
        pins={"version": re.compile(r"[A-Za-z0-9-]{32,64}"), "stage": re.compile(r".{1,256}")},
    ),
    "gcp-sm": _Form(
        shape="PROJECT/SECRET or projects/PROJECT/secrets/SECRET; #JSONKEY and ?version=N may follow",
        place=re.compile(r"(?:[a-z0-9][a-z0-9.:-]*/|projects/[a-z0-9][a-z0-9.:-]*/secrets/)[A-Za-z0-9_-]{1,255}"),
        pins={"version": re.compile(r"[A-Za-z0-9_-]{1,63}")},
        pin="N",
        fixed=_NUMBER,
    ),
    "azure-kv": _Form(
        shape=f"VAULT/SECRET, where VAULT is a name or NAME.{AZURE_CLOUDS[1]} and the like; "
        "#JSONKEY and ?version=ID may follow",
        place=re.compile(
            rf"[A-Za-z0-9-]{{3,24}}(?:\.(?:{'|'.join(map(re.escape, AZURE_CLOUDS))}))?/[A-Za-z0-9-]{{1,127}}"
        ),
        pins={"version": re.compile(r"[A-Za-z0-9]{1,64}")},
    ),
    "age": _Form(
        shape="PATH#KEY; ?version=HEX may follow",
        place=re.compile(r".+", re.DOTALL),
        keyed=True,
        pins={"version": re.compile(r"[0-9a-f]{16}")},
        pin="HEX",
    ),
    "keyring": _Form(shape="SERVICE/USER", place=re.compile(r".+/[^/]+", re.DOTALL), divided=False),
    "op": _Form(
        shape="VAULT/ITEM/FIELD or VAULT/ITEM/SECTION/FIELD, with or without // before it",
        place=re.compile(r"(?://)?[^/]+/[^/]+(?:/[^/]+){1,2}", re.DOTALL),
        divided=False,
    ),
}
