"""Money in and out, and what operators may change."""

import re
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.book import Reasons, first
from tests.model.state import CAP, FEES, FIRST_SIZES, IDS, State

PHASES: Final = (
    types.PHASE_CONTINUOUS,
    types.PHASE_HALT,
    types.PHASE_POST_ONLY,
    types.PHASE_CANCEL_ONLY,
)


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
    new.last_price_ticks = 0
    for older in s.instruments.values():
        if older.symbol == new.symbol and older.phase != types.PHASE_CANCEL_ONLY:
            older.phase = types.PHASE_CANCEL_ONLY
            state_instrument(s, older)
    s.instruments[new.instrument] = new
    s.books[new.instrument, types.SIDE_BUY] = []
    s.books[new.instrument, types.SIDE_SELL] = []
    state_instrument(s, new)
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
        or new.phase not in PHASES
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


def set_phase(s: State, command: matching.Command) -> matching.Outcome:
    instrument = s.instruments.get(command.set_phase.instrument)
    if instrument is None:
        return matching.Outcome(refusal=matching.REFUSAL_INSTRUMENT_UNKNOWN)
    if command.set_phase.phase not in PHASES:
        return matching.Outcome(refusal=matching.REFUSAL_PHASE_FORBIDS_IT)
    instrument.phase = command.set_phase.phase
    state_instrument(s, instrument)
    return matching.Outcome()


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
    state_instrument(s, instrument)
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
    state_instrument(s, instrument)
    return matching.Outcome()


def state_instrument(s: State, instrument: types.Instrument) -> None:
    s.record.instruments.add(command=s.command, instrument=instrument)


# --- Accounts, sizes, rules, clock ----------------------------------------------------------


def set_account(s: State, command: matching.Command) -> matching.Outcome:
    if command.set_account.fee_tier > 15:
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    if command.account not in s.accounts and len(s.accounts) >= s.sizes.accounts:
        return matching.Outcome(refusal=matching.REFUSAL_CAPACITY_FULL)
    settings = s.meet(command.account)
    settings.CopyFrom(command.set_account)
    if not settings.self_trade_prevention:
        settings.self_trade_prevention = types.SELF_TRADE_PREVENTION_CANCEL_TAKER
    s.record.accounts.add(
        command=s.command,
        account=command.account,
        fee_tier=settings.fee_tier,
        self_trade_prevention=settings.self_trade_prevention,
        suspended=settings.suspended,
    )
    return matching.Outcome()


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


def set_clock(s: State, command: matching.Command) -> matching.Outcome:
    s.clock_to_set_us = command.set_clock.time_us
    return matching.Outcome()
