"""Pure decisions: values in, values out. No async, no I/O, no clock, no draw."""
