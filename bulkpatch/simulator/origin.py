"""What a destination is before anyone changes it: a pure function of seed, id, place in the fleet and vendor."""

from __future__ import annotations

from functools import cache
from typing import Any

from bulkpatch.prequel.catalogue import Field, FieldType, catalogue
from bulkpatch.simulator.chance import digest, uuid
from bulkpatch.simulator.history import MODELS

FIRST_CREATED_US = 1_735_689_600_000_000
"""Wall time at which the first destination of every fleet was created: 2025-01-01T00:00:00Z."""
CREATED_EVERY_US = 60_000_000
"""Microseconds between two destinations; lists are in this order, so it must not be 0."""

_PORTS = {"mongodb": 27017, "mysql": 3306, "aurora_mysql": 3306, "postgres": 5432, "aurora_postgres": 5432, "sftp": 22}
_PORT = 443
_FREQUENCIES = (0, 15, 60, 360, 720, 1440)
_SELECTORS = frozenset({"auth_method", "bucket_auth_method", "bucket_vendor", "metastore"})
_UNUSED = "ssh_tunnel"  # an object that only counts when the switch beside it is on


def first_settings(seed: int, destination_id: str, place: int, vendor: str) -> dict[str, Any]:
    """All settings of a new destination, secrets included, in the shape of a PATCH's ``destination``."""
    slug = f"t{place + 1:06d}"
    settings: dict[str, Any] = {
        "name": f"Customer {place + 1} ({vendor})",
        "frequency_minutes": _FREQUENCIES[digest(seed, "frequency", destination_id)[0] % len(_FREQUENCIES)],
        "enabled_models": ["*"] if place % 2 else list(MODELS),
        "max_concurrent_transfers": 1,
        "max_concurrent_queries_per_transfer": 4,
        "is_enabled": True,
        vendor: {},
        "machine_type_id": uuid(seed, "machine type"),
    }
    for field in _template(vendor):
        *parents, leaf = field.path.split(".")
        into = settings
        for parent in parents:
            into = into.setdefault(parent, {})
        secret = f"first-{uuid(seed, 'secret', destination_id, field.path)}" if field.secret else None
        into[leaf] = secret or _value(field, leaf, slug)
    return settings


@cache
def _template(vendor: str) -> tuple[Field, ...]:
    """The fields a new destination of ``vendor`` has: all but credentials of another kind than the one in use."""
    fields = [field for field in catalogue().fields.values() if field.vendor == vendor]
    left_out = {f"{vendor}.{_UNUSED}"}
    for field in fields:
        parent, _, leaf = field.path.rpartition(".")
        if leaf in _SELECTORS:
            left_out.update(f"{parent}.{other}" for other in field.known_values[1:])
    return tuple(field for field in fields if not left_out & _above(field.path))


def _above(path: str) -> set[str]:
    parts = path.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}


def _value(field: Field, leaf: str, slug: str) -> Any:
    match field.type:
        case FieldType.BOOLEAN:
            return False
        case FieldType.INTEGER | FieldType.NUMBER:
            return _PORTS.get(field.vendor or "", _PORT) if leaf == "port" else 7
        case FieldType.STRING_LIST:
            return []
        case FieldType.OBJECT:
            return {}
        case FieldType.STRING:
            if field.known_values:
                return field.known_values[0]
            return f"{slug}.{field.vendor}.example.com" if leaf == "host" else f"{leaf}_{slug}"
