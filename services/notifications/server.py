"""What gateways ask of the notifications room."""

import asyncio
from collections.abc import AsyncIterator

import grpc

from bourse.notifications import v1 as notifications
from bourse.notifications.v1 import rpc
from services.notifications.reader import Answers, Listener, NotificationsReader
from services.runtime.lag import Lag
from services.runtime.rpc import Context


class Notifications(rpc.NotificationsServiceServicer):
    """Each account's private stream."""

    def __init__(self, reader: NotificationsReader, backlog: int, lag: Lag) -> None:
        self._reader = reader
        self._backlog = backlog
        self._lag = lag

    async def Follow(
        self, requests: AsyncIterator[notifications.FollowRequest], context: Context
    ) -> AsyncIterator[notifications.FollowResponse]:
        """Notifications of the accounts a gateway has sockets for."""
        stream = _Stream(self._reader, Answers(self._backlog))
        listening = asyncio.create_task(stream.listen_to(requests))
        try:
            while (answer := await stream.answers.get()) is not None:
                yield answer
        finally:
            listening.cancel()
            stream.close()
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "The stream fell behind; continue from the cursors."
        )

    async def GetStatus(
        self, request: notifications.GetStatusRequest, context: Context
    ) -> notifications.GetStatusResponse:
        """How far notifications have come."""
        next_offset = self._reader.position.next_offset
        records, milliseconds = await self._lag.of(next_offset)
        return notifications.GetStatusResponse(
            sequence=self._reader.sequence,
            next_offset=next_offset,
            lag_records=records,
            lag_ms=milliseconds,
        )


class _Stream:
    """The subscriptions of one gateway's stream."""

    def __init__(self, reader: NotificationsReader, answers: Answers) -> None:
        self._reader = reader
        self._listeners: dict[int, Listener] = {}
        self._starting: dict[int, asyncio.Task[None]] = {}
        self.answers = answers

    async def listen_to(self, requests: AsyncIterator[notifications.FollowRequest]) -> None:
        """Add and drop subscriptions as asked."""
        async for request in requests:
            self._drop(request.subscription)
            if request.drop:
                continue
            listener = Listener(request.subscription, request.account, self.answers)
            self._listeners[request.subscription] = listener
            start = asyncio.create_task(self._start(listener, request.after))
            self._starting[request.subscription] = start

    async def _start(self, listener: Listener, after: str) -> None:
        try:
            await self._reader.listen(listener, after, self.answers)
        except Exception:
            # Whatever went wrong, a stream that goes on would have a hole in it.
            self.answers.end()
            raise

    def _drop(self, subscription: int) -> None:
        starting = self._starting.pop(subscription, None)
        if starting is not None:
            starting.cancel()
        listener = self._listeners.pop(subscription, None)
        if listener is not None:
            self._reader.drop(listener)

    def close(self) -> None:
        """Drop them all."""
        for subscription in list(self._listeners):
            self._drop(subscription)
