"""What the model remembers, and how it states a thing in the event record under way.

Dumb lists and dicts of the contract's own messages: an order is a `types.Order`, a balance a
`matching.Balance`. Nothing here decides.
"""

from dataclasses import dataclass, field
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.phases import GATHERS

FEES: Final = int(types.HOUSE_ACCOUNT_FEES)
IDS: Final = 1024
"""An id is a counter × IDS + the shard."""
CAP: Final = 1 << 62
"""The most that all accounts together may own of an asset, minor units."""
TOP: Final = (1 << 63) - 1
"""Where sums and needs stop that no message could carry."""
MASK: Final = (1 << 64) - 1
FIRST_SIZES: Final = matching.SetSizes(
    orders=1_048_576,
    orders_per_account=10_000,
    accounts=65_536,
    balances=262_144,
    client_order_ids=2_097_152,
    client_order_id_memory_us=120_000_000,
    sessions=256,
    instruments=1_024,
)


@dataclass
class Name:
    """A client order id that is remembered: what was sent under it, and when its order ended."""

    body: matching.PlaceOrder | matching.PlaceGroup | matching.ReplaceOrder
    order_id: int
    ended_us: int | None = None


@dataclass
class Session:
    """An open session: its last applied number, when, and the records of its last 256 numbers."""

    last_us: int
    last_number: int = 0
    offsets: dict[int, int] = field(default_factory=dict)


def mix(z: int) -> int:
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def total_hash(account: int, asset: int, total_minor: int) -> int:
    """H of docs/matching.md."""
    if total_minor == 0:
        return 0
    return mix(mix((account << 32 | asset) + 0x9E3779B97F4A7C15 & MASK) ^ total_minor)


class State:
    """Everything a later outcome can depend on, and the event record under way."""

    # Long because a shard is a long list of plain facts.
    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.rules = 1
        self.clock_us = 0
        self.clock_to_set_us: int | None = None
        self.sequence = 0
        self.halt_sequence = 0
        """Of the Halt that stopped the shard; 0: it trades."""
        self.resume_sequence = 0
        self.orders_given = self.trades_given = self.instruments_given = 0
        self.sizes = matching.SetSizes()
        self.sizes.CopyFrom(FIRST_SIZES)
        self.assets: dict[int, types.Asset] = {}
        self.instruments: dict[int, types.Instrument] = {}
        self.accounts: dict[int, matching.SetAccount] = {}
        self.balances: dict[tuple[int, int], matching.Balance] = {}
        self.orders: dict[int, types.Order] = {}
        """Open and waiting orders."""
        self.books: dict[tuple[int, types.Side], list[types.Order]] = {}
        self.shown: dict[int, int] = {}
        """Lots of each resting order that its level shows."""
        self.places_given = 0
        self.places: dict[int, int] = {}
        """When each order came to its price or to its trigger."""
        self.dormant: set[int] = set()
        """Waiting orders that look at no price: exits whose time has not come."""
        self.dead_man_us: dict[int, int] = {}
        self.let_through: dict[int, tuple[int, int]] = {}
        """Per account: a second of the clock, and how many commands it was let through in it."""
        self.names: dict[tuple[int, str], Name] = {}
        self.sessions: dict[int, Session] = {}
        self.sources: dict[int, int] = {}
        self.meet(FEES)
        # Of the record under way.
        self.record = matching.EventRecord()
        self.stands_still = False
        """Nothing that is due happens in it: the shard is halted, or the record is skipped."""
        self.is_skipped = False
        self.queue: list[types.Order] = []
        """Orders whose time has come, and which have not been looked at yet."""
        self.own: list[types.Order] = []
        """The orders that the command under way placed or changed."""
        self.gathered: set[int] = set()
        """Instruments of which an auction's end, beginning or book is to be stated."""

    def later(self, span_us: int) -> int:
        """So much later than now; the end of time, where the clock was set as far as it goes."""
        return min(self.clock_us + span_us, 2**63 - 1)

    @property
    def command(self) -> int:
        """Index in the record of the command under way."""
        return len(self.record.commands)

    def expired(self, command: matching.Command) -> bool:
        return 0 != command.valid_until_us < self.clock_us

    def meet(self, account: int) -> matching.SetAccount:
        """The account's settings; it is known from now on."""
        new = matching.SetAccount(self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_TAKER)
        return self.accounts.setdefault(account, new)

    def balance(self, account: int, asset: int) -> matching.Balance:
        """The balance as it is, all 0 if there is none."""
        none = matching.Balance(account=account, asset=asset)
        return self.balances.get((account, asset), none)

    def move(self, account: int, asset: int, available: int, held: int = 0) -> None:
        """Add to a balance, which comes into being if there was none."""
        self.meet(account)
        balance = self.balances.setdefault((account, asset), self.balance(account, asset))
        balance.available_minor += available
        balance.held_minor += held

    def full(self, account: int, asset: int) -> bool:
        """There is no room for this account or for its balance in this asset."""
        if account not in self.accounts and len(self.accounts) >= self.sizes.accounts:
            return True
        known = (account, asset) in self.balances
        return not known and len(self.balances) >= self.sizes.balances

    def owned(self, asset: int) -> int:
        """What all accounts own of an asset, minor units."""
        return sum(total(b) for b in self.balances.values() if b.asset == asset)

    def balance_hash(self) -> int:
        all_of_them = self.balances.values()
        return sum(total_hash(b.account, b.asset, total(b)) for b in all_of_them) & MASK

    def give_place(self, order: types.Order) -> None:
        """Behind all others at its price or trigger."""
        self.places_given += 1
        self.places[order.order_id] = self.places_given

    def state_order(self, order: types.Order) -> None:
        self.record.orders.add(command=self.command, order=order)

    def state_level(self, order: types.Order, price_ticks: int = 0) -> None:
        """The level of an order, or another one on its side of its book."""
        price_ticks = price_ticks or order.price_ticks
        self.record.levels.add(
            command=self.command,
            instrument=order.instrument,
            side=order.side,
            price_ticks=price_ticks,
            lots=self.lots_at(order.instrument, order.side, price_ticks),
        )
        if self.instruments[order.instrument].phase in GATHERS:
            self.gathered.add(order.instrument)

    def lots_at(self, instrument: int, side: types.Side, price_ticks: int) -> int:
        """What a level shows."""
        here = [o for o in self.books[instrument, side] if o.price_ticks == price_ticks]
        return sum(self.shown[order.order_id] for order in here)

    def state_instrument(self, instrument: types.Instrument) -> None:
        self.record.instruments.add(command=self.command, instrument=instrument)

    def state_balance(self, account: int, asset: int) -> None:
        if account == FEES:
            return
        balance = self.balance(account, asset)
        self.record.balances.add(
            command=self.command,
            account=account,
            asset=asset,
            available_minor=balance.available_minor,
            held_minor=balance.held_minor,
        )


def total(balance: matching.Balance) -> int:
    return balance.available_minor + balance.held_minor
