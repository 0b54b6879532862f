"""The words of a table and the commands they stand for."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types

START_US: Final = 1_000_000_000
"""Log time at the beginning of each table."""
ACCOUNTS: Final = {
    "house": 0,
    "fees": 3,
    "alice": 1001,
    "bob": 1002,
    "carol": 1003,
    "dave": 1004,
    "erin": 1005,
}
ASSETS: Final = {"USD": 1, "BTC": 2, "ETH": 3}


class NotUnderstood(Exception):
    """A line that is no sentence of the language; the text quotes it."""


@dataclass
class Names:
    """What a table's words mean at the moment: instruments by symbol, orders by label."""

    instruments: dict[str, int] = field(default_factory=dict)
    orders: dict[str, int] = field(default_factory=dict)


def number(text: str) -> int:
    """`5`, `1_000`, `2^62`, `2^62-1`."""
    found = re.fullmatch(r"(-?[\d_]+)(?:\^(\d+))?([+-]\d+)?", text)
    if not found:
        raise NotUnderstood(text)
    base, power, rest = found.groups()
    return int(int(base) ** int(power or 1)) + int(rest or 0)


def time_us(text: str) -> int:
    """`20s` or `20s+1` (a microsecond more), counted from the beginning of the table."""
    seconds, _, more = text.partition("s")
    return START_US + int(seconds) * 1_000_000 + int(more or 0)


def enum_value(prefix: str, word: str) -> str:
    """The contract's name of a value: `cancel-maker` is SELF_TRADE_PREVENTION_CANCEL_MAKER."""
    return f"{prefix}_{word.upper().replace('-', '_')}"


def enum_word(name: str, prefix: str) -> str:
    """The other way round."""
    return name.removeprefix(prefix + "_").lower()


def take(words: list[str], key: str) -> str:
    """Take `key VALUE` out of the words; empty if it is not there."""
    if key not in words:
        return ""
    at = words.index(key)
    value = words[at + 1]
    del words[at : at + 2]
    return value


def take_flag(words: list[str], key: str) -> bool:
    found = key in words
    if found:
        words.remove(key)
    return found


def instrument_of(words: list[str], names: Names) -> int:
    symbol = take(words, "in") or "BTC-USD"
    return names.instruments[symbol] if symbol in names.instruments else int(symbol)


def order_of(words: list[str], names: Names) -> tuple[int, str]:
    """`a1` by its id, `named x` by its client order id, `#4096` whatever has that id."""
    if named := take(words, "named"):
        return 0, named
    label = words.pop(0)
    return int(label[1:]) if label.startswith("#") else names.orders[label], ""


def put_order(words: list[str], names: Names) -> matching.Command:
    """`buy 5 @ 100 ioc`, `sell 5`, `buy for 500`, and all that order_body knows."""
    return matching.Command(place_order=order_body(words, names))


def order_body(words: list[str], names: Names) -> matching.PlaceOrder:
    """`sell 5 @ 94 stop 95`, `sell 5 take 105 by-mark`, `sell 5 trail 3 from 110`,
    `buy 9 @ 100 show 2 min 3 gtd 20s`, `buy 5 no-worse-than 101`; an exit has no quantity."""
    order = matching.PlaceOrder(
        side=enum_value("SIDE", words.pop(0)),
        post_only=take_flag(words, "post-only"),
        client_order_id=take(words, "named"),
        self_trade_prevention=_mode(take(words, "stp")),
        instrument=instrument_of(words, names),
        price_ticks=number(take(words, "@") or "0"),
        quote_minor=number(take(words, "for") or "0"),
        display_lots=number(take(words, "show") or "0"),
        min_fill_lots=number(take(words, "min") or "0"),
        protection_ticks=number(take(words, "no-worse-than") or "0"),
    )
    _put_wait(order, words)
    _put_time_in_force(order, words)
    if words and not order.quote_minor:
        order.quantity_lots = number(words.pop(0))
    return order


def _put_wait(order: matching.PlaceOrder, words: list[str]) -> None:
    """The order's type, and what it waits for."""
    limit = "LIMIT" if order.price_ticks else "MARKET"
    kind = limit
    for word, waits in (("stop", "STOP"), ("take", "TAKE_PROFIT")):
        if trigger := take(words, word):
            order.trigger_ticks = number(trigger)
            kind = waits + ("_LIMIT" if order.price_ticks else "")
    if trail := take(words, "trail"):
        kind = "TRAILING_STOP"
        if trail.endswith("ppm"):
            order.trail_ppm = number(trail.removesuffix("ppm"))
        else:
            order.trail_ticks = number(trail)
        order.activation_ticks = number(take(words, "from") or "0")
    if take_flag(words, "by-mark"):
        order.trigger_by = types.TRIGGER_BY_MARK_PRICE
    order.MergeFrom(matching.PlaceOrder(type=enum_value("ORDER_TYPE", kind)))


def _put_time_in_force(order: matching.PlaceOrder, words: list[str]) -> None:
    named = [word for word in ("gtc", "ioc", "fok", "gfa") if take_flag(words, word)]
    until = take(words, "gtd")
    order.expires_us = time_us(until) if until else 0
    usual = "gtd" if until else "gtc" if order.price_ticks else "ioc"
    word = named[0] if named else usual
    order.MergeFrom(matching.PlaceOrder(time_in_force=enum_value("TIME_IN_FORCE", word)))


def put_group(words: list[str], names: Names) -> matching.Command:
    """`oco sell 5 @ 110 post-only | sell 5 stop 90`, `bracket buy 5 @ 100 | sell stop 90`."""
    kind = enum_value("GROUP_KIND", words.pop(0))
    parts = [part.split() for part in " ".join(words).split(" | ")]
    words.clear()
    bodies = [order_body(part, names) for part in parts]
    third = {"third": bodies[2]} if len(bodies) > 2 else {}
    group = matching.PlaceGroup(kind=kind, first=bodies[0], second=bodies[1], **third)
    return matching.Command(place_group=group)


def replace(words: list[str], names: Names) -> matching.Command:
    """`replace a1 with buy 5 @ 100`."""
    words.pop(0)
    order_id, name = order_of(words, names)
    words.remove("with")
    body = order_body(words, names)
    replacement = matching.ReplaceOrder(order_id=order_id, client_order_id=name, order=body)
    return matching.Command(replace_order=replacement)


def _mode(word: str) -> str:
    return enum_value("SELF_TRADE_PREVENTION", word or "unspecified")


def amend(words: list[str], names: Names) -> matching.Command:
    """`amend a1 to 5 @ 101`, `amend a1 to 5`, `amend a1 to @ 101`."""
    words.pop(0)
    order_id, name = order_of(words, names)
    command = matching.AmendOrder(order_id=order_id, client_order_id=name)
    words.remove("to")
    command.price_ticks = number(take(words, "@") or "0")
    command.quantity_lots = number(words.pop(0)) if words else 0
    return matching.Command(amend_order=command)


def cancel(words: list[str], names: Names) -> matching.Command:
    """`cancel a1`, `cancel all`, `cancel all in ETH-USD`, each also `by-operator`."""
    words.pop(0)
    by_operator = take_flag(words, "by-operator")
    if take_flag(words, "all"):
        instrument = instrument_of(words, names) if "in" in words else 0
        everything = matching.CancelAll(instrument=instrument, by_operator=by_operator)
        return matching.Command(cancel_all=everything)
    order_id, name = order_of(words, names)
    one = matching.CancelOrder(order_id=order_id, client_order_id=name, by_operator=by_operator)
    return matching.Command(cancel_order=one)


def move(words: list[str], names: Names) -> matching.Command:
    """`credit 5 USD`, `debit 5 USD`."""
    verb, amount, asset = words.pop(0), number(words.pop(0)), words.pop(0)
    known = ASSETS[asset] if asset in ASSETS else int(asset)
    if verb == "credit":
        return matching.Command(credit=matching.Credit(asset=known, amount_minor=amount))
    return matching.Command(debit=matching.Debit(asset=known, amount_minor=amount))


def put_account(words: list[str], names: Names) -> matching.Command:
    """`settings tier 3 stp none suspended most-orders 3 rate 2 pays-fee-asset`."""
    words.pop(0)
    settings = matching.SetAccount(
        max_open_orders=number(take(words, "most-orders") or "0"),
        max_commands_per_second=number(take(words, "rate") or "0"),
        pays_fee_asset=take_flag(words, "pays-fee-asset"),
        fee_tier=number(take(words, "tier") or "0"),
        suspended=take_flag(words, "suspended"),
        self_trade_prevention=_mode(take(words, "stp")),
    )
    return matching.Command(set_account=settings)


def put_phase(words: list[str], names: Names) -> matching.Command:
    """`phase halt`, `phase halt in ETH-USD`, `phase opening-auction until 20s`."""
    words.pop(0)
    until = take(words, "until")
    wanted = matching.SetPhase(
        instrument=instrument_of(words, names),
        phase=enum_value("PHASE", words.pop(0)),
        until_us=time_us(until) if until else 0,
    )
    return matching.Command(set_phase=wanted)


def put_guards(words: list[str], names: Names) -> matching.Command:
    """`guards reference 100 static 50_000 dynamic 20_000 auction 5s`."""
    words.pop(0)
    guards = matching.SetGuards(
        instrument=instrument_of(words, names),
        reference_ticks=number(take(words, "reference") or "0"),
        static_band_ppm=number(take(words, "static") or "0"),
        dynamic_band_ppm=number(take(words, "dynamic") or "0"),
        volatility_auction_us=lasts_us(take(words, "auction") or "0s"),
    )
    return matching.Command(set_guards=guards)


def lasts_us(text: str) -> int:
    """`5s`, `1s-1`: so many seconds, a microsecond less."""
    return time_us(text) - START_US


def put_mark(words: list[str], names: Names) -> matching.Command:
    """`mark 100`."""
    words.pop(0)
    instrument = instrument_of(words, names)
    mark = matching.SetMark(instrument=instrument, price_ticks=number(words.pop(0)))
    return matching.Command(set_mark=mark)


def put_fee_market(words: list[str], names: Names) -> matching.Command:
    """`fee-market ETH-USD discount 250_000`, `fee-market none`."""
    words.pop(0)
    market = matching.SetFeeMarket(
        instrument=instrument_of(words, names),
        discount_ppm=number(take(words, "discount") or "0"),
    )
    symbol = words.pop(0)
    if symbol != "none":
        market.fee_market = instrument_of(["in", symbol], names)
    return matching.Command(set_fee_market=market)


def put_dead_man(words: list[str], names: Names) -> matching.Command:
    """`dead-man 5s`."""
    words.pop(0)
    return matching.Command(set_dead_man=matching.SetDeadMan(timeout_us=lasts_us(words.pop(0))))


def kill(words: list[str], names: Names) -> matching.Command:
    """`alice kill`, `house kill in BTC-USD`."""
    words.pop(0)
    instrument = instrument_of(words, names) if "in" in words else 0
    return matching.Command(kill=matching.Kill(instrument=instrument))


def _range(text: str) -> tuple[int, int]:
    low, high = text.split("..")
    return number(low), number(high)


def put_limits(words: list[str], names: Names) -> matching.Command:
    """`limits quantity 1..100 notional 0..5000 protection 100000`."""
    words.pop(0)
    limits = matching.SetLimits(instrument=instrument_of(words, names))
    limits.market_protection_ppm = number(take(words, "protection") or "100000")
    quantity = _range(take(words, "quantity") or "1..1_000_000")
    notional = _range(take(words, "notional") or "0..1_000_000_000")
    limits.min_quantity_lots, limits.max_quantity_lots = quantity
    limits.min_notional_minor, limits.max_notional_minor = notional
    return matching.Command(set_limits=limits)


def _fee(words: list[str]) -> types.FeeRate:
    return types.FeeRate(
        tier=number(take(words, "tier") or "0"),
        maker_fee_ppm=number(take(words, "maker") or "0"),
        taker_fee_ppm=number(take(words, "taker") or "0"),
    )


def put_fees(words: list[str], names: Names) -> matching.Command:
    """`fees tier 1 maker -10 taker 20`."""
    words.pop(0)
    instrument = instrument_of(words, names)
    return matching.Command(set_fees=matching.SetFees(instrument=instrument, fee=_fee(words)))


def add_asset(words: list[str], names: Names) -> matching.Command:
    """`asset 7 EUR decimals 2`."""
    words.pop(0)
    decimals = number(take(words, "decimals") or "0")
    asset = types.Asset(asset=int(words.pop(0)), code=words.pop(0), decimals=decimals)
    return matching.Command(add_asset=matching.AddAsset(asset=asset))


def add_instrument(words: list[str], names: Names) -> matching.Command:
    """`market ETH-USD lot 1 tick 1 scale 0 quantity 1..9 maker 0 taker 0 tiers 0,1 phase halt`."""
    words.pop(0)
    symbol = words.pop(0)
    base, _, quote = (take(words, "of") or symbol).partition("-")
    quantity = _range(take(words, "quantity") or "1..1_000_000")
    notional = _range(take(words, "notional") or "0..1_000_000_000")
    tiers = [number(tier) for tier in (take(words, "tiers") or "0").split(",")]
    fee = _fee(words)
    new = types.Instrument(
        symbol=symbol,
        base_asset=ASSETS.get(base, 99),
        quote_asset=ASSETS.get(quote, 99),
        lot_minor=number(take(words, "lot") or "1"),
        tick_units=number(take(words, "tick") or "1"),
        tick_scale=number(take(words, "scale") or "0"),
        phase=enum_value("PHASE", take(words, "phase") or "continuous"),
        min_quantity_lots=quantity[0],
        max_quantity_lots=quantity[1],
        min_notional_minor=notional[0],
        max_notional_minor=notional[1],
        market_protection_ppm=number(take(words, "protection") or "100000"),
    )
    for tier in tiers:
        new.fees.add(tier=tier, maker_fee_ppm=fee.maker_fee_ppm, taker_fee_ppm=fee.taker_fee_ppm)
    return matching.Command(add_instrument=matching.AddInstrument(instrument=new))


SIZES: Final = {
    "orders": 1_048_576,
    "orders_per_account": 10_000,
    "accounts": 65_536,
    "balances": 262_144,
    "client_order_ids": 2_097_152,
    "client_order_id_memory_us": 120_000_000,
    "sessions": 256,
    "instruments": 1_024,
}


def put_sizes(words: list[str], names: Names) -> matching.Command:
    """`sizes orders 3 sessions 2`; what is not named has its first size."""
    words.pop(0)
    sizes = {name: number(take(words, name) or str(size)) for name, size in SIZES.items()}
    return matching.Command(set_sizes=matching.SetSizes(**sizes))


def use_rules(words: list[str], names: Names) -> matching.Command:
    """`rules 1`."""
    words.pop(0)
    return matching.Command(use_rules=matching.UseRules(version=number(words.pop(0))))


def set_clock(words: list[str], names: Names) -> matching.Command:
    """`clock 20s`."""
    words.pop(0)
    return matching.Command(set_clock=matching.SetClock(time_us=time_us(words.pop(0))))


def resume(words: list[str], names: Names) -> matching.Command:
    """`resume 12`: the sequence of the halt."""
    words.pop(0)
    return matching.Command(resume=matching.Resume(sequence=number(words.pop(0))))


def session(words: list[str], names: Names) -> matching.Command:
    """`open-session`, `close-session`."""
    if words.pop(0) == "open-session":
        return matching.Command(open_session=matching.OpenSession())
    return matching.Command(close_session=matching.CloseSession())


VERBS: Final[dict[str, Callable[[list[str], Names], matching.Command]]] = {
    "buy": put_order,
    "sell": put_order,
    "oco": put_group,
    "bracket": put_group,
    "replace": replace,
    "amend": amend,
    "cancel": cancel,
    "credit": move,
    "debit": move,
    "settings": put_account,
    "phase": put_phase,
    "limits": put_limits,
    "guards": put_guards,
    "mark": put_mark,
    "fee-market": put_fee_market,
    "dead-man": put_dead_man,
    "kill": kill,
    "fees": put_fees,
    "asset": add_asset,
    "market": add_instrument,
    "sizes": put_sizes,
    "rules": use_rules,
    "clock": set_clock,
    "resume": resume,
    "open-session": session,
    "close-session": session,
}


def command(sentence: str, names: Names) -> matching.Command:
    """`alice buy 5 @ 100 by 20s`: who, what, and perhaps until when."""
    words = sentence.split()
    try:
        account = words.pop(0)
        until = take(words, "by")
        made = VERBS[words[0]](words, names)
        made.account = ACCOUNTS[account]
    except (KeyError, ValueError, IndexError) as why:
        raise NotUnderstood(f"{sentence!r}: {why}") from why
    if words:
        raise NotUnderstood(f"{sentence!r}: {' '.join(words)} means nothing here")
    made.request_id = bytes(16)
    made.valid_until_us = time_us(until) if until else 0
    return made
