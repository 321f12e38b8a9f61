"""argv and environment → settings → wiring → one call of the library → exit code."""
