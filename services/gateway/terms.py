"""R-SHAPE of what a plain limit or market order has not: triggers, an expiry, a tip, a minimum.

A plain order is recognised at little cost and has no terms. The rules are those that the engine's
codec keeps, so that a batch with an order in it that passed here is never refused as malformed.
"""

from typing import Final

from msgspec import UNSET, UnsetType

from services.domain import money, words
from services.domain.money import Plain
from services.gateway.shapes import FieldError, NewOrder
from services.gateway.translate import Terms, read_decimal

TRIGGERED: Final = frozenset({"stop", "stop_limit", "take_profit", "take_profit_limit"})
WAITING: Final = TRIGGERED | {"trailing_stop"}
LIMITED: Final = frozenset({"limit", "stop_limit", "take_profit_limit"})

NOT_DECIMAL: Final = "It is not a decimal above zero in plain notation that fits 64 bits."
_DECIMALS: Final = (
    "trigger_price",
    "trail",
    "activation_price",
    "display_quantity",
    "min_fill_quantity",
    "protection_price",
)


def are_there(order: NewOrder) -> bool:
    """Whether an order has any terms."""
    return not (
        order.trigger_price is UNSET
        and order.expires_us is UNSET
        and order.display_quantity is UNSET
        and order.min_fill_quantity is UNSET
        and order.protection_price is UNSET
        and order.trigger_by is UNSET
        and order.trail is UNSET
        and order.trail_ppm is UNSET
        and order.activation_price is UNSET
        and (order.type == "limit" or order.type == "market")
        and (order.time_in_force != "gtd" and order.time_in_force != "gfa")
    )


def read(order: NewOrder, quantity: Plain | None, wrong: list[FieldError]) -> Terms:
    """The terms of an order; what is no decimal, or more than its quantity, is added to `wrong`."""
    texts = {name: getattr(order, name) for name in _DECIMALS}
    read = {name: read_decimal(text) for name, text in texts.items() if isinstance(text, str)}
    wrong += [FieldError(f"/{name}", NOT_DECIMAL) for name, value in read.items() if value is None]
    least = read.get("min_fill_quantity")
    if least and quantity and money.exceeds(least, quantity):
        wrong.append(FieldError("/min_fill_quantity", "It is more than the quantity."))
    trigger_by, trail_ppm, expires_us = order.trigger_by, order.trail_ppm, order.expires_us
    return Terms(
        trigger_by=0 if isinstance(trigger_by, UnsetType) else words.TRIGGER_OF[trigger_by],
        trail_ppm=0 if isinstance(trail_ppm, UnsetType) else trail_ppm,
        expires_us=0 if isinstance(expires_us, UnsetType) else expires_us,
        **read,
    )


def missing(order: NewOrder) -> list[FieldError]:
    """Terms that its type or its time in force needs."""
    needs = (
        (
            order.type in TRIGGERED and order.trigger_price is UNSET,
            "/trigger_price",
            "An order of this type needs a price that triggers it.",
        ),
        (
            order.type == "trailing_stop" and order.trail is UNSET and order.trail_ppm is UNSET,
            "/trail",
            "A trailing stop needs a distance, trail or trail_ppm.",
        ),
        (
            order.time_in_force == "gtd" and order.expires_us is UNSET,
            "/expires_us",
            "A gtd order needs the time at which it ends.",
        ),
    )
    return [FieldError(pointer, detail) for needed, pointer, detail in needs if needed]


def contradictions(order: NewOrder) -> list[FieldError]:
    """Terms that do not go with the rest of the order."""
    return [*_of_waiting(order), *_of_resting(order)]


def _of_waiting(order: NewOrder) -> list[FieldError]:
    trailing = order.type == "trailing_stop"
    only_trailing = "Only a trailing_stop has it."
    rules = (
        (
            order.trigger_price is not UNSET and order.type not in TRIGGERED,
            "/trigger_price",
            "Only stop and take-profit orders have a price that triggers them.",
        ),
        (
            order.trigger_by is not UNSET and order.type not in WAITING,
            "/trigger_by",
            "Only an order that waits looks at a price.",
        ),
        (order.trail is not UNSET and not trailing, "/trail", only_trailing),
        (order.trail_ppm is not UNSET and not trailing, "/trail_ppm", only_trailing),
        (order.activation_price is not UNSET and not trailing, "/activation_price", only_trailing),
        (
            order.trail is not UNSET and order.trail_ppm is not UNSET,
            "/trail_ppm",
            "A trailing stop has a trail or a trail_ppm, not both.",
        ),
    )
    return [FieldError(pointer, detail) for broken, pointer, detail in rules if broken]


def _of_resting(order: NewOrder) -> list[FieldError]:
    limited, in_force = order.type in LIMITED, order.time_in_force
    rules = (
        (
            order.expires_us is not UNSET and in_force != "gtd",
            "/expires_us",
            "Only a gtd order ends at a time.",
        ),
        (
            in_force == "gfa" and order.type != "limit",
            "/time_in_force",
            "Only a limit order can be gfa.",
        ),
        (
            order.display_quantity is not UNSET and (not limited or in_force in ("ioc", "fok")),
            "/display_quantity",
            "Only an order that may rest can be shown in part.",
        ),
        (
            order.min_fill_quantity is not UNSET
            and (order.type != "limit" or order.post_only or in_force in ("fok", "gfa")),
            "/min_fill_quantity",
            "Only a limit order that may trade at once, and is not fok, has a least fill.",
        ),
        (
            order.protection_price is not UNSET and limited,
            "/protection_price",
            "A limit order is protected by its price.",
        ),
    )
    return [FieldError(pointer, detail) for broken, pointer, detail in rules if broken]
