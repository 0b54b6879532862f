"""Private streams: one to notifications for the whole gateway, its subscriptions handed to sockets.

When the stream is lost, every subscription goes on behind the last cursor it has told, or the one
it started at: nothing private is ever left out without a word.

A subscription has a part in each shard, with a number and a place of its own. It begins once all
parts stand; its cursor is the places of its parts joined, so each goes on exactly where it was.
"""

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

import grpc
import msgspec
from msgspec import UNSET

from bourse.notifications import v1 as notifications
from bourse.notifications.v1 import rpc
from services.gateway import messages, translate
from services.gateway.channels import framed
from services.gateway.follow import Interrupted, follow
from services.gateway.markets import Markets
from services.gateway.problems import Problem
from services.gateway.reads import Reads
from services.gateway.shards import Shard, Shards

ORDERS: Final = "user.orders"
FILLS: Final = "user.fills"
BALANCES: Final = "user.balances"
CHANNELS: Final = (ORDERS, FILLS, BALANCES)

_START_S: Final = 3.0

_JOINT: Final = "_"
"""Between the places of a cursor, in the order of the shards."""

_BEGINNING: Final = "0.0.0"
"""The place before everything that a shard can have told."""


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


class Part:
    """A subscription in one shard."""

    def __init__(self, number: int, shard: Shard, place: str) -> None:
        self.number = number
        """Its own on the stream."""
        self.shard = shard
        self.place = place
        """A cursor of that shard; empty before it is told where "from now on" is."""
        self.started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class Purse(NamedTuple):
    """What an account has of an asset in a shard, minor units."""

    sequence: int
    available_minor: int
    held_minor: int


class Purses:
    """What each shard has said last of an account's balances."""

    def __init__(self) -> None:
        self._said: dict[tuple[int, int], Purse] = {}

    def put(self, shard: int, asset: int, purse: Purse) -> None:
        """Keep what a shard says, unless something newer is known."""
        known = self._said.get((shard, asset))
        if known is None or known.sequence <= purse.sequence:
            self._said[shard, asset] = purse

    def with_others(self, shard: int, asset: int, purse: Purse) -> Purse:
        """What a shard says and what all others have said, together."""
        others = [said for (n, of), said in self._said.items() if of == asset and n != shard]
        available_minor = purse.available_minor + sum(one.available_minor for one in others)
        held_minor = purse.held_minor + sum(one.held_minor for one in others)
        return Purse(purse.sequence, available_minor, held_minor)


class Subscription:
    """What one socket wants to hear of its account, and how far it has been told."""

    def __init__(self, account: int, parts: Sequence[Part], listener: PrivateListener) -> None:
        self.account = account
        self.parts = parts
        """By shard."""
        self.listener = listener
        self.channels: set[str] = set()
        self.purses = Purses()
        self.early: list[tuple[Part, notifications.FollowResponse]] | None = []
        """What came before all parts stood; None from then on."""
        self.held: bytes | None = b""
        """What was told before the client had its answer; None from then on."""

    def cursor(self, here: Part, place: str) -> str:
        """How the client names where it has come, which in one shard is a place of its own."""
        return _JOINT.join(place if part is here else part.place for part in self.parts)


class PrivateFeed:
    """All private subscriptions of this gateway. `run` runs for ever."""

    def __init__(
        self, shards: Shards, channel: grpc.aio.Channel, markets: Markets, reads: Reads
    ) -> None:
        self._shards = shards
        self._notifications = rpc.NotificationsServiceStub(channel)
        self._markets = markets
        self._reads = reads
        self._numbers = itertools.count(1)
        self._subscriptions: dict[int, Subscription] = {}
        """By the number of their first part, which is what they are called."""
        self._parts: dict[int, tuple[Subscription, Part]] = {}
        self._requests: _Requests | None = None

    async def subscribe(
        self, account: int, channels: set[str], after: str, listener: PrivateListener
    ) -> int:
        """Follow an account for a socket; returns the subscription's number. Raises Problem.

        Nothing is told before `release`: the caller answers the client first.
        """
        places = self._places(after)
        parts = [
            Part(next(self._numbers), shard, place)
            for shard, place in zip(self._shards, places, strict=True)
        ]
        number, subscription = parts[0].number, Subscription(account, parts, listener)
        subscription.channels = channels
        self._subscriptions[number] = subscription
        self._parts |= {part.number: (subscription, part) for part in parts}
        for part in parts:
            self._ask(account, part)
        try:
            await self._begin_to_tell(subscription)
        except BaseException:
            self.drop(number)
            raise
        return number

    def _places(self, after: str) -> list[str]:
        """The place in each shard. Raises CursorGone for what is no cursor of this house."""
        if not after or not self._shards.is_several:
            return [after] * len(self._shards)
        places = after.split(_JOINT)
        if len(places) > len(self._shards) or not all(places):
            raise CursorGone
        # There were fewer shards when it was told.
        return places + [_BEGINNING] * (len(self._shards) - len(places))

    async def _begin_to_tell(self, subscription: Subscription) -> None:
        """Wait until all parts stand, and tell what came until then. Raises Problem, CursorGone."""
        try:
            async with asyncio.timeout(_START_S):
                stands = [await part.started for part in subscription.parts]
        except TimeoutError:
            raise Problem("unavailable", "Private streams cannot be reached. Try again.") from None
        if not all(stands):
            raise CursorGone
        if self._shards.is_several and BALANCES in subscription.channels:
            parts = subscription.parts
            await asyncio.gather(*(self._read_balances(subscription, part) for part in parts))
        while subscription.early:
            stream, (part, told) = self._requests, subscription.early.pop(0)
            frames = await self._frames(told, subscription, part)
            # Of a stream that was lost meanwhile, all this is told again.
            if self._requests is stream:
                _tell(told, subscription, part, frames)
        subscription.early = None

    async def _read_balances(self, subscription: Subscription, part: Part) -> None:
        """What the other shards' messages need of this one: at or behind where it begins."""
        shard = part.shard
        begins = int(part.place.partition(".")[0])
        after = {shard.number: shard.after({shard.number: begins})}
        told = await self._reads.balances(shard, subscription.account, after)
        for one in told.balances:
            purse = Purse(told.sequence, one.available_minor, one.held_minor)
            subscription.purses.put(shard.number, one.asset, purse)

    def release(self, number: int) -> None:
        """The client has its answer: tell it what was held back, and go on."""
        subscription = self._subscriptions.get(number)
        if subscription is not None and subscription.held is not None:
            held, subscription.held = subscription.held, None
            subscription.listener.offer_private(held)

    def drop(self, number: int) -> None:
        """Follow no longer."""
        subscription = self._subscriptions.pop(number, None)
        for part in subscription.parts if subscription is not None else ():
            del self._parts[part.number]
            if self._requests is not None:
                request = notifications.FollowRequest(subscription=part.number, drop=True)
                self._requests.put_nowait(request)

    def narrow(self, number: int, channel: str) -> None:
        """One channel less; the subscription ends with its last one."""
        subscription = self._subscriptions.get(number)
        if subscription is not None:
            subscription.channels.discard(channel)
            if not subscription.channels:
                self.drop(number)

    def _ask(self, account: int, part: Part) -> None:
        if self._requests is not None:
            request = notifications.FollowRequest(
                subscription=part.number,
                account=account,
                after=part.place,
                shard=part.shard.number,
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
        for subscription, part in list(self._parts.values()):
            if subscription.early:
                subscription.early.clear()
            self._ask(subscription.account, part)

    async def _take(self, told: notifications.FollowResponse) -> None:
        known = self._parts.get(told.subscription)
        if known is None:
            return
        subscription, part = known
        if told.status == notifications.FOLLOW_STATUS_STARTED and not part.started.done():
            part.place = told.cursor
            part.started.set_result(True)
        if told.status == notifications.FOLLOW_STATUS_CURSOR_GONE:
            self._lose(subscription, part)
        if subscription.early is not None:
            subscription.early.append((part, told))
            return
        try:
            frames = await self._frames(told, subscription, part)
        except Problem as problem:
            raise Interrupted(str(problem)) from None
        _tell(told, subscription, part, frames)

    def _lose(self, subscription: Subscription, part: Part) -> None:
        """The place it should go on from is gone."""
        if part.started.done():
            self.drop(subscription.parts[0].number)
            subscription.listener.interrupt("The place to continue from is gone.")
        else:
            part.started.set_result(False)

    async def _frames(
        self, told: notifications.FollowResponse, of: Subscription, part: Part
    ) -> bytes:
        """Notifications as frames, but for channels that nobody wants. Raises Problem."""
        frames = [await self._framed(one, of, part) for one in told.notifications]
        return b"".join(frames)

    async def _framed(self, one: notifications.Notification, of: Subscription, part: Part) -> bytes:
        kind = one.WhichOneof("body")
        if kind is None or f"user.{kind}s" not in of.channels:
            return b""
        return framed(await self._message(one, kind, of, part))

    async def _message(
        self, one: notifications.Notification, kind: str, of: Subscription, part: Part
    ) -> msgspec.Struct:
        shard = part.shard.number
        place = (f"user.{kind}s", of.cursor(part, one.cursor), one.sequence, one.time_us)
        where = shard or UNSET
        if kind == "order":
            return messages.OrderMessage(*place, await self._reads.shown(one.order), where)
        if kind == "fill":
            return messages.FillMessage(*place, await self._reads.shown_fill(one.fill), where)
        asset = self._markets.asset(one.balance.asset)
        if asset is None:
            raise Problem("lagging", "An asset is not known yet.")
        has = Purse(one.sequence, one.balance.available_minor, one.balance.held_minor)
        of.purses.put(shard, asset.asset, has)
        all_has = of.purses.with_others(shard, asset.asset, has)
        balance = translate.balance(asset, all_has.available_minor, all_has.held_minor)
        return messages.BalanceMessage(*place, balance, where)


def _tell(
    told: notifications.FollowResponse, subscription: Subscription, part: Part, frames: bytes
) -> None:
    """The place goes on with what is told, and never without it."""
    if not told.notifications:
        return
    part.place = told.notifications[-1].cursor
    if subscription.held is None:
        subscription.listener.offer_private(frames)
    else:
        subscription.held += frames


async def _each(requests: _Requests) -> AsyncIterator[notifications.FollowRequest]:
    while (request := await requests.get()) is not None:
        yield request
