"""Text that stays, without what must not: secrets are masked, and names and addresses in it become their pseudonyms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from analyzer.share.pseudonyms import Pseudonyms, is_network, packed
from recorder.schema import Kind

MASKED = "***"

_SECRET = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secrets?|tokens?|api[-_]?key|access[-_]?key|private[-_]?key|auth(?:orization)?|credentials?|cookie|bearer)"
)
# Lengths are bounded: an argument that a stranger chose must not keep a regular expression busy.
_NAME = rf"(?:[A-Za-z0-9.]{{1,24}}[-_]){{0,4}}[A-Za-z0-9]{{0,24}}{_SECRET}(?:[-_][A-Za-z0-9]{{1,24}}){{0,4}}"
# Names that only look like it: they are about a file, a time or a limit, and not the secret itself.
_HARMLESS = r"(?![-_.A-Za-z0-9]{0,64}(?:file|path|dir|url|uri|type|length|timeout|ttl|expir|method|mode)\b)"
_SECRET_NAME = _HARMLESS + _NAME
_IS = r"[\"']?\s*[=:]\s*+(?:(?:bearer|basic|token)\s++)?+"
_BARE = r"[^\s&;'\"]+"
_BARE_ARGUMENT = r"[^\s;'\"-][^\s;'\"]*"
# What is masked already is no secret any more: masking a text again changes nothing. So nothing before it may give way, either (the ++ above).
_VALUE = r"(?!\*\*\*)(?:\"[^\"]*\"?|'[^']*'?|{bare})"

_FLAG = re.compile(rf"-{{1,2}}{_SECRET_NAME}", re.IGNORECASE)
_USER_FLAG = re.compile(r"-u|--(?:proxy-)?user")
_PASSWORD_AFTER_P = frozenset({"mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "mariadb-admin", "sshpass"})

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASKED),
    # A URL with credentials: all that stands before the @.
    (re.compile(r"(?<=://)[^/?#\s'\"]+(?=@)"), MASKED),
    # password=…, "token": "…", API_KEY: …, Authorization: Bearer …
    (re.compile(rf"(?<![A-Za-z0-9])({_SECRET_NAME}{_IS})({_VALUE.format(bare=_BARE)})", re.IGNORECASE), rf"\1{MASKED}"),
    # --password … inside of a longer text, such as that after sh -c.
    (re.compile(rf"((?<![^\s'\"])-{{1,2}}{_SECRET_NAME}\s++)({_VALUE.format(bare=_BARE_ARGUMENT)})", re.IGNORECASE), rf"\1{MASKED}"),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/_=.~-]{8,}", re.IGNORECASE), rf"\1 {MASKED}"),
    # Shapes that say themselves what they are: AWS, GitHub, GitLab, Slack, Google, Stripe, npm, OpenAI and Anthropic, JWT.
    (re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|AROA)[A-Z0-9]{16}\b"), MASKED),
    (re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[a-z]-[A-Za-z0-9-]{10,})"), MASKED),
    (re.compile(r"\b(?:AIza[A-Za-z0-9_-]{30,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|npm_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,})"), MASKED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,4}"), MASKED),
    # 40 characters of base 64 with both cases and a digit, as AWS makes its secret keys.
    (re.compile(r"(?<![A-Za-z0-9/+=])(?=[A-Za-z/+]*\d)(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"), MASKED),
    # 32 hexadecimal digits and more: keys, sums, ids.
    (re.compile(r"(?<![A-Za-z0-9])[0-9a-fA-F]{32,}(?![A-Za-z0-9])"), MASKED),
)  # fmt: skip

# What every pattern needs something of. Most arguments have none of it, and two searches are faster than twelve. In lower case: IGNORECASE takes
# five times as long.
_MARKS = re.compile(r"pass|pwd|secret|token|key|auth|cred|cookie|bearer|basic|://|eyj|xox|[sr]k_")
_LONG, _LONG_CHARACTERS = re.compile(r"[A-Za-z0-9_-]{20}|[A-Za-z0-9/+]{40}"), 20

# What was masked may be a part of something else that looks like a secret now.
_TIMES = 8

_HOME = re.compile(r"(/(?:home|Users)/)([^/\s:'\"]+)")
_PATH = re.compile(r"(?<![\w.])(?:~|\.{0,2})/[^\s:;,'\"()]+")
# In arguments only: sentences have words with slashes between them.
_RELATIVE_PATH = re.compile(r"(?<![\w./~@:-])[\w.+~@-]+(?:/[\w.+~@-]+)+/?")
_LENGTH = r"(/\d{1,3}(?!\d))?"
_IPV4 = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3})" + _LENGTH)
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])([0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{0,34}:[0-9A-Fa-f:.]{0,19})(?![0-9A-Za-z])" + _LENGTH)
_MAC = re.compile(r"(?<![0-9A-Za-z:])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![0-9A-Za-z:])")

# Names of fewer letters are replaced only where they stand for themselves, or every word with an "a" in it would be torn apart.
ANYWHERE, AS_WORD = 6, 2


def is_secret_flag(argument: str) -> bool:
    """Say whether the argument after this one is a secret: ``--password``, ``-token``."""
    return _FLAG.fullmatch(argument) is not None


def is_user_flag(argument: str) -> bool:
    """Say whether the argument after this one is a user and, behind a colon, a password, as curl has it."""
    return _USER_FLAG.fullmatch(argument) is not None


def takes_password_after_p(program: str) -> bool:
    """Say whether ``-pSECRET`` holds a password for this program."""
    return program.rpartition("/")[2] in _PASSWORD_AFTER_P


def without_secrets(text: str) -> str:
    """Return ``text`` with the secrets masked that can be told by their shape or by the word before them."""
    for _ in range(_TIMES if _is_suspicious(text) else 0):
        masked = text
        for pattern, replacement in _PATTERNS:
            masked = pattern.sub(replacement, masked)
        if masked == text:
            break
        text = masked
    return text


def _is_suspicious(text: str) -> bool:
    """Say whether a pattern could fit; beyond ASCII letters have other cases than lower() knows."""
    if not text.isascii() or _MARKS.search(text.lower()):
        return True
    return len(text) >= _LONG_CHARACTERS and _LONG.search(text) is not None


class Masker:
    """Masks text. ``names`` are the originals of tokens that are to be found in it; ``hide_paths`` makes tokens of paths of files."""

    def __init__(self, pseudonyms: Pseudonyms, names: Mapping[str, str], hide_paths: bool) -> None:
        self._pseudonyms = pseudonyms
        self._hide_paths = hide_paths
        self._names = names
        self._found: Callable[[str], list[tuple[int, int, int]]] | None = None
        self._searched = [name for name in names if len(name) >= AS_WORD]
        if self._searched:
            from ahocorasick_rs import AhoCorasick, MatchKind

            self._found = AhoCorasick(self._searched, MatchKind.LeftmostLongest).find_matches_as_indexes

    def __call__(self, text: str, is_argument: bool = False) -> str:
        """Return ``text`` masked; of an argument paths that are relative, too, where paths are hidden."""
        if text in self._names:
            return self._names[text]
        found = text = without_secrets(text)
        if self._hide_paths:
            text = _PATH.sub(lambda match: self._pseudonyms.token(Kind.FILE, match[0]), text)
            text = _RELATIVE_PATH.sub(self._relative_path, text) if is_argument else text
        text = self._without_names(text)
        text = self._without_addresses(text)
        return text if text == found else without_secrets(text)  # a pseudonym may stand where it looks like a secret

    def _without_addresses(self, text: str) -> str:
        """Return ``text`` without users' homes and addresses. Most texts have too few of the characters that these need."""
        if "/home/" in text or "/Users/" in text:
            text = _HOME.sub(lambda match: match[1] + self._pseudonyms.token(Kind.USER, match[2]), text)
        colons = text.count(":")
        if colons + text.count("-") >= 5:
            text = _MAC.sub(MASKED, text)
        if colons >= 2:
            text = _IPV6.sub(self._address, text)
        return _IPV4.sub(self._address, text) if text.count(".") >= 3 else text

    def _without_names(self, text: str) -> str:
        if self._found is None:
            return text
        parts, at = [], 0
        for number, start, end in self._found(text):
            name = self._searched[number]
            is_part = text[max(start - 1, 0) : start].isalnum() or text[end : end + 1].isalnum()
            if len(name) >= ANYWHERE or not is_part:
                parts += [text[at:start], self._names[name]]
                at = end
        return "".join([*parts, text[at:]])

    def _relative_path(self, match: re.Match[str]) -> str:
        return match[0] if is_network(match[0]) else self._pseudonyms.token(Kind.FILE, match[0])

    def _address(self, match: re.Match[str]) -> str:
        address, length = match[1], match[2] or ""
        while packed(address) is None:  # a sentence may go on behind it: 2001:db8::1: No route to host
            if address[-1:] not in (":", "."):
                return match[0]
            address = address[:-1]
        rest = match[1][len(address) :]
        if length and not rest and is_network(address + length):
            return self._pseudonyms.network(address + length)
        return self._pseudonyms.address(address) + rest + length
