"""Ledger → frames → files."""
