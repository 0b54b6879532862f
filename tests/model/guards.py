"""Price bands: how far an order may be priced, and may trade, from where the market stands."""

from bourse.types import v1 as types
from tests.model.book import PPM
from tests.model.state import State


def reference_ticks(instrument: types.Instrument) -> int:
    """What the static band is around, and what an auction's price leans to; 0 if there is none."""
    return instrument.reference_ticks or instrument.last_price_ticks


def outside_static_band(s: State, order: types.Order) -> bool:
    """Its limit price is too far from the reference."""
    instrument = s.instruments[order.instrument]
    around, ppm = reference_ticks(instrument), instrument.static_band_ppm
    away = abs(order.price_ticks - around)
    return bool(order.price_ticks and around and ppm) and away > around * ppm // PPM


def outside_dynamic_band(s: State, maker: types.Order) -> bool:
    """To trade with this resting order is too far from the last price."""
    instrument = s.instruments[maker.instrument]
    around, ppm = instrument.last_price_ticks, instrument.dynamic_band_ppm
    return bool(around and ppm) and abs(maker.price_ticks - around) > around * ppm // PPM
