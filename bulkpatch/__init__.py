"""Bulk fleet updates for the Prequel Export API."""
