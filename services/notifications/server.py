"""What gateways ask of the notifications room."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import grpc

from bourse.notifications import v1 as notifications
from bourse.notifications.v1 import rpc
from services.notifications.reader import Answers, Listener, NotificationsReader
from services.runtime.readers import Readers
from services.runtime.rpc import Context


class Notifications(rpc.NotificationsServiceServicer):
    """Each account's private stream."""

    def __init__(self, readers: Readers[NotificationsReader], backlog: int) -> None:
        self._readers = readers
        self._backlog = backlog

    async def Follow(
        self, requests: AsyncIterator[notifications.FollowRequest], context: Context
    ) -> AsyncIterator[notifications.FollowResponse]:
        """Notifications of the accounts a gateway has sockets for."""
        stream = _Stream(self._readers, Answers(self._backlog))
        listening = asyncio.create_task(stream.listen_to(requests))
        try:
            while (answer := await stream.answers.get()) is not None:
                yield answer
        finally:
            listening.cancel()
            stream.close()
        if stream.refusal:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, stream.refusal)
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "The stream fell behind; continue from the cursors."
        )

    async def GetStatus(
        self, request: notifications.GetStatusRequest, context: Context
    ) -> notifications.GetStatusResponse:
        """How far notifications have come."""
        return notifications.GetStatusResponse(places=await self._readers.places())


class _Subscription(NamedTuple):
    """Who listens, and in which shard."""

    reader: NotificationsReader
    listener: Listener


class _Stream:
    """The subscriptions of one gateway's stream."""

    def __init__(self, readers: Readers[NotificationsReader], answers: Answers) -> None:
        self._readers = readers
        self._listeners: dict[int, _Subscription] = {}
        self._starting: dict[int, asyncio.Task[None]] = {}
        self.answers = answers
        self.refusal = ""
        """Why the stream is ended, if it asked for what there is not."""

    async def listen_to(self, requests: AsyncIterator[notifications.FollowRequest]) -> None:
        """Add and drop subscriptions as asked."""
        async for request in requests:
            self._drop(request.subscription)
            if request.drop:
                continue
            reader = self._readers.get(request.shard)
            if reader is None:
                self.refusal = self._readers.lacks(request.shard)
                self.answers.end()
                return
            listener = Listener(request.subscription, request.account, self.answers)
            wanted = self._listeners[request.subscription] = _Subscription(reader, listener)
            start = asyncio.create_task(self._start(wanted, request.after))
            self._starting[request.subscription] = start

    async def _start(self, wanted: _Subscription, after: str) -> None:
        try:
            await wanted.reader.listen(wanted.listener, after, self.answers)
        except Exception:
            # Whatever went wrong, a stream that goes on would have a hole in it.
            self.answers.end()
            raise

    def _drop(self, subscription: int) -> None:
        starting = self._starting.pop(subscription, None)
        if starting is not None:
            starting.cancel()
        found = self._listeners.pop(subscription, None)
        if found is not None:
            found.reader.drop(found.listener)

    def close(self) -> None:
        """Drop them all."""
        for subscription in list(self._listeners):
            self._drop(subscription)
