"""What a trade costs each side, and in which asset."""

from typing import NamedTuple

from bourse.types import v1 as types
from tests.model.book import PPM, receives
from tests.model.state import FEES, State


class Charge(NamedTuple):
    """A fee in minor units; negative is a rebate. `asset` is 0 where it is what is received."""

    minor: int
    asset: int = 0


def charges(
    s: State, taker: types.Order, maker: types.Order, base: int, quote: int
) -> tuple[Charge, Charge]:
    """The fees of the taker and of the maker, decided before anything moves."""
    buys = taker.side == types.SIDE_BUY
    taker_pays = charge(s, taker, base if buys else quote, quote, rate(s, taker).taker_fee_ppm, 0)
    own = taker.account == maker.account and taker_pays.asset
    gone = taker_pays.minor if own else 0
    maker_ppm = rate(s, maker).maker_fee_ppm
    return taker_pays, charge(s, maker, quote if buys else base, quote, maker_ppm, gone)


def rate(s: State, order: types.Order) -> types.FeeRate:
    rates = {rate.tier: rate for rate in s.instruments[order.instrument].fees}
    return rates.get(s.accounts[order.account].fee_tier, rates[0])


def charge(s: State, order: types.Order, received: int, quote: int, ppm: int, gone: int) -> Charge:
    """Rounded up. A rebate is rounded down, at most what the fee account has.

    `gone` is what the same trade takes of the account's fee asset already.
    """
    if ppm < 0:
        chest = s.balance(FEES, receives(s, order)).available_minor
        return Charge(-min(received * -ppm // PPM, chest))
    asset, minor = in_fee_asset(s, order, quote, ppm)
    has = (order.account, asset) in s.balances
    if has and minor <= s.balance(order.account, asset).available_minor - gone:
        return Charge(minor, asset)
    return Charge(up(received * ppm, PPM))


def in_fee_asset(s: State, order: types.Order, quote: int, ppm: int) -> tuple[int, int]:
    """The asset and the amount, or nothing where the fee cannot be paid so."""
    instrument = s.instruments[order.instrument]
    at = s.instruments.get(instrument.fee_market)
    if not s.accounts[order.account].pays_fee_asset or not ppm or not at:
        return 0, 0
    traded = (instrument.base_asset, instrument.quote_asset)
    paid_before = order.other_fee_asset not in (0, at.base_asset)
    if not at.last_price_ticks or at.base_asset in traded or paid_before:
        return 0, 0
    value = up(quote * ppm * (PPM - instrument.fee_discount_ppm), PPM * PPM)
    price = at.last_price_ticks * at.tick_lot_minor
    return at.base_asset, up(value * at.lot_minor, price)


def up(above: int, below: int) -> int:
    """The quotient, rounded up."""
    return -(-above // below)
