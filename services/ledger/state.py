"""What an event means in double entry. Pure: an event in, a balanced entry out.

    trade                   seller -base, buyer +base less fee, fees +fee; the same in quote
    a fee in another asset  payer -fee, fees +fee in that asset, in the entry of its trade
    credit applied          clearing -amount, account +amount
    debit applied           account -amount, clearing +amount; clearing -amount, treasury +amount
    credit refused          clearing -amount, treasury +amount: the outside leg is reversed
    debit refused           nothing: nothing had moved
    a leg of a move         debit applied: account -amount, transit +amount; credit applied: transit
                            -amount, account +amount; refused: nothing

Every entry adds up to zero in each asset. Postings state totals; what is held only the core knows.
What becomes of money between shards is one table, `MOVES`.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain.hashes import balance_hash, total_hash

OUTSIDE: Final = int(types.HOUSE_ACCOUNT_OUTSIDE)
CLEARING: Final = int(types.HOUSE_ACCOUNT_CLEARING)
FEES: Final = int(types.HOUSE_ACCOUNT_FEES)
TREASURY: Final = int(types.HOUSE_ACCOUNT_TREASURY)
TRANSIT: Final = int(types.HOUSE_ACCOUNT_TRANSIT)

NO_SHARD: Final = -1
"""The shard of money that is in none."""

OUTSIDE_SOURCE: Final = 1
"""The number under which matching knows this ledger for money from and to the outside."""

BETWEEN_SOURCE: Final = 2
"""The same for money between shards. Each shard has numbers of its own for each source."""

SOURCES: Final = (OUTSIDE_SOURCE, BETWEEN_SOURCE)

GENESIS: Final = bytes(32)
"""What the hash of the first entry follows."""

_KEY: Final = struct.Struct(">BHQIBI")
_HEAD: Final = struct.Struct(">32sQq")
_LEG: Final = struct.Struct(">qqhq")


class Leg(NamedTuple):
    """One side of an entry: minor units into (or, negative, out of) an account's slice."""

    account: int
    asset: int
    shard: int
    amount_minor: int


class Entry(NamedTuple):
    """A balanced set of legs. `event_key` makes posting it twice impossible."""

    event_key: bytes
    kind: str
    time_us: int
    legs: tuple[Leg, ...]


class Settled(NamedTuple):
    """A credit or debit of ours that a core has answered."""

    source: int
    shard: int
    number: int
    refusal: int
    sequence: int


class Meaning(NamedTuple):
    """What one event part says to the books."""

    entries: list[Entry]
    settled: list[Settled]


class Broken(Exception):
    """Core and ledger do not say the same. Posting stops before the record that differs."""


def meaning(part: matching.EventRecord) -> Meaning:
    """The entries of one event part, in the order of its commands, and the transfers it settles.

    Trades and moves are lists of their own there, and what is credited first may be traded next.
    """
    entries = [
        (trade.command, _trade(part, index, trade)) for index, trade in enumerate(part.trades)
    ]
    settled = []
    for index, move in enumerate(part.moves):
        refusal = part.commands[move.command].refusal
        moved = _move(part, index, move, refused=refusal != 0)
        entries += ((move.command, entry) for entry in moved)
        if move.source in SOURCES:
            sequence = part.first_sequence + move.command
            settled.append(Settled(move.source, part.shard, move.number, refusal, sequence))
    if part.moves:
        entries.sort(key=itemgetter(0))
    return Meaning([entry for _, entry in entries], settled)


def _trade(part: matching.EventRecord, index: int, trade: matching.TradeEvent) -> Entry:
    shard, base, quote = part.shard, trade.base_asset, trade.quote_asset
    sides = (
        (trade.taker_account, trade.taker_fee_minor, trade.taker_fee_asset),
        (trade.maker_account, trade.maker_fee_minor, trade.maker_fee_asset),
    )
    bought, sold = sides if trade.taker_side == types.SIDE_BUY else sides[::-1]
    legs = [
        Leg(sold[0], base, shard, -trade.base_minor),
        Leg(bought[0], base, shard, trade.base_minor - _fee_within(bought)),
        Leg(bought[0], quote, shard, -trade.quote_minor),
        Leg(sold[0], quote, shard, trade.quote_minor - _fee_within(sold)),
        *_fee_legs(shard, bought, base),
        *_fee_legs(shard, sold, quote),
    ]
    # A fee may eat all of a very small fill, and a leg of nothing is no leg.
    present = tuple(leg for leg in legs if leg.amount_minor)
    return Entry(_key(part, _TRADE, index), "trade", part.time_us, present)


_Payer: TypeAlias = tuple[int, int, int]
"""Account, fee in minor units, and the fee's asset where that is not what is received, else 0."""


def _fee_within(payer: _Payer) -> int:
    """What comes off what is received."""
    _, fee_minor, other_asset = payer
    return 0 if other_asset else fee_minor


def _fee_legs(shard: int, payer: _Payer, received: int) -> Iterator[Leg]:
    """What the fee account gets, and what is paid for it in an asset that is not traded."""
    account, fee_minor, other_asset = payer
    if other_asset:
        yield Leg(account, other_asset, shard, -fee_minor)
    yield Leg(FEES, other_asset or received, shard, fee_minor)


_HALTS: Final = (matching.COMMAND_KIND_HALT, matching.COMMAND_KIND_RESUME)


def halted_after(part: matching.EventRecord, was_halted: bool) -> bool:
    """Whether a shard is halted after an event part, if it was or was not before it.

    A Resume holds behind the whole of its record: a Halt beside it changes nothing.
    """
    said = {mark.kind for mark in part.commands if mark.kind in _HALTS and not mark.refusal}
    return matching.COMMAND_KIND_RESUME not in said and (was_halted or bool(said))


_TRADE: Final = 1
_MOVE: Final = 2
_PASS_ON: Final = 3


def _move(
    part: matching.EventRecord, index: int, move: matching.MoveEvent, *, refused: bool
) -> list[Entry]:
    key = _key(part, _MOVE, index)
    amount = move.amount_minor
    is_between = move.source == BETWEEN_SOURCE
    if refused:
        # What had left a shard stays in transit, what had not left stays there.
        is_reversed = amount > 0 and not is_between
        return [_outward(key, "reversal", part, move)] if is_reversed else []
    inside = Leg(move.account, move.asset, part.shard, amount)
    outside = Leg(TRANSIT if is_between else CLEARING, move.asset, NO_SHARD, -amount)
    kind = "move" if is_between else "deposit" if amount > 0 else "withdrawal"
    entry = Entry(key, kind, part.time_us, (outside, inside))
    if is_between or amount > 0:
        return [entry]
    onward = _key(part, _PASS_ON, index)
    return [entry, _outward(onward, "withdrawal", part, move)]


def _outward(key: bytes, kind: str, part: matching.EventRecord, move: matching.MoveEvent) -> Entry:
    """From clearing back to the treasury."""
    amount = abs(move.amount_minor)
    return _handed(key, kind, part.time_us, move.asset, amount, CLEARING, TREASURY)


def outside_leg(request_id: bytes, time_us: int, asset: int, amount_minor: int) -> Entry:
    """A deposit on its way: from the treasury into clearing, before the core is asked."""
    key = b"\x02" + request_id
    return _handed(key, "deposit", time_us, asset, amount_minor, TREASURY, CLEARING)


def funding(request_id: bytes, time_us: int, asset: int, amount_minor: int) -> Entry:
    """Money from the world outside into the treasury."""
    key = b"\x03" + request_id
    return _handed(key, "funding", time_us, asset, amount_minor, OUTSIDE, TREASURY)


def _handed(
    key: bytes, kind: str, time_us: int, asset: int, amount_minor: int, giver: int, taker: int
) -> Entry:
    """From one account to another, outside all shards."""
    legs = (Leg(giver, asset, NO_SHARD, -amount_minor), Leg(taker, asset, NO_SHARD, amount_minor))
    return Entry(key, kind, time_us, legs)


def _key(part: matching.EventRecord, kind: int, index: int) -> bytes:
    """The place of an event on its log, in bytes that sort as the log does."""
    return _KEY.pack(1, part.shard, part.command_offset, part.part, kind, index)


def unbalanced(entry: Entry) -> bool:
    """Does it fail to add up to zero in some asset?"""
    sums: dict[int, int] = {}
    for leg in entry.legs:
        sums[leg.asset] = sums.get(leg.asset, 0) + leg.amount_minor
    return any(sums.values())


def entry_hash(prev_hash: bytes, seq: int, entry: Entry) -> bytes:
    """SHA-256 over what came before and all of this entry: a changed row breaks all later ones."""
    text = [_HEAD.pack(prev_hash, seq, entry.time_us), entry.event_key, entry.kind.encode()]
    text += [_LEG.pack(leg.account, leg.asset, leg.shard, leg.amount_minor) for leg in entry.legs]
    return hashlib.sha256(b"".join(text)).digest()


@dataclass(slots=True)
class Books:
    """All balances and the end of the chain, as the last committed transaction left them."""

    seq: int = 0
    head: bytes = GENESIS
    balances: dict[tuple[int, int, int], int] = field(default_factory=dict)
    hashes: dict[int, int] = field(default_factory=dict)

    def load(self, rows: Iterable[tuple[int, int, int, int]]) -> None:
        """Take in (account, asset, shard, posted) as stored."""
        for account, asset, shard, posted in rows:
            self._put((account, asset, shard), posted)

    def balance_hash(self, shard: int) -> int:
        """The sum of H over all totals of a shard, as the core keeps it."""
        return self.hashes.get(shard, 0)

    def posted(self, account: int, asset: int, shard: int = NO_SHARD) -> int:
        """A balance, minor units."""
        return self.balances.get((account, asset, shard), 0)

    def _put(self, place: tuple[int, int, int], posted: int) -> None:
        account, asset, shard = place
        if shard != NO_SHARD:
            before = total_hash(account, asset, self.balances.get(place, 0))
            after = total_hash(account, asset, posted)
            self.hashes[shard] = balance_hash(self.hashes.get(shard, 0), -before, after)
        self.balances[place] = posted


@dataclass(slots=True)
class Draft:
    """What a transaction is about to write on top of some books; thrown away if it fails."""

    books: Books
    seq: int = 0
    head: bytes = GENESIS
    entries: list[tuple[int, Entry, bytes, bytes]] = field(default_factory=list)
    changed: dict[tuple[int, int, int], int] = field(default_factory=dict)
    last_seq: dict[tuple[int, int, int], int] = field(default_factory=dict)
    hashes: dict[int, int] = field(default_factory=dict)
    unhashed: dict[tuple[int, int, int], int] = field(default_factory=dict)
    """Totals as they stand in `hashes`, of places that have changed since."""

    def __post_init__(self) -> None:
        self.seq, self.head = self.books.seq, self.books.head
        self.hashes = dict(self.books.hashes)

    def add(self, entry: Entry) -> None:
        """Put an entry at the end of the chain. Raises Broken if it does not balance."""
        if unbalanced(entry):
            raise Broken(f"An entry of kind {entry.kind} does not add up to zero.")
        self.seq += 1
        before, self.head = self.head, entry_hash(self.head, self.seq, entry)
        self.entries.append((self.seq, entry, before, self.head))
        for account, asset, shard, amount_minor in entry.legs:
            self._move((account, asset, shard), amount_minor)

    def _move(self, place: tuple[int, int, int], amount_minor: int) -> None:
        before = self.changed.get(place)
        if before is None:
            before = self.books.balances.get(place, 0)
        after = self.changed[place] = before + amount_minor
        self.last_seq[place] = self.seq
        if after < 0 and place[0] != OUTSIDE:
            raise Broken(f"Account {place[0]} would have {after} of asset {place[1]}.")
        if place[2] != NO_SHARD:
            self.unhashed.setdefault(place, before)

    def balance_hash(self, shard: int) -> int:
        """The sum of H over all totals of a shard, this draft's changes among them."""
        self._hash_changes()
        return self.hashes.get(shard, 0)

    def _hash_changes(self) -> None:
        # Once a record, not once a leg: many legs of a record meet in the same few totals.
        for place, before in self.unhashed.items():
            account, asset, of_shard = place
            old = total_hash(account, asset, before)
            new = total_hash(account, asset, self.changed[place])
            self.hashes[of_shard] = balance_hash(self.hashes.get(of_shard, 0), -old, new)
        self.unhashed.clear()

    def follow(self, part: matching.EventRecord) -> list[Settled]:
        """Post one event part. Raises Broken if core and ledger no longer say the same."""
        entries, settled = meaning(part)
        for entry in entries:
            self.add(entry)
        if part.last and (ours := self.balance_hash(part.shard)) != part.balance_hash:
            raise Broken(
                f"After command record {part.command_offset} (sequence"
                f" {part.first_sequence + len(part.commands) - 1}) the core's balance hash is"
                f" {part.balance_hash:016x} and the ledger's {ours:016x}."
            )
        return settled

    def commit(self) -> None:
        """The transaction happened: the books are now these."""
        self.books.seq, self.books.head = self.seq, self.head
        self._hash_changes()
        self.books.balances.update(self.changed)
        self.books.hashes = self.hashes


# --- Money between shards -------------------------------------------------------------------

ASKED: Final = int(ledger.MOVE_STATE_ASKED)
IN_TRANSIT: Final = int(ledger.MOVE_STATE_IN_TRANSIT)
DONE: Final = int(ledger.MOVE_STATE_DONE)
NOT_MOVED: Final = int(ledger.MOVE_STATE_REFUSED)
RETURNING: Final = int(ledger.MOVE_STATE_RETURNING)
RETURNED: Final = int(ledger.MOVE_STATE_RETURNED)

TAKEN: Final = True
REFUSED: Final = False

MOVES: Final = {
    (ASKED, TAKEN): IN_TRANSIT,
    (ASKED, REFUSED): NOT_MOVED,
    (IN_TRANSIT, TAKEN): DONE,
    (IN_TRANSIT, REFUSED): RETURNING,
    (RETURNING, TAKEN): RETURNED,
    (RETURNING, REFUSED): RETURNING,
}
"""The life of a move: where it stands once a core has taken or refused what was asked of it last.
A state without a way on is an end."""

UNDER_WAY: Final = frozenset(state for state, _ in MOVES)


class Move(NamedTuple):
    """Money of one account on its way from one shard to another."""

    request_id: bytes
    account: int
    asset: int
    amount_minor: int
    """At least 1."""
    from_shard: int
    to_shard: int
    state: int = ASKED
    refusal: int = 0
    """Of the debit, or of the credit that had to turn back; 0 if there is none."""
    debit_sequence: int = 0
    credit_sequence: int = 0
    """Of the credit that was taken, wherever that was; 0 until one was."""
    commands: int = 0
    """Debits and credits that were numbered for it."""


def asks(move: Move) -> Leg | None:
    """What a move asks of a core where it stands; None at its end."""
    amount = move.amount_minor
    wants = {
        ASKED: (move.from_shard, -amount),
        IN_TRANSIT: (move.to_shard, amount),
        RETURNING: (move.from_shard, amount),
    }.get(move.state)
    return wants and Leg(move.account, move.asset, *wants)


def command_id(move: Move) -> bytes:
    """The request id of the next command of a move, 16 bytes: whoever knows the one knows all."""
    return hashlib.sha256(b"move" + move.request_id + struct.pack(">I", move.commands)).digest()[
        :16
    ]


def answered(move: Move, refusal: int, sequence: int) -> Move:
    """A move once a core has answered what it asked last. Raises Broken if it asked nothing."""
    state = MOVES.get((move.state, refusal == 0))
    if state is None:
        raise Broken(f"Move {move.request_id.hex()} has ended, and a core has moved it again.")
    if refusal:
        return move._replace(state=state, refusal=move.refusal or refusal)
    if move.state == ASKED:
        return move._replace(state=state, debit_sequence=sequence)
    return move._replace(state=state, credit_sequence=sequence)
