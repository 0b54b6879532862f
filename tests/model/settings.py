"""Money in and out, and what operators may change."""

import re
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.book import Reasons, first
from tests.model.moves import move
from tests.model.phases import CANCEL_ONLY, FIRST, RULES_1
from tests.model.prices import price_event
from tests.model.state import CAP, FEES, FIRST_SIZES, IDS, State

DAY_US: Final = 86_400_000_000


# --- Money ----------------------------------------------------------------------------------


def credit(s: State, command: matching.Command) -> matching.Outcome:
    asset, amount = command.credit.asset, command.credit.amount_minor
    if refusal := first(why_not_credit(s, command.account, asset, amount)):
        return matching.Outcome(refusal=refusal)
    s.move(command.account, asset, amount)
    s.state_balance(command.account, asset)
    return matching.Outcome()


def why_not_credit(s: State, account: int, asset: int, amount: int) -> Reasons:
    yield asset not in s.assets, matching.REFUSAL_ASSET_UNKNOWN
    yield s.full(account, asset), matching.REFUSAL_CAPACITY_FULL
    yield s.owned(asset) + amount > CAP, matching.REFUSAL_ASSET_CAP


def debit(s: State, command: matching.Command) -> matching.Outcome:
    asset, amount = command.debit.asset, command.debit.amount_minor
    if s.rules >= 3 and s.expired(command):
        return matching.Outcome(refusal=matching.REFUSAL_EXPIRED_IN_TRANSIT)
    if asset not in s.assets:
        return matching.Outcome(refusal=matching.REFUSAL_ASSET_UNKNOWN)
    available = s.balance(command.account, asset).available_minor
    if amount > available:
        return matching.Outcome(
            refusal=matching.REFUSAL_INSUFFICIENT_BALANCE,
            needed_minor=amount,
            available_minor=available,
        )
    s.move(command.account, asset, -amount)
    s.state_balance(command.account, asset)
    return matching.Outcome()


# --- Assets and instruments -----------------------------------------------------------------


def add_asset(s: State, command: matching.Command) -> matching.Outcome:
    asset = command.add_asset.asset
    if refusal := first(why_not_asset(s, asset)):
        return matching.Outcome(refusal=refusal)
    s.assets[asset.asset] = asset
    s.move(FEES, asset.asset, 0)
    s.record.assets.add(command=s.command, asset=asset)
    return matching.Outcome(created_id=asset.asset)


def why_not_asset(s: State, asset: types.Asset) -> Reasons:
    wrong = not asset.asset or not re.fullmatch("[A-Z0-9]{1,16}", asset.code) or asset.decimals > 18
    yield wrong, matching.REFUSAL_SETTING_INVALID
    others = [a for a in s.assets.values() if asset.asset == a.asset or asset.code == a.code]
    yield others not in ([], [asset]), matching.REFUSAL_NAME_TAKEN
    full = len(s.assets) >= 4_096 or s.full(FEES, asset.asset)
    yield not others and full, matching.REFUSAL_CAPACITY_FULL


def add_instrument(s: State, command: matching.Command) -> matching.Outcome:
    new = types.Instrument()
    new.CopyFrom(command.add_instrument.instrument)
    if refusal := first(why_not_instrument(s, new)):
        return matching.Outcome(refusal=refusal)
    s.instruments_given += 1
    new.instrument = s.instruments_given * IDS + s.shard
    new.tick_lot_minor = tick_lot(s, new)
    for older in s.instruments.values():
        if older.symbol == new.symbol and older.phase != CANCEL_ONLY:
            move(s, older, CANCEL_ONLY)
    s.instruments[new.instrument] = new
    s.books[new.instrument, types.SIDE_BUY] = []
    s.books[new.instrument, types.SIDE_SELL] = []
    s.state_instrument(new)
    return matching.Outcome(created_id=new.instrument)


def why_not_instrument(s: State, new: types.Instrument) -> Reasons:
    unknown = new.base_asset not in s.assets or new.quote_asset not in s.assets
    yield unknown, matching.REFUSAL_ASSET_UNKNOWN
    tiers = [fee.tier for fee in new.fees]
    wrong = (
        not re.fullmatch("[A-Z0-9-]{1,32}", new.symbol)
        or new.base_asset == new.quote_asset
        or new.lot_minor < 1
        or new.tick_scale > 18
        or not tick_lot(s, new)
        or limits_wrong(new)
        or any(fee_wrong(fee) for fee in new.fees)
        or tiers != sorted(set(tiers))
        or 0 not in tiers
        or new.phase not in (FIRST if s.rules >= 2 else RULES_1)
    )
    yield wrong, matching.REFUSAL_SETTING_INVALID
    full = len(s.instruments) >= s.sizes.instruments
    yield full, matching.REFUSAL_CAPACITY_FULL


def tick_lot(s: State, instrument: types.Instrument) -> int:
    """Quote minor units of one lot at one tick; 0 if that is not whole, or not in 1..2^62."""
    quote_unit = 10 ** s.assets[instrument.quote_asset].decimals
    base_unit = 10 ** s.assets[instrument.base_asset].decimals
    cost = instrument.tick_units * instrument.lot_minor * quote_unit
    per = 10**instrument.tick_scale * base_unit
    return cost // per if cost % per == 0 and 0 < cost // per <= CAP else 0


def limits_wrong(limits: types.Instrument) -> bool:
    return (
        not 1 <= limits.min_quantity_lots <= limits.max_quantity_lots
        or not 0 <= limits.min_notional_minor <= limits.max_notional_minor <= CAP
        or limits.max_quantity_lots * limits.lot_minor > CAP
        or limits.market_protection_ppm > 1_000_000
    )


def fee_wrong(fee: types.FeeRate) -> bool:
    maker, taker = fee.maker_fee_ppm, fee.taker_fee_ppm
    return fee.tier > 15 or not -100_000 <= maker <= 100_000 or not 0 <= taker <= 100_000


def set_limits(s: State, command: matching.Command) -> matching.Outcome:
    limits = command.set_limits
    instrument = s.instruments.get(limits.instrument)
    if instrument is None:
        return matching.Outcome(refusal=matching.REFUSAL_INSTRUMENT_UNKNOWN)
    changes = types.Instrument(
        min_quantity_lots=limits.min_quantity_lots,
        max_quantity_lots=limits.max_quantity_lots,
        min_notional_minor=limits.min_notional_minor,
        max_notional_minor=limits.max_notional_minor,
        market_protection_ppm=limits.market_protection_ppm,
        lot_minor=instrument.lot_minor,
    )
    if limits_wrong(changes):
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    instrument.min_quantity_lots = limits.min_quantity_lots
    instrument.max_quantity_lots = limits.max_quantity_lots
    instrument.min_notional_minor = limits.min_notional_minor
    instrument.max_notional_minor = limits.max_notional_minor
    instrument.market_protection_ppm = limits.market_protection_ppm
    s.state_instrument(instrument)
    return matching.Outcome()


def set_fees(s: State, command: matching.Command) -> matching.Outcome:
    new = command.set_fees.fee
    instrument = s.instruments.get(command.set_fees.instrument)
    if instrument is None:
        return matching.Outcome(refusal=matching.REFUSAL_INSTRUMENT_UNKNOWN)
    if fee_wrong(new):
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    fees = [fee for fee in instrument.fees if fee.tier != new.tier] + [new]
    del instrument.fees[:]
    instrument.fees.extend(sorted(fees, key=lambda fee: fee.tier))
    s.state_instrument(instrument)
    return matching.Outcome()


# --- Guards, mark price, fee market ---------------------------------------------------------


def set_guards(s: State, command: matching.Command) -> matching.Outcome:
    guards = command.set_guards
    instrument = s.instruments.get(guards.instrument)
    if instrument is None:
        return matching.Outcome(refusal=matching.REFUSAL_INSTRUMENT_UNKNOWN)
    if guards_wrong(guards):
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    instrument.reference_ticks = guards.reference_ticks or instrument.reference_ticks
    instrument.static_band_ppm = guards.static_band_ppm
    instrument.dynamic_band_ppm = guards.dynamic_band_ppm
    instrument.volatility_auction_us = guards.volatility_auction_us
    s.state_instrument(instrument)
    return matching.Outcome()


def guards_wrong(guards: matching.SetGuards) -> bool:
    return (
        not 0 <= guards.reference_ticks <= CAP
        or guards.static_band_ppm > 1_000_000
        or guards.dynamic_band_ppm > 1_000_000
        or not 0 <= guards.volatility_auction_us <= DAY_US
    )


def set_mark(s: State, command: matching.Command) -> matching.Outcome:
    price_ticks = command.set_mark.price_ticks
    instrument = s.instruments.get(command.set_mark.instrument)
    if instrument is None:
        return matching.Outcome(refusal=matching.REFUSAL_INSTRUMENT_UNKNOWN)
    if not 1 <= price_ticks <= CAP:
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    instrument.mark_price_ticks = price_ticks
    s.state_instrument(instrument)
    price_event(s, instrument.instrument, types.TRIGGER_BY_MARK_PRICE, price_ticks)
    return matching.Outcome()


def set_fee_market(s: State, command: matching.Command) -> matching.Outcome:
    wanted = command.set_fee_market
    instrument, at = s.instruments.get(wanted.instrument), s.instruments.get(wanted.fee_market)
    if instrument is None or (wanted.fee_market and at is None):
        return matching.Outcome(refusal=matching.REFUSAL_INSTRUMENT_UNKNOWN)
    if (at and at.quote_asset != instrument.quote_asset) or wanted.discount_ppm > 1_000_000:
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    instrument.fee_market = wanted.fee_market
    instrument.fee_discount_ppm = wanted.discount_ppm
    s.state_instrument(instrument)
    return matching.Outcome()


# --- Sizes, rules, clock --------------------------------------------------------------------


def set_sizes(s: State, command: matching.Command) -> matching.Outcome:
    new = command.set_sizes
    by_account = [order.account for order in s.orders.values()]
    in_use = matching.SetSizes(
        orders=len(s.orders),
        orders_per_account=max(map(by_account.count, set(by_account)), default=0),
        accounts=len(s.accounts),
        balances=len(s.balances),
        client_order_ids=len(s.names),
        client_order_id_memory_us=FIRST_SIZES.client_order_id_memory_us,
        sessions=len(s.sessions),
        instruments=len(s.instruments),
    )
    for size in matching.SetSizes.DESCRIPTOR.fields:
        least = max(1, getattr(in_use, size.name))
        if not least <= getattr(new, size.name) <= 16 * getattr(FIRST_SIZES, size.name):
            return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    s.sizes.CopyFrom(new)
    return matching.Outcome()


def use_rules(s: State, command: matching.Command) -> matching.Outcome:
    if command.use_rules.version < s.rules:
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    s.rules = command.use_rules.version
    return matching.Outcome()


def halt(s: State, command: matching.Command) -> matching.Outcome:
    if s.rules < 3:
        return matching.Outcome(refusal=matching.REFUSAL_RULES_TOO_OLD)
    if command.halt.sequence < s.resume_sequence:
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    s.halt_sequence = s.halt_sequence or s.sequence
    return matching.Outcome()


def resume(s: State, command: matching.Command) -> matching.Outcome:
    """It holds from the next record on."""
    if not s.halt_sequence or command.resume.sequence != s.halt_sequence:
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    s.resume_sequence = s.sequence
    return matching.Outcome()


def set_clock(s: State, command: matching.Command) -> matching.Outcome:
    s.clock_to_set_us = command.set_clock.time_us
    return matching.Outcome()
