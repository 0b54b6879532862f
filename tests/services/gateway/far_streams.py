"""The far side of private streams, which says nothing but what a story tells it to."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from bourse.notifications import v1 as notifications
from bourse.notifications.v1 import rpc


class FarStreams(rpc.NotificationsServiceServicer):
    """Keeps what it was asked for, and says what is put into `says`; None ends a stream."""

    def __init__(self) -> None:
        self.asked: list[notifications.FollowRequest] = []
        self.says: asyncio.Queue[notifications.FollowResponse | None] = asyncio.Queue()

    async def Follow(  # noqa: N802 - the contract's name
        self, requests: AsyncIterator[notifications.FollowRequest], context: Any
    ) -> AsyncIterator[notifications.FollowResponse]:
        listening = asyncio.create_task(self._listen(requests))
        while (said := await self.says.get()) is not None:
            yield said
        listening.cancel()

    async def _listen(self, requests: AsyncIterator[notifications.FollowRequest]) -> None:
        async for request in requests:
            self.hear(request)

    def hear(self, request: notifications.FollowRequest) -> None:
        """It was asked for this."""
        self.asked.append(request)
