"""Bulk fleet updates for the Prequel Export API."""

__version__ = "0.1.0"
