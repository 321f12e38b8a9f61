"""Run by mitmproxy, in its own Python: strikes as ``$MITM_FAULTS`` says, ``{destination id: [kind, …]}``.

A kind a PATCH, the last for all that follow: ``none``, ``kill_before`` and ``html_503`` (the API never hears of it),
``kill_after``, ``truncated``, ``half_json`` and ``html_502`` (the API has answered 200).
"""

from __future__ import annotations

import json
import os
from collections import Counter

from mitmproxy import http

FAULTS = json.loads(os.environ["MITM_FAULTS"])
HTML = b"<!DOCTYPE html><title>Sorry</title><h1>We will be back</h1>"


class Striker:
    """The add-on."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def request(self, flow: http.HTTPFlow) -> None:
        """A request came in whole; it has not gone on to the API."""
        if flow.request.method != "PATCH":
            return
        destination_id = flow.request.path.rpartition("/")[2]
        kinds = FAULTS.get(destination_id, ["none"])
        kind = flow.metadata["kind"] = kinds[min(self.asked[destination_id], len(kinds) - 1)]
        self.asked[destination_id] += 1
        if kind == "kill_before":
            flow.kill()
        elif kind == "html_503":
            flow.response = http.Response.make(503, HTML, {"Content-Type": "text/html"})

    def response(self, flow: http.HTTPFlow) -> None:
        """The API's answer came in whole; nothing of it has gone on to the client."""
        answer = flow.response
        assert answer is not None
        match flow.metadata.get("kind"):
            case "kill_after":
                flow.kill()
            case "truncated":
                answer.headers["Content-Length"] = str(len(answer.raw_content or b"") + 10)
                answer.headers["Connection"] = "close"
            case "half_json":
                answer.content = (answer.content or b"")[:-20]
            case "html_502":
                flow.response = http.Response.make(502, HTML, {"Content-Type": "text/html"})


addons = [Striker()]
