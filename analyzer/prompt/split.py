"""Find where a statement ends, with DuckDB's own lexer: a semicolon in a text or a comment is none."""

from __future__ import annotations


def split(text: str) -> tuple[list[str], str]:
    """Return the entries that are whole in ``text``, and the rest behind them.

    A statement is whole with its semicolon, a command (it begins with a dot) with its line. Empty statements and comments between entries are none.
    """
    entries: list[str] = []
    while True:
        begin, end = _first(text)
        if end is None:
            return entries, text[begin:]
        if entry := text[begin:end].rstrip(";").strip():
            entries.append(entry)
        text = text[end:]


def _first(text: str) -> tuple[int, int | None]:
    """Return where the first entry of ``text`` begins and where it ends, the latter None where it is not whole."""
    import duckdb

    whole = text.encode("utf-8", "replace")  # bytes that are no UTF-8 come as surrogates, which DuckDB does not take: it says so when it is asked
    kinds = duckdb.tokenize(whole.decode())
    words = [(offset, kind) for offset, kind in kinds if kind != duckdb.token_type.comment]
    if not words:
        return (kinds[-1][0] if kinds and _is_open_comment(whole[kinds[-1][0] :]) else len(text)), None
    begin = _character(whole, words[0][0])
    if text[begin] == ".":
        return begin, begin + len(text[begin:].partition("\n")[0])
    ends = (offset for offset, kind in words if kind == duckdb.token_type.operator and whole[offset : offset + 1] == b";")
    end = next(ends, None)
    return begin, None if end is None else _character(whole, end) + 1


def _character(data: bytes, offset: int) -> int:
    return len(data[:offset].decode())


def _is_open_comment(token: bytes) -> bool:
    return token.startswith(b"/*") and not token.rstrip().endswith(b"*/")


def is_whole(text: str) -> bool:
    """Say whether nothing of ``text`` waits for its end."""
    return not split(text)[1]
