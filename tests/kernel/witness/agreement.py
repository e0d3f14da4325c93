"""Hold a recording against a witness: each fact of either has to be one of the other, or a rule has to say why it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.kernel.witness.facts import Fact, kind

Form = Callable[[Fact], Any]


def nothing(_: Fact) -> None:
    """Say that a rule is not about facts of this side."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A difference that has to be. Facts of both sides match when they have the same form, None fits nothing."""

    name: str
    why: str
    witness: Form
    recording: Form = nothing
    is_of_one: bool = False
    """A fact of one side, whose form is not None, needs no counterpart."""
    most: int | None = None
    """How many such facts are explained at most."""


@dataclass
class Agreement:
    """What came of holding them against each other."""

    matched: Counter[str] = field(default_factory=Counter)
    """Facts that both have, by kind."""
    explained: Counter[str] = field(default_factory=Counter)
    """Pairs, or facts of one side, by rule."""
    missing: list[Fact] = field(default_factory=list)
    """What the witness saw, and the recording has not."""
    extra: list[Fact] = field(default_factory=list)
    """What the recording has, and the witness did not see."""

    def assert_whole(self) -> None:
        """Fail with all that nothing explains."""
        if not self.missing and not self.extra:
            return
        lines = [f"{len(self.missing)} are missing and {len(self.extra)} are too many; {sum(self.matched.values())} match"]
        lines += [f"missing: {fact}" for fact in self.missing[:50]] + [f"too many: {fact}" for fact in self.extra[:50]]
        raise AssertionError("\n".join(lines))


def compare(witness: Iterable[Fact], recording: Iterable[Fact], rules: Sequence[Rule]) -> Agreement:
    """Match facts one by one, exactly at first, and what is left by each rule in turn."""
    seen, told = Counter(witness), Counter(recording)
    found = Agreement()
    for fact, count in (seen & told).items():
        found.matched[kind(fact)] += count
    found.missing, found.extra = list((seen - told).elements()), list((told - seen).elements())
    for rule in rules:
        _apply(rule, found)
    return found


def _apply(rule: Rule, found: Agreement) -> None:
    if rule.is_of_one:
        for facts, form in ((found.missing, rule.witness), (found.extra, rule.recording)):
            explained = [place for place, fact in enumerate(facts) if form(fact) is not None][: rule.most]
            found.explained[rule.name] += len(explained)
            for place in reversed(explained):
                del facts[place]
        return
    ours = Counter(form for fact in found.extra if (form := rule.recording(fact)) is not None)
    theirs = Counter(form for fact in found.missing if (form := rule.witness(fact)) is not None)
    pairs = ours & theirs
    found.explained[rule.name] += pairs.total()
    found.missing = _without(found.missing, rule.witness, pairs.copy())
    found.extra = _without(found.extra, rule.recording, pairs)


def _without(facts: Iterable[Fact], form: Form, pairs: Counter[Any]) -> list[Fact]:
    left = []
    for fact in facts:
        key = form(fact)
        if key is not None and pairs[key] > 0:
            pairs[key] -= 1
        else:
            left.append(fact)
    return left
