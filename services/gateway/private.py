"""Private streams: one to notifications for the whole gateway, its subscriptions handed to sockets.

When the stream is lost, every subscription goes on behind the last cursor it has told, or the one
it started at: nothing private is ever left out without a word.
"""

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final, Protocol, TypeAlias

import grpc
import msgspec

from bourse.notifications import v1 as notifications
from bourse.notifications.v1 import rpc
from services.gateway import messages, translate
from services.gateway.channels import framed
from services.gateway.follow import Interrupted, follow
from services.gateway.markets import Markets
from services.gateway.problems import Problem
from services.gateway.reads import Reads

ORDERS: Final = "user.orders"
FILLS: Final = "user.fills"
BALANCES: Final = "user.balances"
CHANNELS: Final = (ORDERS, FILLS, BALANCES)

_START_S: Final = 3.0


_Requests: TypeAlias = asyncio.Queue[notifications.FollowRequest | None]
"""What a stream is to say; None ends it."""


class CursorGone(Exception):
    """The cursor is older than what is kept, or is none."""


class PrivateListener(Protocol):
    """A socket, as a private stream sees it."""

    def offer_private(self, frames: bytes) -> None:
        """Frames of its own account, in order."""
        ...

    def interrupt(self, reason: str) -> None:
        """Nothing more can be told without leaving something out."""
        ...


class Subscription:
    """What one socket wants to hear of its account, and how far it has been told."""

    def __init__(self, account: int, after: str, listener: PrivateListener) -> None:
        self.account = account
        self.cursor = after
        self.listener = listener
        self.channels: set[str] = set()
        self.held: bytes | None = b""
        """What was told before the client had its answer; None from then on."""
        self.started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class PrivateFeed:
    """All private subscriptions of this gateway. `run` runs for ever."""

    def __init__(self, channel: grpc.aio.Channel, markets: Markets, reads: Reads) -> None:
        self._notifications = rpc.NotificationsServiceStub(channel)
        self._markets = markets
        self._reads = reads
        self._numbers = itertools.count(1)
        self._subscriptions: dict[int, Subscription] = {}
        self._requests: _Requests | None = None

    async def subscribe(
        self, account: int, channels: set[str], after: str, listener: PrivateListener
    ) -> int:
        """Follow an account for a socket; returns the subscription's number. Raises Problem.

        Nothing is told before `release`: the caller answers the client first.
        """
        number = next(self._numbers)
        subscription = self._subscriptions[number] = Subscription(account, after, listener)
        subscription.channels = channels
        self._ask(number, subscription)
        try:
            async with asyncio.timeout(_START_S):
                stands = await subscription.started
        except TimeoutError:
            self.drop(number)
            raise Problem("unavailable", "Private streams cannot be reached. Try again.") from None
        except asyncio.CancelledError:
            self.drop(number)
            raise
        if not stands:
            del self._subscriptions[number]
            raise CursorGone
        return number

    def release(self, number: int) -> None:
        """The client has its answer: tell it what was held back, and go on."""
        subscription = self._subscriptions.get(number)
        if subscription is not None and subscription.held is not None:
            held, subscription.held = subscription.held, None
            subscription.listener.offer_private(held)

    def drop(self, number: int) -> None:
        """Follow no longer."""
        if self._subscriptions.pop(number, None) is not None and self._requests is not None:
            request = notifications.FollowRequest(subscription=number, drop=True)
            self._requests.put_nowait(request)

    def narrow(self, number: int, channel: str) -> None:
        """One channel less; the subscription ends with its last one."""
        subscription = self._subscriptions.get(number)
        if subscription is not None:
            subscription.channels.discard(channel)
            if not subscription.channels:
                self.drop(number)

    def _ask(self, number: int, subscription: Subscription) -> None:
        if self._requests is not None:
            request = notifications.FollowRequest(
                subscription=number, account=subscription.account, after=subscription.cursor
            )
            self._requests.put_nowait(request)

    async def run(self) -> None:
        """Keep the stream for ever; notifications out of reach is waited for."""
        await follow("private", self._begin, self._take, self._end)

    def _begin(self) -> AsyncIterable[notifications.FollowResponse]:
        self._requests = asyncio.Queue()
        self._resume()
        return self._notifications.Follow(_each(self._requests))

    def _end(self) -> None:
        """The stream is lost: let go of what it took requests from, and gather none for it."""
        if self._requests is not None:
            self._requests.put_nowait(None)
            self._requests = None

    def _resume(self) -> None:
        for number, subscription in list(self._subscriptions.items()):
            self._ask(number, subscription)

    async def _take(self, told: notifications.FollowResponse) -> None:
        subscription = self._subscriptions.get(told.subscription)
        if subscription is None:
            return
        if told.status == notifications.FOLLOW_STATUS_STARTED and not subscription.started.done():
            subscription.cursor = told.cursor
            subscription.started.set_result(True)
        if told.status == notifications.FOLLOW_STATUS_CURSOR_GONE:
            self._lose(told.subscription, subscription)
        try:
            frames = [await self._framed(one, subscription) for one in told.notifications]
        except Problem as problem:
            raise Interrupted(str(problem)) from None
        if told.notifications:
            subscription.cursor = told.notifications[-1].cursor
            _offer(subscription, b"".join(frames))

    def _lose(self, number: int, subscription: Subscription) -> None:
        """The place it should go on from is gone."""
        if subscription.started.done():
            del self._subscriptions[number]
            subscription.listener.interrupt("The place to continue from is gone.")
        else:
            subscription.started.set_result(False)

    async def _framed(self, one: notifications.Notification, of: Subscription) -> bytes:
        """A notification as a frame; empty if it is on a channel that nobody wants."""
        kind = one.WhichOneof("body")
        if kind is None or f"user.{kind}s" not in of.channels:
            return b""
        return framed(await self._message(one, kind))

    async def _message(self, one: notifications.Notification, kind: str) -> msgspec.Struct:
        place = (f"user.{kind}s", one.cursor, one.sequence, one.time_us)
        if kind == "order":
            return messages.OrderMessage(*place, await self._reads.shown(one.order))
        if kind == "fill":
            return messages.FillMessage(*place, await self._reads.shown_fill(one.fill))
        asset = self._markets.asset(one.balance.asset)
        if asset is None:
            raise Problem("lagging", "An asset is not known yet.")
        has = one.balance
        balance = translate.balance(asset, has.available_minor, has.held_minor)
        return messages.BalanceMessage(*place, balance)


def _offer(subscription: Subscription, frames: bytes) -> None:
    if subscription.held is None:
        subscription.listener.offer_private(frames)
    else:
        subscription.held += frames


async def _each(requests: _Requests) -> AsyncIterator[notifications.FollowRequest]:
    while (request := await requests.get()) is not None:
        yield request
