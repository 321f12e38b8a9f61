"""What every sender is measured against: nginx on one core, answering each PATCH with 2 KB of JSON for that id.

It keeps a log of when each was answered, in seconds to the millisecond, if it is asked to.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import trustme

PADDING = "x" * 1500
"""Makes the answer 2 KB, as a destination with a few models is."""
ANSWER = (
    '{"status":"success","message":"","data":{"destination":{"id":"$id","name":"Fleet","vendor":"postgres",'
    '"recipient_id":"acme","id_in_provider_system":"p-1","is_enabled":true,"updated_at":"2026-01-01T00:00:00Z",'
    f'"padding":"{PADDING}","last_completed_transfer":{{"id":"t-1","status":"SUCCESS",'
    '"started_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:05:00Z","rows_transferred":1000}}}}'
)
CONF = """worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  log_format times '$msec'; access_log {log};
  keepalive_requests 1000000000; keepalive_timeout 60; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}{tls};
    location ~ ^/destinations/(?<id>[A-Za-z0-9_-]+)$ {{
      if ($request_method = GET) {{ return 405; }}
      return 200 '{answer}';
    }}
    location / {{ return 404; }}
  }}
}}
"""


@contextlib.contextmanager
def serving(folder: Path, core: int, *, tls: bool = False, log: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Its base URL, and the file of the authority that vouches for it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = f" ssl; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem" if tls else ""
    conf = folder / "nginx.conf"
    kept = f"{log} times buffer=64k flush=1s" if log else "off"
    conf.write_text(CONF.format(folder=folder, port=port, tls=files, answer=ANSWER, log=kept), encoding="utf-8")
    server = subprocess.Popen(["taskset", "-c", str(core), "nginx", "-e", str(folder / "error.log"), "-c", str(conf)])  # noqa: S607
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}", folder / "ca.pem"
    finally:
        server.terminate()
        server.wait()
