"""An order of which nobody can say at first what became of it."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.journey.client import Answer
from tests.journey.contract.exchange import LIMIT, PREFIX, Exchange, Floor, Trader, as_json, told
from tests.journey.house import pids


@contextmanager
def held_up(pid: int) -> Iterator[None]:
    """A process that stands still for as long as the block lasts."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _final(trader: Trader, path: str) -> Answer:
    """What is said of an order once something is said of it."""
    while (answer := await trader.ask("GET", path)).status == 503:
        pass
    return answer


def test_an_order_that_got_no_answer_is_decided_a_second_after_its_deadline(
    exchange: Exchange,
) -> None:
    async def story(floor: Floor) -> None:
        alice, before = floor.alice, await floor.alice.funds()
        order = {**LIMIT, "client_order_id": "undecided"}
        path = "/orders/by-client-id/undecided"
        matching = pids(exchange.operator("status"))["matching"]
        with held_up(matching):
            asked = alice.send("POST", f"{PREFIX}/orders", as_json(order), window_ms=1000)
            seen = alice.ask("GET", path)
            unknown, early = await asyncio.gather(asked, seen)
            assert told(unknown) == (504, "outcome_unknown")
            assert told(early) == (503, "lagging"), "until then a 404 would not be final"
            assert unknown.headers["X-Bourse-Sequence"]
        assert told(await _final(alice, path)) == (404, "order_unknown")
        assert await alice.funds() == before
        placed = await alice.ask("POST", "/orders", order)
        assert told(placed) == (201, ""), "with the same id it is safe to ask again"
        repeated = await alice.ask("POST", "/orders", order)
        assert (repeated.status, repeated.body["order_id"]) == (200, placed.body["order_id"])

    exchange.tell(story)
