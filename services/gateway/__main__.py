"""The wiring of the gateway."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog
from aiohttp import web

from services.gateway import documents
from services.gateway.auth import Gatekeeper
from services.gateway.config import GatewayConfig
from services.gateway.entry import OrderEntry
from services.gateway.feeds import MarketFeed
from services.gateway.health import Rooms
from services.gateway.keys import KeyRing
from services.gateway.markets import Markets
from services.gateway.private import PrivateFeed
from services.gateway.reads import Reads
from services.gateway.rest import PREFIX, Edge, Route
from services.gateway.rest_account import AccountRoutes
from services.gateway.rest_orders import Orders
from services.gateway.rest_public import PublicRoutes
from services.gateway.ws import Sockets
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.main import launch, run
from services.runtime.rpc import AddressError, Health, open_channel, serve
from services.runtime.telemetry import start_telemetry

ROOMS: Final = ("matching", "ledger", "orders", "marketdata", "notifications", "accounts")
STOP_S: Final = 5.0
"""Requests under way have this long to be answered once the gateway is told to stop."""

_log = structlog.get_logger("gateway")
_quiet = logging.getLogger("gateway.http")
_quiet.setLevel(logging.CRITICAL)


class Gateway:
    """Everything the gateway is made of, wired but not yet running."""

    def __init__(self, config: GatewayConfig) -> None:
        clock = SystemClock()
        self._config = config
        self.channels = {room: open_channel(_first(config.address_of(room))) for room in ROOMS}
        replicas = [open_channel(one) for one in config.address_of("matching").split(",")]
        self.entry = OrderEntry(replicas, clock, config.waiting_commands)
        self.keys = KeyRing(self.channels["accounts"])
        self.markets = Markets(self.channels["matching"])
        self.reads = Reads(self.markets, self.channels["matching"], self.channels["orders"], clock)
        self.feed = MarketFeed(self.channels["marketdata"], self.markets)
        self.private = PrivateFeed(self.channels["notifications"], self.markets, self.reads)
        gatekeeper = Gatekeeper(self.keys, clock, config.requests_per_second)
        self.edge = Edge(gatekeeper, self._token)
        self.sockets = Sockets(config, clock, gatekeeper, self.feed, self.private)
        self.keys.on_revoked = self.sockets.revoked
        heard = {"marketdata": lambda: self.feed.live}
        self.rooms = Rooms(self.channels, self._takes_orders, heard)
        public = PublicRoutes(self.markets, self.reads, self.feed, self.rooms.health, clock)
        self.routes: Sequence[Route] = (
            *Orders(self.entry, self.markets, self.reads).routes(),
            *AccountRoutes(self.entry, self.markets, self.reads).routes(),
            *public.routes(),
        )

    def _token(self, sequence: int) -> str:
        """X-Bourse-Sequence: all that this gateway has answered, and what this answer has seen."""
        return f"{self.markets.shard}:{max(sequence, self.entry.answered_sequence)}"

    def _takes_orders(self) -> bool:
        return self.entry.open and self.keys.trusted

    @property
    def is_ready(self) -> bool:
        """Whether everything has been heard that is needed to serve."""
        return self._takes_orders() and self.markets.known

    def application(self) -> web.Application:
        """The public HTTP face."""
        limit = self._config.body_bytes
        application = web.Application(middlewares=[self.edge.middleware], client_max_size=limit)
        for route in self.routes:
            application.router.add_route(route.method, route.path, self.edge.serve(route))
        application.router.add_get("/ws", self.sockets.handle, allow_head=False)
        written: Mapping[str, documents.Json] = {
            "openapi": documents.openapi(self.routes),
            "asyncapi": documents.asyncapi(),
        }
        for name, document in written.items():
            handler = _fixed(msgspec.json.encode(document))
            application.router.add_get(f"{PREFIX}/{name}.json", handler, allow_head=False)
        return application

    async def serve_public(self) -> None:
        """Serve HTTP until cancelled; then tell the sockets, and answer what is under way."""
        runner = web.AppRunner(
            self.application(),
            access_log=None,
            shutdown_timeout=STOP_S,
            # What is signed is the body as sent, and a packed one could be any size.
            auto_decompress=False,
            # aiohttp would write a trace for each line of garbage that somebody sends.
            logger=_quiet,
        )
        await runner.setup()
        host, port = self._config.host, self._config.port
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise AddressError(
                f"{host}:{port} cannot be listened on: {os.strerror(error.errno or 0).lower()}."
                " Stop what is there, or choose another port with --port."
            ) from None
        _log.info("listening", address=runner.addresses[0])
        try:
            await asyncio.Event().wait()
        finally:
            self.edge.closing = True
            await self.sockets.stop()
            await runner.cleanup()

    async def become_ready(self, health: Health) -> None:
        """Say that we serve, once everything needed has been heard."""
        # Several rooms have to be heard, none of which knows that we wait.
        while not self.is_ready:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await health.serving(True)


def _first(address: str) -> str:
    """Reads go to the first replica."""
    return address.split(",")[0]


def _fixed(body: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return handle


async def main() -> None:
    config = load(GatewayConfig)
    telemetry = start_telemetry("gateway", config.telemetry)
    gateway, health = Gateway(config), Health()
    telemetry.count("waiting_commands", lambda: gateway.entry.waiting)
    telemetry.count("sockets", lambda: gateway.sockets.count)
    await run(
        gateway.serve_public(),
        serve(config.listen_address(), health=health),
        gateway.become_ready(health),
        gateway.entry.serve(),
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
