"""A peer: PATCH as fast as pycurl's multi interface goes, replies parsed, nothing remembered and nothing limited."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pycurl


def main(url: str, key: str, ids: str, concurrency: int, authority: str) -> None:
    """Send one PATCH for each line of the file ``ids``."""
    waiting = enumerate(Path(ids).read_text(encoding="utf-8").split())
    multi = pycurl.CurlMulti()
    under_way: dict[Any, io.BytesIO] = {}

    def begin(easy: Any) -> None:
        found = next(waiting, None)
        if found is None:
            return
        number, one = found
        under_way[easy] = io.BytesIO()
        easy.setopt(pycurl.URL, f"{url}/destinations/{one}")
        easy.setopt(pycurl.POSTFIELDS, json.dumps({"destination": {"name": f"Fleet {number}"}}))
        easy.setopt(pycurl.WRITEDATA, under_way[easy])
        multi.add_handle(easy)

    for _ in range(concurrency):
        easy = pycurl.Curl()
        easy.setopt(pycurl.CUSTOMREQUEST, "PATCH")
        easy.setopt(pycurl.HTTPHEADER, [f"X-API-KEY: {key}", "Content-Type: application/json"])
        if authority:
            easy.setopt(pycurl.CAINFO, authority)
        begin(easy)
    while under_way:
        multi.perform()
        _, whole, failed = multi.info_read()
        assert not failed  # noqa: S101  (a benchmark of failures says nothing)
        for easy in whole:
            assert json.loads(under_way.pop(easy).getvalue())["status"] == "success"  # noqa: S101  (likewise)
            multi.remove_handle(easy)
            begin(easy)
        if not whole:
            multi.select(1.0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
