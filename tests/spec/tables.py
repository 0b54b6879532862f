"""A table: who does what, what happens, what stands afterwards. An engine tells it, line by line.

    # R-AMEND: a smaller quantity at the same price keeps its place
    given:
      alice has 10 BTC
      house fees maker -100 taker 200
    then:
      alice sell 5 @ 100           -> open a1 5
      time 20s
      open s1                      -> done
      batch s1/1: alice amend a1 to 2; bob buy 1 @ 100 -> open a1 2; trade a1 1 @ 100, filled b1
      source 7/1: alice credit 5 USD                      -> done
    book:
      sell 100 | a1 1
    balances:
      alice 8 BTC + 1 held
    events:
      orders a1 open 1, b1 filled

`given` is done before and not told. Who acts in the table and is not given anything there has a
million USD and ten thousand BTC. There is one market, BTC-USD, where a lot is a unit and a tick is
one USD, without fees. `book`, `balances` (those that changed) and `events` (of the last line) are
told if the table has them, and so is `waiting`. The third order of alice that was accepted is a3.

`halt` is what a replica that differs sends, `halt 9` if that is the last sequence it had applied;
`skipped SENTENCE`, `skipped at 5s SENTENCE` is a record that operators had to skip.

Tables in the folder rules2 begin with `house rules 2`, those in rules3 with `house rules 3`, unless
they say otherwise in `given`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bourse.matching import v1 as matching
from tests.model.engines import Engine
from tests.model.model import SESSION_US
from tests.spec.telling import Telling
from tests.spec.words import (
    ACCOUNTS,
    ASSETS,
    START_US,
    Names,
    NotUnderstood,
    command,
    number,
    time_us,
)

MARKET: Final = "house market BTC-USD"
FUNDS: Final = "10_000 BTC, 1_000_000 USD"
ARROW: Final = " -> "
RULES_OF: Final = {"rules2": 2, "rules3": 3}
"""The rules that the tables of a folder begin with; else 1."""


@dataclass
class Table:
    """A table as it stands in its file. `text` is all of it, `line` where it begins."""

    rule: str
    text: str
    line: int
    title: str
    sections: dict[str, list[str]]
    rules: int = 1


def read(path: Path) -> list[Table]:
    """All tables of a file."""
    tables = []
    blocks = re.split(r"(?m)^(?=# )", path.read_text())
    line = blocks[0].count("\n") + 1
    for block in blocks[1:]:
        tables.append(_table(block, line))
        tables[-1].rules = RULES_OF.get(path.parent.name, 1)
        line += block.count("\n")
    return tables


def _table(block: str, line: int) -> Table:
    title, *lines = block.rstrip().splitlines()
    rule = title.removeprefix("# ").partition(":")[0]
    sections: dict[str, list[str]] = {}
    for text in lines:
        if text.endswith(":") and not text.startswith(" "):
            sections[text[:-1]] = section = []
        elif text.strip():
            section.append(text.strip())
    return Table(rule, block.rstrip(), line, title, sections)


def tell(table: Table, engine: Engine) -> str:
    """The table as the engine would have it. A table that is right tells itself."""
    play = _Play(engine, table)
    lines = [table.title]
    for name, section in table.sections.items():
        if name == "given":
            lines += ["given:", *(f"  {line}" for line in section)]
        elif name == "then":
            lines += ["then:", *_column([play.act(line) for line in section])]
        else:
            lines += [f"{name}:", *(f"  {line}" for line in getattr(play, f"tell_{name}")())]
    return "\n".join(lines)


def _column(lines: list[tuple[str, str]]) -> Iterator[str]:
    """Arrows below each other, where a sentence is not too long for that."""
    width = max((len(left) for left, right in lines if right and len(left) <= 44), default=0)
    for left, right in lines:
        yield f"  {left:{width}}{ARROW}{right}" if right else f"  {left}"


@dataclass
class _Play:
    """A table under way on an engine."""

    engine: Engine
    table: Table
    names: Names = field(default_factory=Names)
    offset: int = 0
    time_us: int = START_US
    number: int = 0
    moves: int = 0
    line: int = 0
    house_us: int = 0
    skips: bool = False
    sessions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.telling = Telling(self.names)
        self._prepare(self.table.sections.get("given", []))
        self.first = self._balances()

    def act(self, line: str) -> tuple[str, str]:
        """Do what stands left of the arrow; it, and what happened."""
        left = line.partition(ARROW)[0].strip()
        self.line += 1
        for pattern, act in _LINES:
            if found := re.fullmatch(pattern, left):
                return left, act(self, *found.groups())
        return left, self._sentence(left)

    def tell_book(self) -> list[str]:
        return self.telling.book(self.engine)

    def tell_waiting(self) -> list[str]:
        return self.telling.waiting(self.engine)

    def tell_balances(self) -> list[str]:
        now = self._balances()
        said: dict[str, list[str]] = {}
        for (who, asset), (available, held) in now.items():
            if (available, held) != self.first[who, asset]:
                holds = f" + {held:_} held" if held else ""
                said.setdefault(who, []).append(f"{available:_} {asset}{holds}")
        return [f"{who} {', '.join(amounts)}" for who, amounts in said.items()]

    def tell_events(self) -> list[str]:
        return self.telling.events(self.record)

    # --- What a line stands for ---

    def _sentence(self, sentence: str) -> str:
        """One command in a batch of its own, from wherever its kind must come."""
        made = command(sentence, self.names)
        if made.WhichOneof("kind") in ("credit", "debit"):
            self.moves += 1
            request = matching.SubmitRequest(source=1, number=self.moves, commands=[made])
        else:
            self._refresh_house()
            self.number += 1
            request = matching.SubmitRequest(
                session=self.sessions["house"], number=self.number, commands=[made]
            )
        return self._submit(request)

    def _refresh_house(self) -> None:
        """Sentences without a session travel in one that never grows too old."""
        if self.time_us > self.house_us + SESSION_US // 2:
            self.house_us = self.time_us
            opened = self._alone(matching.Command(open_session={}))
            self.sessions["house"], self.number = opened.created_id, 0

    def pass_time(self, when: str) -> str:
        self.time_us = time_us(when)
        self._apply(matching.SubmitRequest(commands=[matching.Command(tick={})]))
        return ", ".join(self.telling.happened(0, self.record))

    def open(self, label: str) -> str:
        outcome = self._alone(matching.Command(open_session={}))
        self.sessions[label] = outcome.created_id
        return self.telling.refusal(outcome) or f"session {outcome.created_id}"

    def batch(self, label: str, text: str, sentences: str) -> str:
        commands = [command(sentence, self.names) for sentence in sentences.split("; ")]
        session = self.sessions.get(label, 999_999)
        request = matching.SubmitRequest(session=session, number=number(text), commands=commands)
        return self._submit(request)

    def source(self, source: str, number: str, sentences: str) -> str:
        commands = [command(sentence, self.names) for sentence in sentences.split("; ")]
        request = matching.SubmitRequest(source=int(source), number=int(number), commands=commands)
        return self._submit(request)

    def halt(self, seen: str) -> str:
        halt = matching.Halt(sequence=number(seen) if seen else self.record_end())
        outcome = self._alone(matching.Command(halt=halt))
        return self.telling.refusal(outcome) or f"sequence {self.record_end()}"

    def record_end(self) -> int:
        """The last sequence that was taken."""
        return self.record.first_sequence + len(self.record.commands) - 1

    def skipped(self, when: str, sentence: str) -> str:
        self.time_us = time_us(when) if when else self.time_us
        self.skips = True
        return self._sentence(sentence)

    # --- The engine ---

    def _prepare(self, given: list[str]) -> None:
        sentences = [line for line in given if " has " not in line]
        if not any(line.startswith(("house market", "house asset")) for line in sentences):
            sentences.insert(0, MARKET)
        if not any(line.startswith("house asset") for line in sentences):
            sentences[:0] = [f"house asset {n} {code}" for code, n in ASSETS.items()]
        funds = dict(line.split(" has ") for line in given if " has " in line)
        for who in self._people():
            funds.setdefault(who, FUNDS)
        credits = [
            f"{who} credit {amount}"
            for who, amounts in funds.items()
            for amount in amounts.split(", ")
            if amount != "nothing"
        ]
        if self.table.rules > 1 and not any(line.startswith("house rules") for line in sentences):
            sentences.insert(0, f"house rules {self.table.rules}")
        last_asset = max((i for i, line in enumerate(sentences) if " asset " in line), default=-1)
        sentences[last_asset + 1 : last_asset + 1] = credits
        for sentence in sentences:
            said = self._sentence(sentence)
            if said.startswith("refused") and not sentence.endswith("refused"):
                raise NotUnderstood(f"{sentence!r} is {said}")

    def _people(self) -> list[str]:
        """Who acts in the table."""
        acts = " ".join(line.partition(ARROW)[0] for line in self.table.sections["then"])
        return [who for who, account in ACCOUNTS.items() if account > 3 and who in acts.split()]

    def _alone(self, made: matching.Command) -> matching.Outcome:
        made.request_id = bytes(16)
        return self._apply(matching.SubmitRequest(commands=[made])).outcomes[0]

    def _submit(self, request: matching.SubmitRequest) -> str:
        answer = self._apply(request)
        return self.telling.answer(request, answer, self.record, self.offset - 1, self.line)

    def _apply(self, request: matching.SubmitRequest) -> matching.SubmitResponse:
        record = matching.CommandRecord(requests=[request.SerializeToString()])
        work = self.engine.skip if self.skips else self.engine.apply
        self.record, (answer,) = work(self.offset, self.time_us, record)
        self.skips = False
        self.offset += 1
        assert self.engine.check() == "", self.table.title
        for event in self.record.instruments:
            self.names.instruments[event.instrument.symbol] = event.instrument.instrument
        return answer

    def _balances(self) -> dict[tuple[str, str], tuple[int, int]]:
        return {
            (who, asset): self.engine.balance(account, number)
            for who, account in ACCOUNTS.items()
            for asset, number in ASSETS.items()
        }


_LINES: Final = (
    (r"time (\d+s\S*)", _Play.pass_time),
    (r"open (\w+)", _Play.open),
    (r"halt ?(\d*)", _Play.halt),
    (r"skipped(?: at (\d+s\S*))? (.+)", _Play.skipped),
    (r"batch (\w+)/([\d^-]+): (.*)", _Play.batch),
    (r"source (\d+)/(\d+): (.*)", _Play.source),
)
