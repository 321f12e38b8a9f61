"""bulkpatch, trusting one more authority: a job has no key for that, and a target on loopback no public certificate."""

from __future__ import annotations

import sys

import certifi

from bulkpatch.cli import main

if __name__ == "__main__":
    authority = sys.argv.pop(1)
    certifi.where = lambda: authority
    main()
