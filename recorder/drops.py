"""Rules of ``record --drop``: from what the user wrote to packets that shall be dropped, and on which interfaces."""

from __future__ import annotations

import difflib
import ipaddress
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from recorder.errors import RecorderError
from recorder.filters import LARGEST_PORT, IPNetwork, network

MOST_RULES = 32
"""On one interface: each packet is held against all of them."""

MODES = ("native", "generic")
LONGEST_SECONDS = 1e9

# linux/in.h; the version of IP that they are part of, 0 for both.
_PROTOCOLS = {"icmp": (1, 4), "icmp6": (58, 6), "tcp": (6, 0), "udp": (17, 0)}
_EXAMPLE = "--drop 'tcp:5432 from 10.0.0.0/8 25%@eth0'"
_GRAMMAR = f"a rule is PROTOCOL[:PORT] [from CIDR] [to CIDR] [SHARE%], for example: {_EXAMPLE}"
_CHANCES = 1 << 32


@dataclass(frozen=True, slots=True)
class Rule:
    """Which packets to drop. A packet fits when any of its two ports is among ``ports``, and its ends are in the two networks."""

    protocol: str
    ports: range | None = None
    source: IPNetwork | None = None
    destination: IPNetwork | None = None
    percent: float = 100.0

    def __str__(self) -> str:
        text = self.protocol
        if self.ports:
            text += f":{self.ports[0]}" + (f"-{self.ports[-1]}" if len(self.ports) > 1 else "")
        text += f" from {self.source}" if self.source else ""
        text += f" to {self.destination}" if self.destination else ""
        return text + (f" {self.percent:g}%" if self.percent < 100 else "")

    @property
    def number(self) -> int:
        """The protocol's number in IP headers."""
        return _PROTOCOLS[self.protocol][0]

    @property
    def version(self) -> int:
        """The version of IP that it is about, 0 for both."""
        given = next((network.version for network in (self.source, self.destination) if network), 0)
        return given or _PROTOCOLS[self.protocol][1]

    @property
    def chance(self) -> int:
        """How many of 2^32 packets to drop, 0 for all of them."""
        return 0 if self.percent == 100 else min(max(1, round(self.percent / 100 * _CHANCES)), _CHANCES - 1)

    def covers(self, other: Rule) -> bool:
        """Say whether no packet is left for ``other`` behind this rule."""
        return (
            self.protocol == other.protocol
            and self.percent == 100
            and self.version in (0, other.version)
            and (self.ports is None or (other.ports is not None and self.ports[0] <= other.ports[0] and other.ports[-1] <= self.ports[-1]))
            and _within(other.source, self.source)
            and _within(other.destination, self.destination)
        )


def _within(inner: IPNetwork | None, outer: IPNetwork | None) -> bool:
    if outer is None or inner is None:
        return outer is None
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Drops:
    """What to drop: rules by interface, and when, in seconds from the start of the recording."""

    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    after: float = 0.0
    length: float | None = None
    mode: str | None = None
    """Native or generic; None: native, else generic."""

    def __bool__(self) -> bool:
        return bool(self.rules)


def parse(words: Sequence[str], after: float | None, length: float | None, mode: str | None, duration: float | None) -> Drops:
    """Return the drops for the options' values. Raise RecorderError (exit 2), which points at what is wrong."""
    _check_window({"--drop-after": after, "--drop-for": length, "--xdp-mode": mode}, words, duration)
    if mode not in (None, *MODES):
        raise RecorderError(f"--xdp-mode {mode}: there are native and generic", "leave it out: native, and generic where the driver has none")
    rules: dict[str, list[Rule]] = {}
    for text in words:
        rule, interface = parse_one(text)
        _add(rules.setdefault(interface, []), rule, text)
    return Drops({interface: tuple(found) for interface, found in rules.items()}, after or 0.0, length, mode)


def check(drops: Drops, force: bool) -> None:
    """Hold ``drops`` against the interfaces that there are. Raise RecorderError where one takes no program, or, unless ``force``, would cut SSH."""
    from recorder.interfaces import find, interfaces
    from recorder.ssh import refuse_to_cut

    known = interfaces()
    for name in drops.rules:
        find(name, known)
    if not force:
        refuse_to_cut(drops.rules, known)


def _check_window(given: Mapping[str, object], words: Sequence[str], duration: float | None) -> None:
    for option, value in given.items():
        if value is not None and not words:
            raise RecorderError(f"{option} says when or how to drop, but not what", "try: --drop icmp@lo")
        if isinstance(value, float) and not (0 <= value < LONGEST_SECONDS and (value or option == "--drop-after")):
            raise RecorderError(f"{option} {value:g}: give seconds from the start of the recording", "try: --drop-after 5 --drop-for 10")
    after = given["--drop-after"]
    if isinstance(after, float) and duration is not None and after >= duration:
        raise RecorderError(
            f"--drop-after {after:g}: the recording ends after {duration:g} s, and nothing would be dropped", "try a longer --duration"
        )


def _add(rules: list[Rule], rule: Rule, text: str) -> None:
    """Add ``rule`` to those of its interface; raise RecorderError where it would never match, or where it is one too many."""
    if before := next((other for other in rules if other.covers(rule)), None):
        raise RecorderError(
            f"--drop {shlex.quote(_visible(text))}: it matches nothing ever, since '{before}' takes all its packets", "leave one of the two out"
        )
    if len(rules) == MOST_RULES:
        raise RecorderError(
            f"--drop {shlex.quote(text)}: more than {MOST_RULES} rules on one interface", "join some of them: ports as LOW-HIGH, wider CIDRs"
        )
    rules.append(rule)


def parse_one(text: str) -> tuple[Rule, str]:
    """Return the rule and the interface of ``RULE@INTERFACE``; raise RecorderError, which points at what is wrong."""
    words, at, interface = text.partition("@")
    if not at:
        raise _wrong(text, len(text), 1, "on which interface?", f"put it behind @, for example: --drop '{text or 'icmp'}@lo' (see: ip link)")
    if not interface.strip():
        raise _wrong(text, len(words) + 1, 1, "the name of an interface is missing behind @", "see: ip link")
    return _Reader(text, words).rule(), interface.strip()


def _visible(text: str) -> str:
    """Return ``text`` with each character one column wide, so that a mark stands below its place."""
    return re.sub(r"[^\x20-\x7e]", "?", text)


def _wrong(text: str, start: int, length: int, what: str, hint: str = _GRAMMAR) -> RecorderError:
    shown = _visible(text)
    return RecorderError(f"--drop {shlex.quote(shown)}: {_visible(what)}\n  {shown}\n  {' ' * start}{'^' * max(length, 1)}", hint)


class _Reader:
    """Reads one rule, word by word."""

    def __init__(self, text: str, words: str) -> None:
        self._text = text
        self._end = len(words)
        self._words = [(match.start(), match[0]) for match in re.finditer(r"\S+", words)]

    def rule(self) -> Rule:
        if not self._words:
            raise _wrong(self._text, 0, 1, "what shall be dropped?")
        protocol, ports = self._protocol()
        networks: dict[str, tuple[int, str, IPNetwork]] = {}
        percent: float | None = None
        while self._words:
            start, word = self._words.pop(0)
            if word in ("from", "to"):
                if word in networks:
                    raise _wrong(self._text, start, len(word), f"there is a second '{word}'", "give a rule of its own for each network")
                networks[word] = self._network(word)
            elif word.endswith("%"):
                if percent is not None:
                    raise _wrong(self._text, start, len(word), "there is a second share")
                percent = self._percent(start, word)
            else:
                near = difflib.get_close_matches(word, ["from", "to"], 1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise _wrong(self._text, start, len(word), f"'{word}' says nothing here", hint + _GRAMMAR)
        self._check_versions(protocol, networks)
        source, destination = (networks[word][2] if word in networks else None for word in ("from", "to"))
        return Rule(protocol, ports, source, destination, 100.0 if percent is None else percent)

    def _protocol(self) -> tuple[str, range | None]:
        start, word = self._words.pop(0)
        name, colon, ports = word.partition(":")
        if name not in _PROTOCOLS:
            near = difflib.get_close_matches(name, _PROTOCOLS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise _wrong(self._text, start, len(name), f"'{name}' is no protocol that can be dropped", f"{hint}There are: {', '.join(_PROTOCOLS)}")
        if not colon:
            return name, None
        place = start + len(name) + 1
        if name.startswith("icmp"):
            raise _wrong(self._text, place - 1, len(ports) + 1, "it matches nothing ever: ICMP has no ports", f"try: --drop {name}@lo")
        low, dash, high = ports.partition("-")
        if re.fullmatch(r"[0-9]{1,5}", low) and (re.fullmatch(r"[0-9]{1,5}", high) or not dash):
            found = range(int(low), int(high or low) + 1)
            if found and found[0] >= 1 and found[-1] <= LARGEST_PORT:
                return name, found
        hint = f"try: --drop {name}:443@eth0, or: --drop {name}:8000-8100@eth0"
        raise _wrong(self._text, place, len(ports), f"give a port from 1 to {LARGEST_PORT}, or two as LOW-HIGH", hint)

    def _network(self, word: str) -> tuple[int, str, IPNetwork]:
        if not self._words:
            raise _wrong(self._text, self._end, 1, f"a network is missing behind '{word}'", "give an address or a CIDR, for example: from 10.0.0.0/8")
        start, text = self._words.pop(0)
        try:
            return start, text, network(text)
        except ValueError as error:
            hint = f"give an address or a CIDR, for example: {word} 10.0.0.0/8, or: {word} 2001:db8::/32"
            with suppress(ValueError):
                hint = f"did you mean {ipaddress.ip_network(text.partition('%')[0], strict=False)}?"
            raise _wrong(self._text, start, len(text), str(error), hint) from error

    def _percent(self, start: int, word: str) -> float:
        number = word.removesuffix("%")
        percent = float(number) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", number) else -1.0
        if not 0 < percent <= 100:
            raise _wrong(self._text, start, len(word), "give a share above 0% and up to 100%", "for example: --drop 'icmp 25%@lo'")
        return percent

    def _check_versions(self, protocol: str, networks: Mapping[str, tuple[int, str, IPNetwork]]) -> None:
        own = _PROTOCOLS[protocol][1]
        for start, text, found in networks.values():
            if own and found.version != own:
                what = f"it matches nothing ever: {protocol} is part of IPv{own}, {text} of IPv{found.version}"
                raise _wrong(self._text, start, len(text), what, f"did you mean {'icmp6' if own == 4 else 'icmp'}?")
            if any(other.version != found.version for _, _, other in networks.values()):
                what = "it matches nothing ever: one end is IPv4, the other IPv6"
                raise _wrong(self._text, start, len(text), what, "give a rule of its own for each version of IP")
