"""Events → log, progress, metrics."""
