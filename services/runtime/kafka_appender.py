"""Appending to one topic of a log in Kafka: one batch at a time, each at most once, in order.

A batch carries the identity (producer, epoch, sequence). Sent again under the same one, after a
connection or a leader was lost, it is in the log once all the same, and the answer of then is given
again. That goes on for as long as an append may take; then its outcome is unknown, and we go on
in a new epoch: once a batch of that is in the log, brokers refuse what is left of the old one. So
what was given up may still arrive, but never behind what was appended after it.

Nothing was done if nothing was sent, or if the first answer is one that a leader gives before it
writes. Other refusals may come from a leader that wrote and then lost its place: outcome unknown.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from services.runtime.config import LogConfig
from services.runtime.kafka_access import Access, not_allowed
from services.runtime.kafka_link import DOUBT_S, MOVED, NO_ERROR, Link, NoAnswer
from services.runtime.kafka_records import Identity, encode
from services.runtime.log import (
    Appended,
    LogError,
    LogUnavailable,
    OutcomeUnknown,
    RecordTooLarge,
    RolledBack,
    TopicUnknown,
    TopicUnsound,
)

FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.2
"""Before a batch in doubt is sent again."""

LEAST_DOUBT_S: Final = 0.25
"""An append that takes no longer is never asked twice, however short our patience."""

_ALL: Final = -1
_LAST_EPOCH: Final = 32_000
_LAST_SEQUENCE: Final = 2**31 - 1

_LOADING: Final = 14
_TOO_LARGE: Final = frozenset({10, 18})
_WRONG_IDENTITY: Final = frozenset({45, 47, 59, 90})
"""Out of order, fenced, unknown: the broker has forgotten us, or knows better."""
_BEFORE_WRITING: Final = frozenset({2, 17, 19, 21, 29, 31, 32, 87, 89}) | _WRONG_IDENTITY
"""Damaged, not enough replicas, not allowed, not valid, throttled: judged before anything is
written. Not so 3, 6 and 56: a leader that has written and then lost the partition says them too."""


class Appender:
    """One topic's connection for appends."""

    def __init__(self, access: Access, topic: str, config: LogConfig) -> None:
        self._topic = topic
        self._timeout_s = config.append_timeout_s
        # What is left must do for a broker that does not answer a knock, and for the next one. But
        # a disk may take its time too.
        self._doubt_s = min(DOUBT_S, max(LEAST_DOUBT_S, config.append_timeout_s / 4))
        self._link = Link(access, topic)
        self._one_at_a_time = asyncio.Lock()
        self._identity: Identity | None = None
        self.known_end = 0
        """The topic ends here at least, as we know from answers."""

    async def append(self, bodies: Sequence[bytes], clock_us: int) -> Appended:
        """See Log.append."""
        async with self._one_at_a_time:
            identity = await self._identify(len(bodies))
            batch = encode(bodies, identity, clock_us)
            try:
                appended = await self._deliver(batch)
            except (LogUnavailable, RecordTooLarge, TopicUnknown):
                raise
            except BaseException:
                self._renounce()
                raise
            self._identity = identity._replace(sequence=identity.sequence + len(bodies))
            if appended.first_offset < self.known_end:
                raise RolledBack(self._topic, self.known_end - 1, appended.first_offset)
            self.known_end = appended.first_offset + len(bodies)
            return appended

    def drop(self) -> None:
        """Let the connection go."""
        self._link.drop()

    async def _identify(self, count: int) -> Identity:
        """Who we are this time. Nothing has been sent if this fails."""
        identity = self._identity
        if identity is not None and identity.sequence + count > _LAST_SEQUENCE:
            self._renounce()
            identity = self._identity
        if identity is None:
            identity = self._identity = await self._new_identity()
        return identity

    async def _new_identity(self) -> Identity:
        """One nobody else has. A broker that has just started takes a moment to have any."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._timeout_s
        while True:
            try:
                answer = await self._link.ask(
                    InitProducerIdRequest(None, 0),
                    within_s=self._timeout_s,
                    doubt_s=self._doubt_s,
                )
            except NoAnswer as error:
                raise LogUnavailable(f"The log did nothing: {error}") from error
            if answer.error_code == NO_ERROR:
                return Identity(answer.producer_id, answer.producer_epoch, 0)
            if answer.error_code != _LOADING or clock() > deadline:
                raise LogUnavailable(f"The log did nothing: {_named(answer.error_code)}.")
            await asyncio.sleep(FIRST_PAUSE_S)

    def _renounce(self) -> None:
        """Go on in a new epoch: nothing of the old one may come behind what we append in it."""
        self._link.drop()
        if self._identity is not None and self._identity.epoch < _LAST_EPOCH:
            self._identity = Identity(self._identity.producer, self._identity.epoch + 1, 0)
        else:
            self._identity = None

    async def _deliver(self, batch: bytearray) -> Appended:
        """Send it until there is an answer. Raises as Log.append does."""
        clock = asyncio.get_running_loop().time
        deadline, pause_s = clock() + self._timeout_s, FIRST_PAUSE_S
        in_doubt, why = False, ""
        while (left_s := deadline - clock()) > 0:
            asked_twice = self._link.asked_twice
            try:
                found = await self._produce(batch, left_s)
            except NoAnswer as error:
                in_doubt, why = True, str(error)
            except (LogUnavailable, TopicUnknown) as error:
                if not in_doubt:
                    raise
                why = str(error)
            else:
                error_code = found[1]
                if error_code == NO_ERROR:
                    return _appended(self._topic, found)
                # One of the two answered; what the other makes of it we shall not hear.
                in_doubt |= self._link.asked_twice > asked_twice
                if not in_doubt and (refusal := self._nothing_done(error_code)):
                    raise refusal
                in_doubt, why = True, _named(error_code)
                if error_code in _WRONG_IDENTITY:
                    break
                if error_code in MOVED:
                    self._link.drop()
            await asyncio.sleep(min(pause_s, max(deadline - clock(), 0)))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        raise OutcomeUnknown(f"The answer to an append to {self._topic} was lost: {why}")

    async def _produce(self, batch: bytearray, left_s: float) -> Any:
        """What the leader says of the batch."""
        request = ProduceRequest(None, _ALL, int(left_s * 1000) + 1, [(self._topic, [(0, batch)])])
        answer = await self._link.ask(request, within_s=left_s, doubt_s=self._doubt_s)
        return answer.topics[0][1][0]

    def _nothing_done(self, error_code: int) -> LogError | None:
        """What a first refusal means if the leader had written nothing when it gave it."""
        if error_code in _TOO_LARGE:
            return RecordTooLarge(
                f"{self._topic} takes no batch of this size: its max.message.bytes is too small."
            )
        if error_code not in _BEFORE_WRITING:
            return None
        if refused := not_allowed(self._topic, error_code):
            return refused
        if error_code in _WRONG_IDENTITY:
            self._identity = None
        return LogUnavailable(f"The log did nothing: {_named(error_code)}.")


def _appended(topic: str, found: Any) -> Appended:
    first_offset, time_ms = found[2], found[3]
    if time_ms < 0:
        raise TopicUnsound(
            f"{topic} gives its records no time: message.timestamp.type must be LogAppendTime."
        )
    return Appended(first_offset, time_ms * 1000)


def _named(error_code: int) -> str:
    return f"Kafka said {error_code} ({for_code(error_code).__name__})"
