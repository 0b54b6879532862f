"""`bourse up`: the whole exchange in the foreground, until Ctrl-C."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import grpc
import typer

from bourse.marketdata import v1 as marketdata
from services.cli.bootstrap import bootstrap
from services.cli.child import Severity
from services.cli.edge import ask
from services.cli.folder import (
    KAFKA,
    Birth,
    birth_of,
    claimed,
    complete,
    open_folder,
    read_birth,
)
from services.cli.house import House, Wanted
from services.cli.probes import any_free_port, port_is_free
from services.cli.replicas import MOST, MOST_SHARDS, place_shards, shards_asked_for
from services.cli.rooms import Markets, Rooms, read_markets
from services.cli.rules import advice, rules_in_force
from services.cli.screen import Screen
from services.cli.settle import settle
from services.cli.status import read_status, status_table
from services.cli.stores import have_kafka, prepared_kafka
from services.cli.terminal import DEFAULT_DATA, DataFolder, Refused, out, perform, sentence
from services.runtime.config import ROOMS, Settings, load
from services.runtime.embedded import EmbeddedError

T = TypeVar("T")

LOOK_S: Final = 2.0
"""How often the table's figures are asked for while somebody watches."""

AGAIN_S: Final = 0.5
LOOK_AGAIN_S: Final = 0.1


def up(
    data: DataFolder = DEFAULT_DATA,
    port: Annotated[
        int,
        typer.Option(envvar="BOURSE_GATEWAY_PORT", min=0, max=65535, help="0: any free one."),
    ] = 8080,
    host: Annotated[
        str, typer.Option(envvar="BOURSE_GATEWAY_HOST", help="Where the public API listens.")
    ] = "127.0.0.1",
    demo: Annotated[
        bool,
        typer.Option(
            "--demo/--no-demo",
            help="Let demo accounts trade. A folder made with --no-demo never has a demo.",
        ),
    ] = True,
    log: Annotated[
        Literal["postgres", "kafka"] | None,
        typer.Option(help="What keeps the log of a new folder; kafka needs Java 17."),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_SHARDS, help="Of matching. May be raised, never lowered."),
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Of each shard: with two, one may die at any time."),
    ] = None,
) -> None:
    """Run the whole exchange in the foreground; Ctrl-C stops it and loses nothing."""
    data = data.expanduser().resolve()
    perform(_up(data, host, port, demo, log or "", (shards, replicas)))


async def _up(
    data: Path,
    host: str,
    port: int,
    with_demo: bool,
    log: str,
    matching: tuple[int | None, int | None],
) -> None:
    shards, replicas = shards_asked_for(matching[0]), matching[1]
    with claimed(data):
        read_birth(data)
        port = _free_port(host, port)
        if log == KAFKA:
            have_kafka()
        place_shards(data, birth_of(data, with_demo, log, shards).shards, replicas)
        birth = open_folder(data, with_demo, log, shards)
        kafka = await asyncio.to_thread(prepared_kafka, data) if birth.log == KAFKA else ""
        wanted = Wanted(data, host, port, with_demo and birth.demo, birth.demo, kafka)
        config = load(Settings, ["--data", str(data)])
        rooms = Rooms(config)
        try:
            await _Run(wanted, birth, rooms).until_told()
        except EmbeddedError as error:
            raise Refused(str(error)) from error
        finally:
            await rooms.close()


def _free_port(host: str, port: int) -> int:
    try:
        if port == 0:
            return any_free_port(host)
        if port_is_free(host, port):
            return port
    except OSError as error:
        raise Refused(f"{host} is no address of this machine ({error.strerror}).") from None
    raise Refused(
        f"Port {port} on {host} is in use. End what listens there, or choose another:"
        f" `bourse up --port {port + 1 if port < 65535 else port - 1}`."
    )


class _Run:
    """One `bourse up`, from the first line to the last."""

    def __init__(self, wanted: Wanted, birth: Birth, rooms: Rooms) -> None:
        self._wanted = wanted
        self._birth = birth
        self._rooms = rooms
        self._screen = Screen(out)
        self._house = House(wanted, rooms, self._screen.line)
        self._began_us = time.time_ns() // 1000
        self._figures: dict[str, Any] = {}
        self._told = asyncio.Event()

    async def until_told(self) -> None:
        """Start, stay up until a signal, stop. Raises Refused or EmbeddedError if it cannot."""
        self._screen.line("bourse", f"starting in {self._wanted.data}")
        self._say_demo()
        with self._signals(), self._screen.showing(self._draw):
            try:
                await self._up_and_told()
            finally:
                self._screen.line("bourse", "stopping; Ctrl-C again ends everything at once")
                await self._house.stop()
        self._screen.line("bourse", "stopped. Nothing is lost; `bourse up` goes on from here.")

    async def _up_and_told(self) -> None:
        """All that goes on while the house is up. Ends with the signal, or with a failure."""
        told = asyncio.create_task(self._told.wait())
        async with _tasks(
            self._start(), self._watch_ends(), self._watch_fills(), self._look()
        ) as tasks:
            waiting: set[asyncio.Task[Any]] = {*tasks, told}
            while told in waiting:
                done, waiting = await asyncio.wait(waiting, return_when="FIRST_COMPLETED")
                for task in done:
                    task.result()

    async def _start(self) -> None:
        await self._house.start()
        await self._house.served(("matching", "ledger", "accounts"))
        await self._begin()
        await self._say_rules()
        self._house.start_demo()
        await self._house.served(("gateway",))
        self._screen.line("bourse", f"takes orders at {self._house.url}")
        await self._house.served(ROOMS)
        await self._whole()
        self._say_address()

    async def _whole(self) -> None:
        """Wait until the gateway sees every room too: only then is each answer to be had.

        A shard that is halted is no reason to wait for: it stays so until operators have seen
        to it.
        """
        while True:
            health = (await ask(self._house.url, "GET", "/api/v1/health")).body or {}
            halted, rooms = health.get("halted", []), health.get("rooms", {})
            if health.get("status") == "serving" or (halted and {*rooms.values()} == {"serving"}):
                break
            await asyncio.sleep(LOOK_AGAIN_S)
        for shard in halted:
            said = f"shard {shard} is halted: `bourse shard status --shard {shard}`"
            self._screen.line("matching", said, Severity.BAD)

    async def _begin(self) -> None:
        """The beginning of a new folder, or of shards it has got; again from the first step if a
        room dies meanwhile."""
        birth = self._birth
        added = range(birth.settled, birth.shards) if birth.complete else range(0)
        said = "made assets, BTC-USD and the treasury"
        if added:
            numbers = ", ".join(map(str, added))
            said = f"gave assets, rules and account settings to shard {numbers}"
        while not self._birth.complete or self._birth.settled < self._birth.shards:
            try:
                if added:
                    await settle(self._rooms, added, only_them=True)
                else:
                    await bootstrap(self._rooms)
                self._birth = complete(self._wanted.data, self._birth)
                self._screen.line("bourse", said, Severity.GOOD)
            except grpc.aio.AioRpcError as error:
                self._screen.line("bourse", sentence(error), Severity.BAD)
                await asyncio.sleep(AGAIN_S)

    async def _say_rules(self) -> None:
        """Say how to raise the rules, if they are old."""
        # A room that dies meanwhile is news of its own; it must not end the house.
        with contextlib.suppress(grpc.aio.AioRpcError):
            version = await rules_in_force(self._rooms)
            if said := advice(version):
                self._screen.line("bourse", f"trades by rules {version}. {said}")

    def _say_demo(self) -> None:
        if self._wanted.demo:
            self._screen.line("demo", "this is a demo: its accounts trade by themselves")
        elif self._birth.demo:
            said = "this folder was made with the demo; its accounts do not trade this time"
            self._screen.line("demo", said)

    def _say_address(self) -> None:
        url = self._house.url
        took_s = (time.time_ns() // 1000 - self._began_us) / 1e6
        self._screen.line("bourse", f"up after {took_s:.1f} s at {url}", Severity.GOOD)
        where = "" if self._wanted.data == Path("var").resolve() else f" --data {self._wanted.data}"
        self._screen.text(
            f"\n  curl -s '{url}/api/v1/orderbook/BTC-USD?depth=3'",
            f"  {_bourse()} account create alice{where}\n",
        )

    async def _watch_ends(self) -> None:
        """A room that would fail however often it is started ends everything: a person must look.

        Going on without it would be an exchange without its books, or with two of them.
        """
        while True:
            self._house.refuse_if_given_up()
            await asyncio.sleep(AGAIN_S)

    async def _watch_fills(self) -> None:
        """Say when the first order of this start has filled."""
        while True:
            # A room that is away is somebody else's news; it must not end the house.
            with contextlib.suppress(grpc.aio.AioRpcError, Refused):
                if trade := await self._first_trade():
                    what = _trade_text(await read_markets(self._rooms), trade)
                    break
            await asyncio.sleep(LOOK_AGAIN_S)
        took_s = (time.time_ns() // 1000 - self._began_us) / 1e6
        said = f"first order filled after {took_s:.1f} s: {what}"
        self._screen.line("market", said, Severity.GOOD)

    async def _first_trade(self) -> marketdata.PublicTrade | None:
        """The first trade since we began, in any shard; None if a stream of market data ends."""
        async with _tasks(*(self._first_of(shard) for shard in self._rooms.shards)) as watching:
            done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()

    async def _first_of(self, shard: int) -> marketdata.PublicTrade | None:
        call = self._rooms.marketdata.Watch(marketdata.WatchRequest(shard=shard))
        try:
            async for said in call:
                for trade in said.trades:
                    if trade.time_us >= self._began_us:
                        return trade
        finally:
            # A stream that is left open would keep market data from stopping at once.
            call.cancel()
        return None

    async def _look(self) -> None:
        """Keep the table's figures fresh while somebody watches."""
        while out.is_terminal:
            self._figures = await read_status(self._rooms, self._wanted.data)
            await asyncio.sleep(LOOK_S)

    def _draw(self) -> Any:
        """What runs as it is now, with the figures that were asked for last."""
        state = self._house.state()
        figures = {room["name"]: room for room in self._figures.get("rooms", [])}
        rooms = [{**figures.get(room["name"], {}), **room} for room in state["rooms"]]
        shards = self._figures.get("shards", [])
        return status_table({**state, "rooms": rooms, "shards": shards})

    @contextlib.contextmanager
    def _signals(self) -> Any:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self._told.is_set():
            self._house.kill()
        self._told.set()


def _bourse() -> str:
    """How the command is called in this shell: by its name, or by its path if it has to be."""
    called = sys.argv[0]
    return "bourse" if shutil.which("bourse") else os.path.relpath(called)


def _trade_text(markets: Markets, trade: marketdata.PublicTrade) -> str:
    market = markets.by_id.get(trade.instrument)
    if market is None:
        return f"instrument {trade.instrument}"
    quantity = market.quantity_text(trade.lots)
    return f"{market.symbol} {quantity} at {market.price_text(trade.price_ticks)}"


@asynccontextmanager
async def _tasks(*asked: Coroutine[Any, Any, T]) -> AsyncIterator[list[asyncio.Task[T]]]:
    """Tasks for as long as the block lasts."""
    tasks = [asyncio.create_task(each) for each in asked]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
