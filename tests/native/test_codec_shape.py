"""Which batches the check lets through, rule by rule."""

from collections.abc import Callable

import pytest

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.native.codec_library import Batch, Refused, library

Command, PlaceOrder, SubmitRequest = matching.Command, matching.PlaceOrder, matching.SubmitRequest
ID = bytes(range(16))

LIMIT = PlaceOrder(
    instrument=1024,
    side=types.SIDE_BUY,
    type=types.ORDER_TYPE_LIMIT,
    time_in_force=types.TIME_IN_FORCE_GTC,
    price_ticks=100,
    quantity_lots=5,
)
MARKET = PlaceOrder(
    instrument=1024,
    side=types.SIDE_SELL,
    type=types.ORDER_TYPE_MARKET,
    time_in_force=types.TIME_IN_FORCE_IOC,
    quantity_lots=5,
)
INSTRUMENT = types.Instrument(symbol="BTC-USD", base_asset=1, quote_asset=2)
CLOSE = Command(request_id=ID, close_session=matching.CloseSession())
OPEN = Command(request_id=ID, open_session=matching.OpenSession())
HALT = Command(request_id=ID, halt=matching.Halt(sequence=7, state_hash=2**64 - 1))
CREDIT = Command(request_id=ID, account=1000, credit=matching.Credit(asset=1, amount_minor=5))


def asked(**kind: object) -> matching.Command:
    """A command of account 1000."""
    command = Command(request_id=ID, account=1000)
    for name, body in kind.items():
        getattr(command, name).CopyFrom(body)
    return command


def placed(order: matching.PlaceOrder, **changes: object) -> matching.Command:
    changed = PlaceOrder()
    changed.CopyFrom(order)
    for name, value in changes.items():
        setattr(changed, name, value)
    return asked(place_order=changed)


def in_session(*commands: matching.Command) -> matching.SubmitRequest:
    return SubmitRequest(session=9, number=1, commands=commands)


def wrapped(**envelope: object) -> matching.SubmitRequest:
    """A limit order in this envelope."""
    command = placed(LIMIT)
    for name, value in envelope.items():
        setattr(command, name, value)
    return in_session(command)


def amended(**fields: object) -> matching.SubmitRequest:
    return in_session(asked(amend_order=matching.AmendOrder(**fields)))  # type: ignore[arg-type]


def cancelled(**fields: object) -> matching.SubmitRequest:
    return in_session(asked(cancel_order=matching.CancelOrder(**fields)))  # type: ignore[arg-type]


def added(**fields: object) -> matching.SubmitRequest:
    instrument = types.Instrument()
    instrument.CopyFrom(INSTRUMENT)
    for name, value in fields.items():
        setattr(instrument, name, value)
    return in_session(asked(add_instrument=matching.AddInstrument(instrument=instrument)))


GOOD: dict[str, matching.SubmitRequest] = {
    "a limit order": in_session(placed(LIMIT)),
    "post-only": in_session(placed(LIMIT, post_only=True)),
    "a market order": in_session(placed(MARKET)),
    "a market order by quote": in_session(placed(MARKET, quantity_lots=0, quote_minor=1)),
    "the greatest numbers": in_session(
        placed(LIMIT, price_ticks=2**63 - 1, quantity_lots=2**63 - 1, instrument=2**32 - 1)
    ),
    "every character of a name": in_session(
        placed(LIMIT, client_order_id="azAZ09._:-".ljust(36, "z"))
    ),
    "an amend of the price alone": amended(order_id=1, price_ticks=5),
    "an amend by name": amended(client_order_id="a", quantity_lots=5),
    "a cancel by name": cancelled(client_order_id="a"),
    "a new instrument": added(),
    "a session closed": in_session(placed(LIMIT), CLOSE),
    "4096 commands": in_session(*[placed(LIMIT)] * 4096),
    "a credit": SubmitRequest(source=255, number=1, commands=[CREDIT, CREDIT]),
    "a session opened": SubmitRequest(commands=[OPEN]),
    "a tick without id": SubmitRequest(commands=[Command(tick=matching.Tick())]),
    "a halt": SubmitRequest(commands=[HALT]),
    "a resume": in_session(Command(request_id=ID, resume=matching.Resume(sequence=7))),
    "a house command of no account": in_session(
        Command(request_id=ID, use_rules=matching.UseRules(version=1))
    ),
}

BAD: dict[str, matching.SubmitRequest] = {
    "nothing": SubmitRequest(),
    "no commands": SubmitRequest(session=9, number=1),
    "a halt in a session": in_session(HALT),
    "two halts": SubmitRequest(commands=[HALT, HALT]),
    "4097 commands": in_session(*[placed(LIMIT)] * 4097),
    "no number in a session": SubmitRequest(session=9, commands=[placed(LIMIT)]),
    "no number from a source": SubmitRequest(source=1, commands=[CREDIT]),
    "a number that would overflow": SubmitRequest(source=1, number=2**63 - 1, commands=[CREDIT]),
    "source 256": SubmitRequest(source=256, number=1, commands=[CREDIT]),
    "a session and a source": SubmitRequest(session=9, source=1, number=1, commands=[CREDIT]),
    "an order from a source": SubmitRequest(source=1, number=1, commands=[placed(LIMIT)]),
    "a credit in a session": in_session(CREDIT),
    "an opening in a session": in_session(OPEN),
    "a tick in a session": in_session(Command(request_id=ID, tick=matching.Tick())),
    "an order alone": SubmitRequest(commands=[placed(LIMIT)]),
    "a closing alone": SubmitRequest(commands=[CLOSE]),
    "two alone": SubmitRequest(commands=[OPEN, OPEN]),
    "a number alone": SubmitRequest(number=1, commands=[OPEN]),
    "a command after the closing": in_session(CLOSE, placed(LIMIT)),
    "two closings": in_session(CLOSE, CLOSE),
    "no kind": in_session(Command(request_id=ID, account=1000)),
    "no request id": wrapped(request_id=b""),
    "a short request id": wrapped(request_id=ID[:15]),
    "a long request id": wrapped(request_id=ID + b"0"),
    "a long trace": wrapped(trace=bytes(65)),
    "no account": wrapped(account=0),
    "a deadline below zero": wrapped(valid_until_us=-1),
    "no side": in_session(placed(LIMIT, side=0)),
    "a side that is none": in_session(placed(LIMIT, side=3)),
    "no type": in_session(placed(LIMIT, type=0)),
    "no time in force": in_session(placed(LIMIT, time_in_force=0)),
    "a prevention that is none": in_session(placed(LIMIT, self_trade_prevention=6)),
    "no price": in_session(placed(LIMIT, price_ticks=0)),
    "a price below zero": in_session(placed(LIMIT, price_ticks=-1)),
    "no quantity": in_session(placed(LIMIT, quantity_lots=0)),
    "a quantity below zero": in_session(placed(LIMIT, quantity_lots=-1)),
    "a limit order by quote": in_session(placed(LIMIT, quote_minor=1)),
    "post-only IOC": in_session(placed(LIMIT, post_only=True, time_in_force=2)),
    "a market order with a price": in_session(placed(MARKET, price_ticks=1)),
    "a market order that waits": in_session(placed(MARKET, time_in_force=1)),
    "a post-only market order": in_session(placed(MARKET, post_only=True)),
    "a market order for nothing": in_session(placed(MARKET, quantity_lots=0)),
    "a market order by both": in_session(placed(MARKET, quote_minor=1)),
    "a market order by less than no quote": in_session(placed(MARKET, quote_minor=-1)),
    "a long name": in_session(placed(LIMIT, client_order_id="n" * 37)),
    "a blank in a name": in_session(placed(LIMIT, client_order_id="a b")),
    "a letter outside the alphabet": in_session(placed(LIMIT, client_order_id="ä")),
    "a NUL in a name": in_session(placed(LIMIT, client_order_id="a\0")),
    "a cancel of nothing": cancelled(),
    "a cancel of two": cancelled(order_id=1, client_order_id="a"),
    "an amend of nothing": amended(price_ticks=1),
    "an amend of two": amended(order_id=1, client_order_id="a", price_ticks=1),
    "an amend to nothing": amended(order_id=1),
    "an amend below zero": amended(order_id=1, price_ticks=-1, quantity_lots=5),
    "a credit of nothing": SubmitRequest(
        source=1, number=1, commands=[asked(credit=matching.Credit(asset=1))]
    ),
    "a debit below zero": SubmitRequest(
        source=1, number=1, commands=[asked(debit=matching.Debit(asset=1, amount_minor=-1))]
    ),
    "no asset": in_session(asked(add_asset=matching.AddAsset())),
    "no instrument": in_session(asked(add_instrument=matching.AddInstrument())),
    "an instrument with an id": added(instrument=1024),
    "an instrument with a last price": added(last_price_ticks=5),
    "a phase that is none": added(phase=10),
    "no fee": in_session(asked(set_fees=matching.SetFees(instrument=1024))),
    "a clock below zero": in_session(asked(set_clock=matching.SetClock(time_us=-1))),
}


def through_c(encoded: bytes) -> matching.SubmitRequest:
    found = library().batch(encoded)
    assert isinstance(found, Batch), f"refused at {found}"
    return SubmitRequest.FromString(found.encoded)


@pytest.mark.parametrize("what", GOOD)
def test_taken(what: str) -> None:
    assert through_c(GOOD[what].SerializeToString()) == GOOD[what]


@pytest.mark.parametrize("what", BAD)
def test_refused(what: str) -> None:
    assert isinstance(library().batch(BAD[what].SerializeToString()), Refused)


def in_command(fields: bytes) -> bytes:
    """A limit order in a session, with these bytes behind the command's own."""
    command = placed(LIMIT).SerializeToString() + fields
    return SubmitRequest(session=9, number=1).SerializeToString() + b"\x22" + length_of(command)


def in_order(fields: bytes) -> bytes:
    """A limit order in a session, with these bytes behind the order's own."""
    order = LIMIT.SerializeToString() + fields
    command = Command(request_id=ID, account=1000).SerializeToString() + b"\x32" + length_of(order)
    return SubmitRequest(session=9, number=1).SerializeToString() + b"\x22" + length_of(command)


def length_of(body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([len(body)]) + body


WIRE: dict[str, tuple[Callable[[bytes], bytes], bytes]] = {
    "an unknown field": (in_order, b"\x58\x01"),
    "an unknown field of the command": (in_command, b"\xc0\x01\x01"),
    "a known field of another wire type": (in_order, b"\x2d\x01\x00\x00\x00"),
    "a group": (in_order, b"\x2b\x2c"),
    "field 0": (in_order, b"\x00\x00"),
    "a field twice": (in_order, b"\x08\x05"),
    "a kind twice": (in_command, b"\x32" + length_of(LIMIT.SerializeToString())),
    "two kinds": (in_command, b"\x4a\x00"),
    "a bool of 2": (in_order, b"\x28\x02"),
    "an enum below zero": (in_order, b"\x30" + b"\xff" * 9 + b"\x01"),
    "a number that ends in nothing": (in_order, b"\x30\x81"),
    "a number of eleven bytes": (in_order, b"\x48" + b"\x80" * 10 + b"\x00"),
    "a tenth byte above one": (in_order, b"\x48" + b"\x80" * 9 + b"\x02"),
    "a length beyond the end": (in_order, b"\x52\x05ab"),
    "a length of ten bytes": (in_order, b"\x52" + b"\xff" * 9 + b"\x01"),
    "something in a message without fields": (
        lambda body: (
            SubmitRequest(commands=[Command(request_id=ID)])
            .SerializeToString()
            .replace(b"\x22\x12", b"\x22\x16")
            + body
        ),
        b"\x62\x02\x08\x01",
    ),
}


@pytest.mark.parametrize("what", WIRE)
def test_refused_on_the_wire(what: str) -> None:
    around, fields = WIRE[what]
    assert isinstance(library().batch(around(fields)), Refused)


def test_the_table_of_wire_errors_fails_for_what_it_names() -> None:
    assert isinstance(library().batch(in_command(b"")), Batch)
    assert isinstance(library().batch(in_order(b"\x30\x01")), Batch)


@pytest.mark.parametrize("zero", [b"\x28\x00", b"\x48\x00", b"\x48\x80\x80\x80\x00", b"\x52\x00"])
def test_a_zero_may_be_spelt_out(zero: bytes) -> None:
    assert through_c(in_order(zero)) == in_session(placed(LIMIT))


def test_a_refusal_names_the_first_byte_that_is_wrong() -> None:
    encoded = in_order(b"\x30\x06")
    assert library().batch(encoded) == Refused(len(encoded) - 1)
    assert library().batch(encoded[:-1]) == Refused(5), "the command is longer than the bytes"
