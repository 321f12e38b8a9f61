"""What comes from outside is shown, and does nothing."""

from __future__ import annotations

import json

from bulkpatch.observe.words import harmless


def test_what_moves_a_cursor_is_shown_by_its_escape() -> None:
    """Escape sequences of both kinds, line ends, marks that turn text around; letters, blanks and tabs stay."""
    assert harmless("a\x1b[2J\x9b1A\r\n\u202eb\u2028") == r"a\u001b[2J\u009b1A\u000d\u000a\u202eb\u2028"
    assert harmless("Åström\t日本語 👩 \\u001b") == "Åström\t日本語 👩 \\u001b"


def test_json_stays_what_it_was() -> None:
    """The escape is JSON's own, so a document says the same."""
    said = {"name": "".join(map(chr, range(1, 0x3000)))}
    assert json.loads(harmless(json.dumps(said, ensure_ascii=False))) == said
