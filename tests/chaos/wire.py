"""A wire between two places of the house: it may be slow, cut, or hang with nobody noticing.

Bytes are passed on as they come, so it serves Postgres, Kafka and gRPC alike.
"""

import asyncio
from contextlib import suppress
from typing import Final, NamedTuple

PIECE_BYTES: Final = 64 * 1024


class Place(NamedTuple):
    """Where somebody listens: a socket's path, or a port of this machine."""

    path: str = ""
    port: int = 0


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire:
    """Listens at `near` and passes everything on to `far`, and back."""

    def __init__(self, name: str, near: Place, far: Place) -> None:
        self.name = name
        self.near = near
        self.far = far
        """Where connections lead from now on."""
        self.taken = 0
        """How many connections have come so far."""
        self._server: asyncio.Server | None = None
        self._is_cut = False
        self._delay_s = 0.0
        self._flows = asyncio.Event()
        self._flows.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen, unless it does. A port of 0 is settled here."""
        if self._server is not None:
            return
        if self.near.path:
            self._server = await asyncio.start_unix_server(self._begin, self.near.path)
        else:
            self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.near.port)
            self.near = Place(port=self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Cut it for good."""
        self.cut()
        if self._server is not None:
            self._server.close()
        for carrying in self._carrying:
            carrying.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        # What was aborted is closed in the loop's next turn.
        await asyncio.sleep(0)

    def cut(self) -> None:
        """End every connection; new ones are ended as they come."""
        self._is_cut = True
        self._break()

    def slow(self, delay_s: float) -> None:
        """Every piece is so much later from now on."""
        self._delay_s = delay_s

    def hang(self) -> None:
        """Take what is sent and pass nothing on: both sides believe in a connection."""
        self._flows.clear()

    def strand(self) -> asyncio.Event:
        """Hang for those who are connected now, until what is given here is set; serve others."""
        stranded, self._flows = self._flows, asyncio.Event()
        stranded.clear()
        self._flows.set()
        return stranded

    def mend(self, *, breaking: bool) -> None:
        """Be a good wire again. Connections from before go on, or `breaking` ends them."""
        self._is_cut, self._delay_s = False, 0.0
        if breaking:
            self._break()
        self._flows.set()

    def _break(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(carrying)
        carrying.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            # One that hangs does so before the far side hears of anybody.
            flows = self._flows
            self.taken += 1
            await flows.wait()
            if self._is_cut:
                return
            far_reader, far_writer = await self._reach()
            self._open.add(far_writer)
            try:
                there = asyncio.create_task(self._pass_on(reader, far_writer, flows))
                back = asyncio.create_task(self._pass_on(far_reader, writer, flows))
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                for task in (there, back):
                    task.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
            finally:
                self._open.discard(far_writer)
                far_writer.transport.abort()
        except OSError:
            return
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _reach(self) -> _Ends:
        if self.far.path:
            return await asyncio.open_unix_connection(self.far.path)
        return await asyncio.open_connection("127.0.0.1", self.far.port)

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, flows: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(PIECE_BYTES):
                await flows.wait()
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                sink.write(piece)
                await sink.drain()
