"""The wiring of the gateway."""

import asyncio
from typing import Final

import structlog
from aiohttp import web

from services.gateway.auth import Gatekeeper
from services.gateway.commands import Commands
from services.gateway.config import GatewayConfig
from services.gateway.feeds import MarketFeed
from services.gateway.funds import Funds
from services.gateway.health import Rooms
from services.gateway.keys import KeyRing
from services.gateway.listener import listening
from services.gateway.markets import Markets
from services.gateway.private import PrivateFeed
from services.gateway.reads import Reads
from services.gateway.rest import Edge
from services.gateway.rest_account import AccountRoutes
from services.gateway.rest_documents import DocumentRoutes
from services.gateway.rest_groups import Together
from services.gateway.rest_orders import Orders
from services.gateway.rest_public import PublicRoutes
from services.gateway.shards import Shards
from services.gateway.tokens import Tokens
from services.gateway.ws import Sockets
from services.runtime.choice import Choice
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.main import launch, run
from services.runtime.rpc import Health, serve
from services.runtime.telemetry import start_telemetry

ROOMS: Final = ("ledger", "orders", "marketdata", "notifications", "accounts")

ALL_SHARDS_S: Final = 10.0
"""A gateway that starts waits so long for all shards; then it serves those that are there."""

_log = structlog.get_logger("gateway")


class Gateway:
    """Everything the gateway is made of, wired but not yet running."""

    def __init__(self, config: GatewayConfig) -> None:
        clock = SystemClock()
        self._config = config
        matching = [config.address_of("matching", shard) for shard in range(config.shards)]
        self.shards = Shards(matching, clock, config.waiting_commands)
        self.channels = {shard.name: shard.replicas for shard in self.shards}
        self.channels |= {room: Choice(config.address_of(room)) for room in ROOMS}
        self.keys = KeyRing(self.channels["accounts"])
        self.markets = Markets(self.shards)
        self.reads = Reads(self.shards, self.markets, self.channels["orders"], clock)
        self.funds = Funds(self.shards, self.reads, self.channels["ledger"])
        self.feed = MarketFeed(self.shards, self.channels["marketdata"], self.markets)
        notifications = self.channels["notifications"]
        self.private = PrivateFeed(self.shards, notifications, self.markets, self.reads)
        gatekeeper = Gatekeeper(self.keys, clock, config.requests_per_second)
        self.edge = Edge(gatekeeper, Tokens(self.shards))
        self.sockets = Sockets(config, clock, gatekeeper, self.feed, self.private)
        self.keys.on_revoked = self.sockets.revoked
        heard = {"marketdata": lambda: self.feed.live}
        self.rooms = Rooms(self.channels, self.shards, self._takes_orders, heard)
        public = PublicRoutes(self.markets, self.reads, self.feed, self.rooms.health, clock)
        commands = Commands(self.shards, self.markets, self.reads, self.funds)
        described = (
            *Orders(self.shards, commands, self.markets, self.reads).routes(),
            *Together(self.shards, commands, self.markets, self.reads).routes(),
            *AccountRoutes(self.shards, commands, self.markets, self.reads, self.funds).routes(),
            *public.routes(),
        )
        self.routes = (*described, *DocumentRoutes(described, self.reads).routes())

    def _takes_orders(self) -> list[bool]:
        """Of each shard."""
        return [shard.entry.open and self.keys.trusted for shard in self.shards]

    def _is_ready(self) -> list[bool]:
        """Of each shard, whether everything has been heard that is needed to serve its markets."""
        takes = zip(self.shards, self._takes_orders(), strict=True)
        return [takes_orders and self.markets.has(shard) for shard, takes_orders in takes]

    def application(self) -> web.Application:
        """The routes of the public HTTP face."""
        application = web.Application(client_max_size=self._config.body_bytes)
        for route in self.routes:
            application.router.add_route(route.method, route.path, self.edge.serve(route))
        application.router.add_get("/ws", self._socket, allow_head=False)
        return application

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """A handshake is a GET like any other, until it is taken."""
        ask = await self.edge.admit(request)
        await self.reads.reach(ask.after)
        return await self.sockets.handle(request)

    async def serve_public(self) -> None:
        """Serve HTTP until cancelled; then tell the sockets, and answer what is under way."""
        host, port = self._config.host, self._config.port
        async with listening(self.application(), self.edge.guard, host, port) as address:
            _log.info("listening", address=address)
            try:
                await asyncio.Event().wait()
            finally:
                self.edge.closing = True
                await self.sockets.stop()

    async def become_ready(self, health: Health) -> None:
        """Say that we serve, once everything needed has been heard.

        A shard that is away does not keep those from trading that are there.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + ALL_SHARDS_S
        # Several rooms have to be heard, none of which knows that we wait.
        while not (all if loop.time() < until_s else any)(self._is_ready()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await health.serving(True)


async def main() -> None:
    config = load(GatewayConfig)
    telemetry = start_telemetry("gateway", config.telemetry)
    gateway, health = Gateway(config), Health()
    entries = [shard.entry for shard in gateway.shards]
    telemetry.count("waiting_commands", lambda: sum(entry.waiting for entry in entries))
    telemetry.count("sockets", lambda: gateway.sockets.count)
    await run(
        gateway.serve_public(),
        serve(config.listen_address(), health=health),
        gateway.become_ready(health),
        *(entry.serve() for entry in entries),
        gateway.keys.run(),
        gateway.markets.run(),
        gateway.feed.run(),
        gateway.feed.pace(),
        gateway.private.run(),
        gateway.sockets.sweep(),
        gateway.rooms.run(),
        telemetry=telemetry,
    )


if __name__ == "__main__":
    launch(main)
