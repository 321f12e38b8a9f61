"""The durable truth about a run; the only writer of row states."""
