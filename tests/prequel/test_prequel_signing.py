"""Credentials that a PATCH cannot change are known before one is sent: as far as the API's pages tell, no further."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from prequel_rig import reply, success

from bulkpatch.model import Operation
from bulkpatch.prequel.encoding import encode_body
from bulkpatch.prequel.live import Live, pack, read_live, unpack
from bulkpatch.prequel.signing import not_by_patch, selectors_of

S3_KEY = "s3.aws_access_keys.secret_key"
LAKE_KEY = "delta_lake.bucket_s3_compatible.access_keys.secret_key"
LAKE_SELECTOR = "delta_lake.bucket_s3_compatible.bucket_auth_method"


def operation(*fields: str) -> Operation:
    """A row that sets ``fields``."""
    body = encode_body(dict.fromkeys(fields, "env:X"))
    return Operation(row=1, destination_id="d1", body=body, digest=b"", fields=tuple(sorted(fields)))


def live(shown: Mapping[str, Any]) -> Live:
    """The destination ``d1`` with these settings."""
    found = read_live(reply(success({"destination": {**shown, "id": "d1"}})), "d1")
    assert isinstance(found, Live), found
    return found


@pytest.mark.parametrize(
    ("field", "shown", "words"),
    [
        (S3_KEY, {"s3": {"auth_method": "aws_iam_role"}}, "body sets aws_access_keys, and s3.auth_method is aws_iam"),
        ("s3.aws_access_keys.access_id", {"s3": {"auth_method": "aws_iam_role"}}, "s3.auth_method is aws_iam_role"),
        (S3_KEY, {"s3": {"auth_method": "something new"}}, "s3.auth_method is something new"),
        (
            LAKE_KEY,
            {"delta_lake": {"bucket_s3_compatible": {"bucket_auth_method": "roles"}}},
            f"{LAKE_SELECTOR} is roles",
        ),
        ("snowflake.password_auth.password", {"snowflake": {"auth_method": "key_pair"}}, "staged on the recipient"),
        ("postgres.password_auth.password", {"postgres": {"auth_method": "x" * 99}}, "x" * 40),
    ],
)
def test_credentials_of_another_way_of_signing_in_are_not_for_a_patch(
    field: str, shown: Mapping[str, Any], words: str
) -> None:
    """The selector that is live says another; a body that sets it too changes the way, and may."""
    found = not_by_patch(operation(field), live(shown))
    assert found is not None
    assert words in found
    assert "x" * 41 not in found
    (selector,) = selectors_of(field)
    assert not_by_patch(operation(field, selector), live(shown)) is None


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        (S3_KEY, {"s3": {"auth_method": "aws_access_keys"}}),
        (S3_KEY, {"s3": {}}),
        (S3_KEY, {"s3": {"auth_method": None}}),
        (S3_KEY, {"s3": {"auth_method": 7}}),
        ("s3.folder", {"s3": {"auth_method": "aws_iam_role"}}),
        ("name", {"s3": {"auth_method": "aws_iam_role"}}),
        # Which selector value goes with OAuth is not documented, so nothing is said of it.
        ("databricks.oauth_client_secret_auth.client_secret", {"databricks": {"auth_method": "access_token_auth"}}),
        ("oracle.ssl_options.wallet", {"oracle": {"auth_method": "password_auth"}}),
        ("snowflake.password_auth.password", {"snowflake": {"username": "x"}}),
    ],
)
def test_where_nothing_is_known_nothing_is_said(field: str, shown: Mapping[str, Any]) -> None:
    """The same way, no selector shown, one that is no text, a field that is no credential, a way without a word."""
    assert not_by_patch(operation(field), live(shown)) is None
    assert not_by_patch(operation(field), None) is None


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("sftp.public_key_auth.public_key", "Prequel supplies this key"),
        ("mysql.ssh_tunnel.ssh_public_key", "Prequel supplies this key"),
        ("snowflake.key_pair_auth.private_key", "staged on the recipient"),
    ],
)
def test_a_key_that_prequel_makes_is_never_sent(field: str, words: str) -> None:
    """Whatever is known of the destination; what else is set of its tunnel may go."""
    for seen in (None, live({}), live({"sftp": {"auth_method": "public_key_auth"}})):
        assert words in (not_by_patch(operation("name", field), seen) or "")
    assert not_by_patch(operation("mysql.ssh_tunnel.ssh_tunnel_host", "sftp.folder", "snowflake.schema"), None) is None


def test_a_plan_keeps_the_selectors_of_what_it_compares() -> None:
    """Of a large fleet only some paths are kept: with those that are named, the answer is the same."""
    seen = live({"s3": {"auth_method": "aws_iam_role", "folder": "f"}})
    kept = unpack(pack(seen, [S3_KEY, *selectors_of(S3_KEY)]))
    assert not_by_patch(operation(S3_KEY), kept) == not_by_patch(operation(S3_KEY), seen) is not None
    assert selectors_of("name") == selectors_of("s3.folder") == ()
