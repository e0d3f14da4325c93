"""Make text from recordings safe to print: task names, arguments and host names are bytes that anybody on the host chose."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return ``text`` with everything that is not plainly visible written as an escape: ESC becomes ``\x1b``.

    That is every control and format character, bidirectional override, lone surrogate, line and paragraph separator, unassigned or
    private code point, and every space but U+0020. The result has one line and moves no cursor.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


_SHORT = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
