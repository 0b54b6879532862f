"""One order a request over REST: signed, on connections that stay, beside a bare echo.

A whole house, no demo. Each connection sends its next order when the last was answered; half of
them sell and half of them buy at one price, so that every other order trades. The echo server gets
the very same requests from the same client in the same run: what it takes is aiohttp's and the
client's own.
"""

import asyncio
import contextlib
import json
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

import uvloop

from bourse.accounts import v1 as accounts
from bourse.ledger import v1 as ledger
from services.cli.edge import Credentials
from services.cli.key import new_key
from services.cli.rooms import Rooms
from services.domain import signing
from tools.benches.market import BTC, USD
from tools.benches.running import cores, house, rooms_of, state_of, usage
from tools.benches.shape import Asked, Figures, grouped, quantile_ms
from tools.benches.shard import ROOT

RUNS: Final = 5
RUN_S: Final = 4.0
CONNECTIONS: Final = 32
KEYS: Final = 8
"""A key may make 1,000 requests a second."""
PURSE_MINOR: Final = 10**14
NEEDED: Final = ("matching", "ledger", "accounts", "gateway")
TARGET: Final = "/api/v1/orders"
WARM_S: Final = 0.3


class Run(NamedTuple):
    """What one server did for a while."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float


def measure(asked: Asked) -> Figures:
    """Requests a second and how long one takes, of the gateway and of the echo."""
    runs = asked.runs_or(RUNS)
    seconds = asked.seconds or (0.2 if asked.quick else RUN_S)
    with house() as data, echo_server() as port:
        found, used = uvloop.run(_bench(data, port, runs, seconds))
    figures: Figures = {"runs": runs, "connections": CONNECTIONS, "keys": KEYS}
    for name, all_runs in found.items():
        for place, what in enumerate(Run._fields):
            median = statistics.median(run[place] for run in all_runs)
            figures[f"{name}_{what}"] = round(median, 2 if "ms" in what else None)
    rates = [round(run.requests_per_s) for run in found["rest"]]
    return figures | {"rest_requests_per_s_of_runs": rates, "cpu_us_a_request": used}


def say(figures: Figures) -> list[str]:
    """What came out, for people."""
    rest, echo = figures["rest_requests_per_s"], figures["echo_requests_per_s"]
    by_size = sorted(figures["cpu_us_a_request"].items(), key=lambda item: -item[1])
    used = ", ".join(f"{name} {cpu_us}" for name, cpu_us in by_size)
    return [
        f"{grouped(rest)} orders/s, one a request, on {CONNECTIONS} connections: p50"
        f" {figures['rest_p50_ms']} ms, p99 {figures['rest_p99_ms']} ms.",
        f"A bare aiohttp echo of the same requests in the same run: {grouped(echo)}/s, p50"
        f" {figures['echo_p50_ms']} ms, p99 {figures['echo_p99_ms']} ms."
        f" The gateway and all that follows is {rest / echo:.0%} of it.",
        f"Microseconds of CPU a request: {used}.",
    ]


@contextlib.contextmanager
def echo_server() -> Iterator[int]:
    """The port of an echo server."""
    command = [sys.executable, "-m", "tools.benches.echo"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        try:
            yield int(started.stdout.readline())
        finally:
            started.terminate()


async def _bench(
    data: Path, echo_port: int, runs: int, seconds: float
) -> tuple[dict[str, list[Run]], dict[str, int]]:
    """All runs, and the microseconds of CPU a request took of each process in the last of them."""
    found: dict[str, list[Run]] = {"rest": [], "echo": []}
    async with rooms_of(data, NEEDED) as rooms:
        rooms.url = state_of(data)["url"]
        keys = [await _customer(rooms, number) for number in range(KEYS)]
        gateway_port = urlsplit(rooms.url).port
        assert gateway_port is not None, "the address of a house has its port"
        for port in (echo_port, gateway_port):
            await run_clients(port, keys, WARM_S)
        for _ in range(runs):
            found["echo"].append(await run_clients(echo_port, keys, seconds))
            before = await usage(data)
            found["rest"].append(await run_clients(gateway_port, keys, seconds))
            after = await usage(data)
    requests = found["rest"][-1].requests_per_s * (after.when_s - before.when_s)
    span_us = (after.when_s - before.when_s) * 1e6
    used = {name: share * span_us / requests for name, share in cores(before, after).items()}
    return found, {name: round(cpu_us) for name, cpu_us in used.items() if cpu_us >= 1}


async def _customer(rooms: Rooms, number: int) -> Credentials:
    """An account with money, and its key."""
    request = accounts.CreateAccountRequest(
        request_id=secrets.token_bytes(16), name=f"bench-{number}"
    )
    account = (await rooms.accounts.CreateAccount(request)).account.account
    for asset in (USD, BTC):
        transfer = ledger.CreateTransferRequest(
            request_id=secrets.token_bytes(16),
            account=account,
            asset=asset,
            amount_minor=PURSE_MINOR,
        )
        await rooms.ledger.CreateTransfer(transfer)
    return await new_key(rooms, account, [accounts.SCOPE_READ, accounts.SCOPE_TRADE])


async def run_clients(port: int, keys: list[Credentials], seconds: float) -> Run:
    """What a server takes for a while, from so many connections."""
    loop = asyncio.get_running_loop()
    clients = []
    for number in range(CONNECTIONS):
        make = partial(Client, keys[number % KEYS], number)
        _, client = await loop.create_connection(make, "127.0.0.1", port)
        clients.append(client)
    start = time.perf_counter()
    for client in clients:
        client.send()
    await asyncio.sleep(seconds)
    for client in clients:
        client.last = True
    await asyncio.gather(*(client.ended for client in clients))
    took_s = time.perf_counter() - start
    waits = [wait for client in clients for wait in client.waits]
    return Run(len(waits) / took_s, quantile_ms(waits, 0.50), quantile_ms(waits, 0.99))


class Client(asyncio.Protocol):
    """A connection that sends an order as soon as the one before was answered."""

    def __init__(self, key: Credentials, number: int) -> None:
        self._key = key
        self._name = f"{secrets.token_hex(4)}-{number}-"
        # Keys of even number sell and the others buy, so nobody meets an order of their own.
        self._side = "buy" if number % 2 else "sell"
        self._transport: asyncio.Transport | None = None
        self._had = b""
        self._sent_s = 0.0
        self.waits: list[float] = []
        """Seconds from sent to answered, of each request."""
        self.last = False
        """Send no more once this one is answered."""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast(asyncio.Transport, transport)

    def send(self) -> None:
        """Sign and send the next order."""
        order = {
            "instrument": "BTC-USD",
            "side": self._side,
            "price": "500",
            "quantity": "0.001",
            "client_order_id": f"{self._name}{len(self.waits)}",
        }
        body = json.dumps(order).encode()
        signed = signing.headers(
            self._key.key, self._key.secret, "POST", TARGET, body, time.time_ns() // 1_000_000
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        text = (
            f"POST {TARGET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{head}\r\n"
        )
        assert self._transport is not None, "connected before anything is sent"
        self._sent_s = time.perf_counter()
        self._transport.write(text.encode() + body)

    def data_received(self, data: bytes) -> None:
        """Take an answer, and go on when it is whole."""
        self._had += data
        head, found, body = self._had.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length: ")[1].split()[0]):
            return
        self.waits.append(time.perf_counter() - self._sent_s)
        if not head.startswith(b"HTTP/1.1 201"):
            problem = RuntimeError(f"This measures something else: {self._had.decode()}")
            self.ended.set_exception(problem)
            return
        self._had = b""
        if not self.last:
            self.send()
            return
        assert self._transport is not None
        self._transport.close()
        self.ended.set_result(None)
