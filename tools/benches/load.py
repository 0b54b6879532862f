"""An even load on order entry: batches when they are due, whatever became of those before."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

import grpc

from bourse.ledger import v1 as ledger
from bourse.matching import v1 as matching
from bourse.matching.v1 import rpc
from services.cli.rooms import Rooms
from tools.benches.market import BATCH as MARKET_BATCH
from tools.benches.market import BTC, USD, Trader
from tools.benches.shard import BATCH, Submit, batches, must_be_applied, send

ORDERS_OF_COMMANDS: Final = 5 / 8
"""The rest are cancels."""
ACCOUNTS: Final = 400
PURSE_MINOR: Final = 10**15
AT_ONCE: Final = 50

_SIZES: Final = matching.SetSizes(
    orders=1_048_576,
    orders_per_account=10_000,
    accounts=65_536,
    balances=262_144,
    client_order_ids=8_388_608,
    client_order_id_memory_us=120_000_000,
    sessions=256,
    instruments=1024,
)
"""As at the beginning, but with room for the names of more orders than in two minutes of load."""


class Traffic:
    """A session, accounts with money, a deep book, and batches made beforehand."""

    def __init__(self, rooms: Rooms, accounts: int) -> None:
        self._rooms = rooms
        self._accounts = accounts
        self._trader = Trader(named=True, accounts=accounts)
        self._batches: Iterator[bytes] = iter(())
        self._ready: deque[bytes] = deque()
        self.submit: Submit = rooms.channel("matching").stream_stream(
            f"/{rpc.ORDER_ENTRY_SERVICE}/Submit"
        )

    async def open(self) -> None:
        """Everything that comes before the load."""
        session = await self._open_session()
        for asset in (USD, BTC):
            await self._fund(asset, self._accounts * PURSE_MINOR)
        await self._deposit_all()
        deep = list(self._trader.beginning())
        self._batches = batches(
            (some for source in (deep, iter(self._trader.batch, None)) for some in source),
            2,
            session,
        )
        first = [self._sizes(session)]
        first += [next(self._batches) for _ in range(len(deep) * MARKET_BATCH // BATCH)]
        await send(self.submit, first)

    def make(self, count: int) -> None:
        """Have so many batches ready."""
        while len(self._ready) < count:
            self._ready.append(next(self._batches))

    def next(self) -> bytes:
        """The next batch; they are to be sent in this order."""
        return self._ready.popleft()

    async def _open_session(self) -> int:
        command = matching.Command(
            request_id=secrets.token_bytes(16), open_session=matching.OpenSession()
        )
        call = self.submit()
        await call.write(matching.SubmitRequest(commands=[command]).SerializeToString())
        answer = await call.read()
        assert isinstance(answer, bytes)
        await call.done_writing()
        return matching.SubmitResponse.FromString(answer).outcomes[0].created_id

    def _sizes(self, session: int) -> bytes:
        command = matching.Command(request_id=secrets.token_bytes(16), set_sizes=_SIZES)
        request = matching.SubmitRequest(session=session, number=1, commands=[command])
        return request.SerializeToString()

    async def _fund(self, asset: int, amount_minor: int) -> None:
        request = ledger.FundTreasuryRequest(
            request_id=secrets.token_bytes(16), asset=asset, amount_minor=amount_minor
        )
        await self._rooms.ledger.FundTreasury(request)

    async def _deposit_all(self) -> None:
        wanted = [
            (1000 + number, asset) for number in range(self._accounts) for asset in (USD, BTC)
        ]

        async def some() -> None:
            while wanted:
                account, asset = wanted.pop()
                request = ledger.CreateTransferRequest(
                    request_id=secrets.token_bytes(16),
                    account=account,
                    asset=asset,
                    amount_minor=PURSE_MINOR,
                )
                await self._rooms.ledger.CreateTransfer(request)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))


class EvenLoad:
    """Batches of a traffic at a rate. `oldest_s` says how long the oldest one waits."""

    def __init__(self, traffic: Traffic, orders_per_s: float) -> None:
        self._traffic = traffic
        self._per_s = orders_per_s / ORDERS_OF_COMMANDS / BATCH
        self._start = 0.0
        self._stop = asyncio.Event()
        self.sent = 0
        self.waits: list[float] = []
        """Seconds from due to answered, of each batch."""

    @property
    def oldest_s(self) -> float:
        """Since when the oldest batch that has no answer is due; 0 if there is none."""
        if not self._start:
            return 0.0
        due = self._start + len(self.waits) / self._per_s
        return max(time.perf_counter() - due, 0.0)

    def batches_in(self, seconds: float) -> int:
        """How many are due in a time."""
        return int(self._per_s * seconds)

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()

    async def run(self, count: int) -> None:
        """Send so many, or until told to stop; then wait for all answers."""
        call = self._traffic.submit()
        self._start = time.perf_counter()
        writing = asyncio.create_task(self._write(call, count))
        async for answer in call:
            due = self._start + len(self.waits) / self._per_s
            self.waits.append(time.perf_counter() - due)
            must_be_applied(answer, len(self.waits))
        await writing

    async def _write(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]", count: int) -> None:
        while self.sent < count and not self._stop.is_set():
            early = self._start + self.sent / self._per_s - time.perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            await call.write(self._traffic.next())
            self.sent += 1
        await call.done_writing()
