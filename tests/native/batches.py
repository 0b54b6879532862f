"""Random batches that are well formed, and random messages of any kind, for hypothesis."""

import re
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from bourse.matching import v1 as matching
from bourse.types import v1 as types

SIGNED = st.one_of(
    st.sampled_from([0, 1, -1, 127, 128, 2**56 - 1, 2**56, 2**62, 2**63 - 1, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
)
UNSIGNED = SIGNED.map(lambda number: number % 2**64)
SMALL = st.one_of(
    st.sampled_from([0, 1, 127, 128, 16383, 16384, 2**32 - 1]), st.integers(0, 2**32 - 1)
)
SMALL_SIGNED = SMALL.map(lambda number: number - 2**31)
# At least 1, as far as 63 bits reach.
COUNT = SIGNED.map(lambda number: max(1, abs(number) % 2**63))
NAME = st.text("ABCXYZabcxyz019._:-", min_size=1, max_size=36)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=64)
REQUEST_ID = st.binary(min_size=16, max_size=16)
SIDES = st.sampled_from([types.SIDE_BUY, types.SIDE_SELL])
FORCES = st.sampled_from([1, 2, 3])
MODES = st.integers(0, 5)


def of(kind: type[Message], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Messages of a kind with these fields."""
    return st.builds(kind, **fields)


LIMIT = of(
    matching.PlaceOrder,
    instrument=SMALL,
    side=SIDES,
    type=st.just(types.ORDER_TYPE_LIMIT),
    time_in_force=FORCES,
    self_trade_prevention=MODES,
    price_ticks=COUNT,
    quantity_lots=COUNT,
    client_order_id=NAME | st.just(""),
)
POST_ONLY = LIMIT.map(
    lambda order: _with(order, time_in_force=types.TIME_IN_FORCE_GTC, post_only=True)
)
MARKET = LIMIT.map(
    lambda order: _with(
        order,
        type=types.ORDER_TYPE_MARKET,
        time_in_force=types.TIME_IN_FORCE_IOC,
        price_ticks=0,
    )
)
BY_QUOTE = MARKET.map(lambda order: _with(order, quote_minor=order.quantity_lots, quantity_lots=0))
GTD = LIMIT.map(
    lambda order: _with(order, time_in_force=types.TIME_IN_FORCE_GTD, expires_us=order.price_ticks)
)
ICEBERG = POST_ONLY.map(lambda order: _with(order, display_lots=order.quantity_lots))
AT_LEAST = LIMIT.filter(lambda order: order.time_in_force != types.TIME_IN_FORCE_FOK).map(
    lambda order: _with(order, min_fill_lots=1 + order.quantity_lots // 2)
)
PROTECTED = BY_QUOTE.map(lambda order: _with(order, protection_ticks=order.quote_minor))
STOP = MARKET.map(
    lambda order: _with(
        order,
        type=types.ORDER_TYPE_STOP,
        trigger_ticks=min(order.quantity_lots, 2**62),
        trigger_by=2,
    )
)
TAKE_PROFIT_LIMIT = LIMIT.map(
    lambda order: _with(
        order,
        type=types.ORDER_TYPE_TAKE_PROFIT_LIMIT,
        trigger_ticks=min(order.quantity_lots, 2**62),
    )
)
TRAILING = BY_QUOTE.map(
    lambda order: _with(
        order, type=types.ORDER_TYPE_TRAILING_STOP, trail_ppm=500_000, activation_ticks=7
    )
)
ORDERS = LIMIT | POST_ONLY | MARKET | BY_QUOTE
MORE_ORDERS = GTD | ICEBERG | AT_LEAST | PROTECTED | STOP | TAKE_PROFIT_LIMIT | TRAILING
BY_ID = of(matching.CancelOrder, order_id=COUNT, by_operator=st.booleans())
BY_NAME = of(matching.CancelOrder, client_order_id=NAME, by_operator=st.booleans())
AMEND = st.builds(
    lambda cancel, price, quantity: matching.AmendOrder(
        order_id=cancel.order_id,
        client_order_id=cancel.client_order_id,
        price_ticks=price,
        quantity_lots=quantity,
    ),
    BY_ID | BY_NAME,
    COUNT,
    COUNT | st.just(0),
)
REPLACE = st.builds(
    lambda cancel, order: matching.ReplaceOrder(
        order_id=cancel.order_id, client_order_id=cancel.client_order_id, order=order
    ),
    BY_ID | BY_NAME,
    ORDERS | MORE_ORDERS,
)


def _pair(first: matching.PlaceOrder, second: matching.PlaceOrder) -> matching.PlaceGroup:
    _with(second, instrument=first.instrument, side=first.side)
    return matching.PlaceGroup(kind=types.GROUP_KIND_OCO, first=first, second=second)


def _bracket(entry: matching.PlaceOrder, exits: list[matching.PlaceOrder]) -> matching.PlaceGroup:
    for way_out in exits:
        _with(way_out, instrument=entry.instrument, side=3 - entry.side)
        _with(way_out, quantity_lots=0, quote_minor=0)
    names = dict(zip(("second", "third"), exits, strict=False))
    return matching.PlaceGroup(kind=types.GROUP_KIND_BRACKET, first=entry, **names)


GROUP = st.builds(_pair, POST_ONLY, STOP | TRAILING | TAKE_PROFIT_LIMIT) | st.builds(
    _bracket, LIMIT | MARKET, st.lists(STOP | TRAILING, min_size=1, max_size=2)
)
MOVE = {"asset": SMALL, "amount_minor": COUNT}
FEE = of(types.FeeRate, tier=SMALL, maker_fee_ppm=SMALL_SIGNED, taker_fee_ppm=SMALL_SIGNED)
ASSET = of(types.Asset, asset=SMALL, code=PRINTABLE, decimals=SMALL)
INSTRUMENT = of(
    types.Instrument,
    symbol=PRINTABLE,
    base_asset=SMALL,
    quote_asset=SMALL,
    lot_minor=SIGNED,
    tick_units=SIGNED,
    tick_scale=SMALL,
    phase=st.integers(0, 9),
    min_quantity_lots=SIGNED,
    max_notional_minor=SIGNED,
    market_protection_ppm=SMALL,
    fees=st.lists(FEE, max_size=16),
)

# What may travel in a session, by the field of Command.
IN_SESSION: dict[str, st.SearchStrategy[Any]] = {
    "place_order": ORDERS | MORE_ORDERS,
    "replace_order": REPLACE,
    "place_group": GROUP,
    "set_guards": of(
        matching.SetGuards, instrument=SMALL, reference_ticks=SIGNED, dynamic_band_ppm=SMALL
    ),
    "set_mark": of(matching.SetMark, instrument=SMALL, price_ticks=SIGNED),
    "set_dead_man": of(matching.SetDeadMan, timeout_us=SIGNED),
    "kill": st.just(matching.Kill()),
    "set_fee_market": of(
        matching.SetFeeMarket, instrument=SMALL, fee_market=SMALL, discount_ppm=SMALL
    ),
    "resume": of(matching.Resume, sequence=UNSIGNED),
    "amend_order": AMEND,
    "cancel_order": BY_ID | BY_NAME,
    "cancel_all": of(matching.CancelAll, instrument=SMALL, by_operator=st.booleans()),
    "add_asset": of(matching.AddAsset, asset=ASSET),
    "add_instrument": of(matching.AddInstrument, instrument=INSTRUMENT),
    "set_phase": of(matching.SetPhase, instrument=SMALL, phase=st.integers(0, 9)),
    "set_limits": of(
        matching.SetLimits, min_quantity_lots=SIGNED, max_notional_minor=SIGNED, instrument=SMALL
    ),
    "set_fees": of(matching.SetFees, instrument=SMALL, fee=FEE),
    "set_account": of(
        matching.SetAccount, fee_tier=SMALL, self_trade_prevention=MODES, suspended=st.booleans()
    ),
    "set_sizes": of(matching.SetSizes, orders=SMALL, client_order_id_memory_us=SIGNED),
    "use_rules": of(matching.UseRules, version=SMALL),
    "set_clock": of(matching.SetClock, time_us=COUNT),
}


def _with(message: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def commands(kind: str, body: st.SearchStrategy[Any]) -> st.SearchStrategy[matching.Command]:
    return st.builds(
        matching.Command,
        request_id=REQUEST_ID,
        causation=UNSIGNED,
        trace=st.binary(max_size=64),
        account=SMALL.map(lambda number: number or 1000),
        valid_until_us=COUNT | st.just(0),
        **{kind: body},
    )


def _session_batches() -> st.SearchStrategy[matching.SubmitRequest]:
    ordinary = st.one_of(*(commands(kind, body) for kind, body in IN_SESSION.items()))
    last = commands("close_session", st.just(matching.CloseSession()))
    return st.builds(
        lambda session, number, some, end: matching.SubmitRequest(
            session=session, number=number, commands=[*some, *end]
        ),
        UNSIGNED.map(lambda number: number or 1),
        UNSIGNED.map(lambda number: number or 1),
        st.lists(ordinary, min_size=1, max_size=6),
        st.lists(last, max_size=1),
    )


def _source_batches() -> st.SearchStrategy[matching.SubmitRequest]:
    credit = commands("credit", of(matching.Credit, **MOVE))
    debit = commands("debit", of(matching.Debit, **MOVE))
    return st.builds(
        matching.SubmitRequest,
        number=st.integers(1, 2**63 - 1 - 4096),
        source=st.integers(1, 255),
        commands=st.lists(credit | debit, min_size=1, max_size=6),
    )


def _lone_batches() -> st.SearchStrategy[matching.SubmitRequest]:
    opening = commands("open_session", st.just(matching.OpenSession()))
    tick = st.just(matching.Command(tick=matching.Tick()))
    halt = commands(
        "halt", of(matching.Halt, sequence=UNSIGNED, state_hash=UNSIGNED, command_offset=UNSIGNED)
    )
    alone = opening | tick | halt
    return st.builds(matching.SubmitRequest, commands=alone.map(lambda one: [one]))


BATCHES = st.one_of(_session_batches(), _session_batches(), _source_batches(), _lone_batches())

_STRINGS: dict[str, st.SearchStrategy[Any]] = {
    "request_id": REQUEST_ID,
    "trace": st.binary(max_size=64),
    "code": PRINTABLE,
    "symbol": PRINTABLE,
    "detail": PRINTABLE,
    "broken": PRINTABLE,
}
_NUMBERS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_UINT32: SMALL,
    FieldDescriptor.TYPE_UINT64: UNSIGNED,
    FieldDescriptor.TYPE_INT64: SIGNED,
    FieldDescriptor.TYPE_SINT32: SMALL_SIGNED,
    FieldDescriptor.TYPE_SINT64: SIGNED,
    FieldDescriptor.TYPE_FIXED64: UNSIGNED,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
}


def message_type(name: str) -> type[Message]:
    """The class of a message by the name it has in C: place_order is PlaceOrder."""
    camel = re.sub(r"(?:^|_)(.)", lambda match: match.group(1).upper(), name)
    found: type[Message] = getattr(matching, camel, None) or getattr(types, camel)
    return found


def plain_messages(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Messages of a kind with any values in all fields that are no messages."""
    fields = {field.name: _values(field) for field in kind.DESCRIPTOR.fields if not _inner(field)}
    build: Callable[..., Message] = kind
    return st.builds(build, **fields)


def _inner(field: Any) -> bool:
    return bool(field.type == FieldDescriptor.TYPE_MESSAGE)


def _values(field: Any) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        return _STRINGS.get(field.name, NAME | st.just("") | st.just("n" * 36))
    return _NUMBERS[field.type]
