"""The API: its fields, types, requests and replies."""
