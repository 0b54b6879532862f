"""Order entry against a real gRPC server on the other side of a socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.gateway.entry import OrderEntry
from services.gateway.state import Answered, Undecided
from services.runtime.choice import Choice
from services.runtime.rpc import raw_service, serve
from tests.services.gateway.world import story, until

Reply = Callable[[matching.SubmitRequest], matching.SubmitResponse | None]


class HandClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time_us = 0

    def now_us(self) -> int:
        return self.time_us


class Shard:
    """The far side: takes batches, keeps their bytes, and says what the story tells it to.

    A reply of None ends the stream without an answer to the batch.
    """

    def __init__(self, reply: "Reply | None" = None) -> None:
        self.reply = reply or applied
        self.streams = 0
        self.batches: list[bytes] = []
        self.held = asyncio.Event()
        self.held.set()

    async def submit(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        self.streams += 1
        async for encoded in requests:
            self.batches.append(encoded)
            await self.held.wait()
            answer = self.reply(matching.SubmitRequest.FromString(encoded))
            if answer is None:
                return
            yield answer.SerializeToString()

    def kinds(self) -> list[tuple[int, list[str | None]]]:
        """Number and kinds of commands of all batches."""
        parsed = [matching.SubmitRequest.FromString(encoded) for encoded in self.batches]
        return [(b.number, [c.WhichOneof("kind") for c in b.commands]) for b in parsed]


def applied(request: matching.SubmitRequest) -> matching.SubmitResponse:
    outcomes = [matching.Outcome(created_id=7) for _ in request.commands]
    return matching.SubmitResponse(
        session=request.session,
        number=request.number,
        status=matching.BATCH_STATUS_APPLIED,
        first_sequence=request.number * 100 + 1,
        outcomes=outcomes,
    )


@asynccontextmanager
async def served(shard: Shard, address: str) -> AsyncIterator[None]:
    service = raw_service(rpc.ORDER_ENTRY_SERVICE, {"Submit": shard.submit})
    serving = asyncio.create_task(serve(address, service))
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def entered(
    clock: HandClock, *addresses: str, renew_s: float = 300.0
) -> AsyncIterator[OrderEntry]:
    replicas = Choice(",".join(addresses))
    entry = OrderEntry(replicas, clock, capacity=100, renew_s=renew_s)
    running = asyncio.create_task(entry.run())
    try:
        yield entry
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await replicas.close()


def place(valid_until_us: int = 0) -> matching.Command:
    return matching.Command(
        valid_until_us=valid_until_us, place_order=matching.PlaceOrder(quantity_lots=1)
    )


def cancel() -> matching.Command:
    return matching.Command(cancel_order=matching.CancelOrder(order_id=1))


def test_what_is_asked_in_one_turn_goes_as_one_batch(tmp_path: Path) -> None:
    async def told() -> None:
        shard, address = Shard(), f"unix:{tmp_path}/shard.sock"
        async with served(shard, address), entered(HandClock(), address) as entry:
            await until(lambda: entry.open)
            answers = await asyncio.gather(*(entry.ask(place()) for _ in range(5)))
            assert [a.sequence for a in answers if isinstance(a, Answered)] == list(range(101, 106))
            assert entry.answered_sequence == 105
            assert shard.kinds() == [(0, ["open_session"]), (1, ["place_order"] * 5)]

    story(told)


def test_while_two_are_unanswered_it_gathers(tmp_path: Path) -> None:
    async def told() -> None:
        shard, address = Shard(), f"unix:{tmp_path}/shard.sock"
        async with served(shard, address), entered(HandClock(), address) as entry:
            await until(lambda: entry.open)
            shard.held.clear()
            asked = []
            for _ in range(6):
                asked.append(asyncio.create_task(entry.ask(place())))
                await asyncio.sleep(0.01)
            shard.held.set()
            await asyncio.gather(*asked)
            assert [(n, len(kinds)) for n, kinds in shard.kinds()[1:]] == [(1, 1), (2, 1), (3, 4)]

    story(told)


def test_a_lost_stream_sends_the_same_bytes_again(tmp_path: Path) -> None:
    async def told() -> None:
        address = f"unix:{tmp_path}/shard.sock"
        shard = Shard(lambda request: None if request.number == 1 else applied(request))
        async with served(shard, address), entered(HandClock(), address) as entry:
            await until(lambda: entry.open)
            asked = asyncio.create_task(entry.ask(place()))
            await until(lambda: shard.streams > 1 and len(shard.batches) > 2)
            shard.reply = applied
            assert isinstance(await asked, Answered)
            assert len(set(shard.batches[1:])) == 1, "nothing but that batch, until it is answered"

    story(told)


def test_another_replica_takes_over(tmp_path: Path) -> None:
    async def told() -> None:
        first, second = Shard(), Shard()
        addresses = [f"unix:{tmp_path}/{name}.sock" for name in "ab"]
        async with (
            served(second, addresses[1]),
            served(first, addresses[0]),
            entered(HandClock(), *addresses) as entry,
        ):
            await until(lambda: entry.open)
            first.reply = lambda request: None
            assert isinstance(await entry.ask(place()), Answered)
            assert [first.batches[-1]] == second.batches

    story(told)


def test_an_unanswered_command_is_unknown_a_second_after_its_deadline(tmp_path: Path) -> None:
    async def told() -> None:
        shard, address, clock = Shard(), f"unix:{tmp_path}/shard.sock", HandClock()
        async with served(shard, address), entered(clock, address) as entry:
            await until(lambda: entry.open)
            shard.held.clear()
            asked = asyncio.create_task(entry.ask(place(valid_until_us=5_000_000)))
            await until(lambda: len(shard.batches) == 2)
            clock.time_us = 6_000_000
            await asyncio.sleep(0.2)
            assert not asked.done()
            clock.time_us = 6_000_001
            assert await asked is Undecided.UNKNOWN
            shard.held.set()
            assert isinstance(await entry.ask(place()), Answered), "and the next one goes through"

    story(told)


def test_a_core_out_of_reach_takes_nothing(tmp_path: Path) -> None:
    async def told() -> None:
        async with entered(HandClock(), f"unix:{tmp_path}/nobody.sock") as entry:
            assert await entry.ask(place()) is Undecided.NOT_TAKEN
            assert not entry.open

    story(told)


def test_cancels_of_a_refused_batch_get_through(tmp_path: Path) -> None:
    def full(request: matching.SubmitRequest) -> matching.SubmitResponse:
        kinds = {command.WhichOneof("kind") for command in request.commands}
        if request.number and kinds != {"cancel_order"}:
            unavailable = matching.BATCH_STATUS_UNAVAILABLE
            return matching.SubmitResponse(
                session=request.session, number=request.number, status=unavailable
            )
        return applied(request)

    async def told() -> None:
        shard, address = Shard(full), f"unix:{tmp_path}/shard.sock"
        async with served(shard, address), entered(HandClock(), address) as entry:
            await until(lambda: entry.open)
            order, cancelled = await asyncio.gather(entry.ask(place()), entry.ask(cancel()))
            assert order is Undecided.NOT_TAKEN
            assert isinstance(cancelled, Answered)

    story(told)


def test_an_orderly_stop_answers_what_is_under_way_and_closes_the_session(tmp_path: Path) -> None:
    async def told() -> None:
        shard, address = Shard(), f"unix:{tmp_path}/shard.sock"
        async with served(shard, address), entered(HandClock(), address) as entry:
            await until(lambda: entry.open)
            shard.held.clear()
            asked = asyncio.create_task(entry.ask(place()))
            await until(lambda: len(shard.batches) == 2)
            stopping = asyncio.create_task(entry.stop())
            await asyncio.sleep(0)
            assert await entry.ask(place()) is Undecided.NOT_TAKEN
            shard.held.set()
            await stopping
            assert isinstance(await asked, Answered)
            assert shard.kinds()[-1] == (2, ["close_session"])

    story(told)


def test_an_idle_session_is_renewed_before_the_core_closes_it(tmp_path: Path) -> None:
    async def told() -> None:
        shard, address = Shard(), f"unix:{tmp_path}/shard.sock"
        async with served(shard, address), entered(HandClock(), address, renew_s=0.1) as entry:
            await until(lambda: len(shard.batches) >= 5)
            assert isinstance(await entry.ask(place()), Answered)
            first = [kinds for _, kinds in shard.kinds()[:3]]
            assert first == [["open_session"], ["close_session"], ["open_session"]]

    story(told)


def test_what_order_entry_fails_with_ends_the_gateway(tmp_path: Path) -> None:
    """A part that dies unseen would leave a gateway that answers 503 for ever."""

    class NoClock(HandClock):
        def now_us(self) -> int:
            raise OSError(28, "No space left on device")

    async def story() -> None:
        replicas = Choice(f"unix:{tmp_path}/nobody.sock")
        entry = OrderEntry(replicas, NoClock(), capacity=100)
        with pytest.raises(OSError, match="No space left"):
            await asyncio.wait_for(entry.serve(), 20)
        await replicas.close()

    asyncio.run(story())
