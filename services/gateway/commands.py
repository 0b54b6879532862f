"""What all routes that send a command have in common: asking, and saying what became of it."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Final

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.domain import ids
from services.domain.instruments import Market
from services.gateway import problems, shapes, translate
from services.gateway.funds import Funds
from services.gateway.markets import Markets
from services.gateway.problems import Problem, invalid
from services.gateway.reads import OrderName, Reads
from services.gateway.rest import Ask, number
from services.gateway.shards import Sequences, Shard, Shards
from services.gateway.state import Answered

GONE = (matching.REFUSAL_ORDER_UNKNOWN, matching.REFUSAL_ORDER_ENDED)
"""Refusals of what names an order that does not stand."""

EVERY = (
    "rules_too_old",
    "shard_halted",
    "expired_in_transit",
    "engine_refused",
    "outcome_unknown",
)
"""Codes that any command may be answered with."""

PLACING = (
    *EVERY,
    "instrument_unknown",
    "client_order_id_reused",
    "account_suspended",
    "too_many_commands",
    "market_not_open",
    "expiry_passed",
    "quantity_too_small",
    "quantity_too_large",
    "notional_too_small",
    "notional_too_large",
    "price_outside_band",
    "would_trigger",
    "too_many_open_orders",
    "capacity_full",
    "post_only_would_trade",
    "insufficient_balance",
    "price_off_tick",
    "quantity_off_lot",
)
"""Codes of what places an order."""

_UNKNOWN: Final = 504
_IN_PART: Final = "It was done in part, and the rest was not accepted. Ask again: twice is once."
_PERHAPS_ALL: Final = "It was done in part, and perhaps in the rest. Ask again: twice is once."


class Commands:
    """Sends commands in the name of those who ask. Every method may raise Problem."""

    def __init__(self, shards: Shards, markets: Markets, reads: Reads, funds: Funds) -> None:
        self._shards = shards
        self._markets = markets
        self._reads = reads
        self._funds = funds

    async def ask(self, ask: Ask, shard: Shard, **kind: object) -> Answered:
        """Send one command in the name of who asked. Raises Problem if it was not decided."""
        assert ask.caller is not None, "the route is private"
        command = matching.Command(
            request_id=ask.request_id,
            account=ask.account,
            valid_until_us=ask.caller.valid_until_us,
            **kind,  # type: ignore[arg-type]  # one of the oneof, named by who calls
        )
        answer = await shard.entry.ask(command)
        if not isinstance(answer, Answered):
            raise problems.undecided(answer)
        return answer

    async def order(
        self, ask: Ask, market: Market, sides: Sequence[int], **kind: object
    ) -> Answered:
        """Send a command with orders of these sides of a market, which may need money.

        Where the money is in another shard it is brought here, and the same is asked again: what
        was refused has left nothing behind. Raises Problem as `ask` does, and if the money is not
        there in time.
        """
        assert ask.caller is not None, "the route is private"
        shard = self._shards.of(market.id)
        answer = await self.ask(ask, shard, **kind)
        if not (self._shards.is_several and _is_short(answer)):
            return answer
        need = self._funds.need(ask.account, shard, ask.caller.valid_until_us)
        while _is_short(answer):
            asset = market.asset_given(sides[max(answer.outcome.member, 1) - 1])
            elsewhere = await self._funds.bring(need, asset.asset, answer)
            if elsewhere is not None:
                raise problems.short(answer.outcome, market, asset, elsewhere)
            answer = await self.ask(ask, shard, **kind)
        return answer

    async def cancel(self, ask: Ask, name: OrderName) -> tuple[matching.Outcome, Sequences]:
        """End an open order; how it ended, and what that was true at.

        By name, of several shards it is asked of the one where the order stands. Where none stands
        it may be on its way: each is asked, for only what it decides is certain.
        """
        shards = [self._shards.of(name.order_id)]
        wanted = name
        if self._shards.is_several and not name.order_id:
            known = await self._reads.known(ask.account, name, self.after(ask))
            shards = list(self._shards)
            if known.standing is not None:
                wanted = OrderName(known.standing.order_id)
                shards = [self._shards.of(wanted.order_id)]
        cancel = matching.CancelOrder(**wanted._asdict())
        asked = (self.ask(ask, shard, cancel_order=cancel) for shard in shards)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        at: dict[int, int] = {}
        failures: list[BaseException] = []
        for shard, answer in zip(shards, answers, strict=True):
            failure = _failure(answer)
            if isinstance(answer, BaseException):
                failures.append(answer)
                continue
            at[shard.number] = answer.sequence
            if failure is None:
                return answer.outcome, at
            if answer.outcome.refusal not in GONE:
                failures.append(failure)
        raise _worst(failures) if failures else await self.gone(ask.account, name, at)

    def at(self, number: int, answer: Answered) -> Sequences:
        """Where the shard of an id stood when it answered."""
        return self._shards.at(number, answer.sequence)

    async def gone(
        self, account: int, name: OrderName, after: Sequences, member: int = 0
    ) -> Problem:
        """What is said of an order that does not stand: 409 if it was the account's, else 404."""
        past = await self._reads.past_order(account, name, after)
        if past is None or past.state in ("open", "waiting"):
            return Problem("order_unknown", member=member)
        return Problem("order_ended", f"The order is {past.state}.", order=past, member=member)

    def taken(
        self, answer: Answered, market: Market, order: types.Order | None = None
    ) -> shapes.Order:
        """An order after a command that may have traded, with what it traded: the answer's own."""
        order = order or answer.outcome.order
        asset = self._markets.asset
        fills = translate.taken(answer.trades, market, order, answer.time_us, asset)
        other = asset(order.other_fee_asset) if order.other_fee_asset else None
        return translate.order(order, market, asset(order.fee_asset), fills, other)

    def after(self, ask: Ask) -> Sequences:
        """Reads see your writes: after all that this gateway has answered, and what was named."""
        return self._shards.after(ask.after)


async def all_done(asked: Iterable[Awaitable[Answered]]) -> list[Answered]:
    """The answers to commands that are one deed, asked side by side; each is decided for itself.

    Raises Problem if one did not do it, once all have answered; it says so where others have.
    """
    answers = await asyncio.gather(*asked, return_exceptions=True)
    failures = [failure for answer in answers if (failure := _failure(answer)) is not None]
    if not failures:
        return [answer for answer in answers if isinstance(answer, Answered)]
    worst = _worst(failures)
    is_in_part = len(failures) < len(answers)
    if is_in_part and isinstance(worst, Problem):
        detail = _PERHAPS_ALL if worst.kind.status == _UNKNOWN else _IN_PART
        raise Problem(worst.code, detail, headers=worst.headers) from worst
    raise worst


def _failure(answer: Answered | BaseException) -> BaseException | None:
    """Why a command was not done; None if it was."""
    if isinstance(answer, BaseException):
        return answer
    return problems.refused(answer.outcome, None) if answer.outcome.refusal else None


def _worst(failures: Sequence[BaseException]) -> BaseException:
    """Which failure is the answer: that something may have happened goes before that it did not."""
    return min(failures, key=lambda one: isinstance(one, Problem) and one.kind.status != _UNKNOWN)


def _is_short(answer: Answered) -> bool:
    return answer.outcome.refusal == matching.REFUSAL_INSUFFICIENT_BALANCE


def default_id(ask: Ask) -> str:
    """The name of an order that was sent without one: the same signed bytes are one order."""
    assert ask.caller is not None, "the route is private"
    return f"sig-{ask.caller.signature[:32]}"


def named(ask: Ask) -> OrderName:
    """The order that the path names. Raises Problem."""
    client_order_id = ask.path.get("client_order_id")
    if client_order_id is None:
        return OrderName(number(ask.path["order_id"], "/order_id"))
    if not ids.is_client_order_id(client_order_id):
        raise invalid("/client_order_id", "It is not 1..36 of A-Z a-z 0-9 . _ : -.")
    return OrderName(0, client_order_id)
