"""The API, embedded: state, rate limit, and faults on a seed."""
