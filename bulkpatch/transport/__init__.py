"""One request → one reply or one fault."""
