"""References → values; taint, redaction, leak check."""
