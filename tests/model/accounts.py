"""Settings of accounts, and how an account or a market is stopped."""

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from tests.model.auctions import sides
from tests.model.book import Reasons, first, put_phase
from tests.model.ends import close_all
from tests.model.orders import orders_of
from tests.model.phases import HALT
from tests.model.prices import in_order, watching
from tests.model.state import State

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


def set_account(s: State, command: matching.Command) -> matching.Outcome:
    if command.set_account.fee_tier > 15:
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    if no_room(s, command.account):
        return matching.Outcome(refusal=matching.REFUSAL_CAPACITY_FULL)
    settings = s.meet(command.account)
    settings.CopyFrom(command.set_account)
    if not settings.self_trade_prevention:
        settings.self_trade_prevention = types.SELF_TRADE_PREVENTION_CANCEL_TAKER
    state_account(s, command.account)
    return matching.Outcome()


def no_room(s: State, account: int) -> bool:
    return account not in s.accounts and len(s.accounts) >= s.sizes.accounts


def state_account(s: State, account: int) -> None:
    settings = s.accounts[account]
    s.record.accounts.add(
        command=s.command,
        account=account,
        fee_tier=settings.fee_tier,
        self_trade_prevention=settings.self_trade_prevention,
        suspended=settings.suspended,
        max_open_orders=settings.max_open_orders,
        max_commands_per_second=settings.max_commands_per_second,
        pays_fee_asset=settings.pays_fee_asset,
        dead_man_us=s.dead_man_us.get(account, 0),
    )


def set_dead_man(s: State, command: matching.Command) -> matching.Outcome:
    timeout_us = command.set_dead_man.timeout_us
    if timeout_us and not SECOND_US <= timeout_us <= DAY_US:
        return matching.Outcome(refusal=matching.REFUSAL_SETTING_INVALID)
    if no_room(s, command.account):
        return matching.Outcome(refusal=matching.REFUSAL_CAPACITY_FULL)
    s.meet(command.account)
    s.dead_man_us[command.account] = s.later(timeout_us) if timeout_us else 0
    state_account(s, command.account)
    return matching.Outcome()


# --- Stopping -------------------------------------------------------------------------------


def kill(s: State, command: matching.Command) -> matching.Outcome:
    if refusal := first(why_not_kill(s, command)):
        return matching.Outcome(refusal=refusal)
    if command.account:
        s.meet(command.account).suspended = True
        state_account(s, command.account)
        close_all(s, orders_of(s, command.account), types.END_REASON_BY_OPERATOR)
    else:
        instrument = s.instruments[command.kill.instrument]
        put_phase(s, instrument, HALT, 0)
        close_all(s, everything_in(s, instrument), types.END_REASON_BY_OPERATOR)
        close_all(s, list(s.queue), types.END_REASON_BY_OPERATOR)
    return matching.Outcome()


def why_not_kill(s: State, command: matching.Command) -> Reasons:
    unknown = not command.account and command.kill.instrument not in s.instruments
    yield unknown, matching.REFUSAL_INSTRUMENT_UNKNOWN
    full = command.account != 0 and no_room(s, command.account)
    yield full, matching.REFUSAL_CAPACITY_FULL


def everything_in(s: State, instrument: types.Instrument) -> list[types.Order]:
    """As it would trade, then as it would be triggered, then exits that wait to rest.

    Exits whose entries end by this come last: they are in the queue then.
    """
    number = instrument.instrument
    bids, asks = sides(s, instrument)
    orders = [*bids, *asks]
    for trigger_by in (types.TRIGGER_BY_LAST_PRICE, types.TRIGGER_BY_MARK_PRICE):
        for rise in (False, True):
            orders += in_order(s, watching(s, number, trigger_by), rise)
    exits = [s.orders[order_id] for order_id in sorted(s.dormant)]
    return orders + [o for o in exits if o.instrument == number and o.quantity_lots]
