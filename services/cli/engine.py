"""An operator's way into the core: commands as batches in a session of their own.

    async with open_session(rooms.channel("matching")) as session:
        [outcome] = await session.ask(command)

A batch whose answer is lost is sent again under its number, to another replica if there is one, so
it is applied once, whatever breaks. What concerns the whole house goes to all its shards:

    await put_everywhere(rooms.cores, command)      what is to hold in all of them
    await put_at_once(rooms.cores, command)         what must not wait for one that is away
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias

import grpc

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import ORDER_ENTRY_SERVICE
from services.cli.terminal import Refused
from services.domain.outcomes import REFUSAL_CODES
from services.runtime.choice import Choice

PATIENCE_S: Final = 20.0
"""After this long a command is given up; a second later the core would not take it either."""

AGAIN_S: Final = 0.2

_SENTENCES: Final = {
    "asset_cap": "That would lift all there is of the asset above 2^62 of its smallest units.",
    "asset_unknown": "The engine knows no such asset; `bourse instrument list` shows them.",
    "capacity_full": "The engine has no room for another one; its sizes are part of its log.",
    "engine_refused": "The engine skipped the record this was in.",
    "expired_in_transit": "The engine got this too late and did nothing. Try again.",
    "insufficient_balance": "There is not enough available; what open orders hold does not count.",
    "instrument_unknown": "The engine knows no such instrument.",
    "name_taken": "That name is taken by something else.",
    "phase_forbids_it": "The market cannot go to that phase from the one it is in.",
    "rules_too_old": "The rules in force do not know this; see `bourse rules`.",
    "shard_halted": "The shard is halted and does nothing; see `bourse shard status`.",
    "setting_invalid": "Tick, lot, limits, fees or times do not fit; docs/matching.md says how.",
}


def refusal_sentence(refusal: int) -> str:
    """Why the core refused, for a person."""
    code = REFUSAL_CODES.get(refusal, str(refusal))
    return f"{_SENTENCES.get(code, 'The engine refuses this.')} ({code})"


_Call: TypeAlias = "grpc.aio.StreamStreamCall[matching.SubmitRequest, matching.SubmitResponse]"
_Submit: TypeAlias = (
    "grpc.aio.StreamStreamMultiCallable[matching.SubmitRequest, matching.SubmitResponse]"
)


class Unanswered(Refused):
    """Whether it has happened, or will within the next moments, nobody knows."""


class Session:
    """A session of the core. Not for several tasks at once."""

    def __init__(self, replicas: Choice) -> None:
        self._replicas = replicas
        self._submits: dict[grpc.aio.Channel, _Submit] = {
            channel: channel.stream_stream(
                f"/{ORDER_ENTRY_SERVICE}/Submit",
                request_serializer=matching.SubmitRequest.SerializeToString,
                response_deserializer=matching.SubmitResponse.FromString,
            )
            for channel in replicas.replicas
        }
        self._replica: grpc.aio.Channel | None = None
        self._call: _Call | None = None
        self._session = 0
        self._number = 0

    async def open(self) -> None:
        """Open it. Once more if the answer is lost: a session nobody uses closes itself.

        Raises Refused if none can be had: then nothing else was asked either.
        """
        command = matching.Command(open_session=matching.OpenSession())
        try:
            answer = await self._send(matching.SubmitRequest(commands=[_stamped(command)]))
            self._session = accepted(answer)[0].created_id
        except Unanswered as unanswered:
            reason = _reason(unanswered.__cause__)
            raise Refused(f"Matching does not answer, and nothing was asked ({reason}).") from None

    async def ask(self, *commands: matching.Command) -> list[matching.Outcome]:
        """Send commands as one batch, give their outcomes. Raises Refused if one is refused.

        What stood before a refused command in the batch is done all the same.
        """
        return accepted(await self.submit(*commands))

    async def submit(self, *commands: matching.Command) -> matching.SubmitResponse:
        """Send commands as one batch, give the whole answer. Raises Refused without one."""
        self._number += 1
        stamped = [_stamped(command) for command in commands]
        request = matching.SubmitRequest(
            session=self._session, number=self._number, commands=stamped
        )
        return await self._send(request)

    async def close(self) -> None:
        """Give the session back. If that fails the core does it by itself after a while."""
        if self._session:
            with suppress(Refused):
                await self.submit(matching.Command(close_session=matching.CloseSession()))
        self._drop()

    async def _send(self, request: matching.SubmitRequest) -> matching.SubmitResponse:
        last: Exception | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    try:
                        return await self._exchange(request)
                    except (grpc.aio.AioRpcError, _NotNow, asyncio.InvalidStateError) as error:
                        last = error
                        self._drop()
                    await asyncio.sleep(AGAIN_S)
        raise Unanswered(
            f"Matching gave no answer in {PATIENCE_S:g} s, and what it was asked may have happened"
            f" or not ({_reason(last)}). Look before you ask again."
        ) from last

    async def _exchange(self, request: matching.SubmitRequest) -> matching.SubmitResponse:
        return await self._replicas.converse(lambda replica: self._exchange_with(replica, request))

    async def _exchange_with(
        self, replica: grpc.aio.Channel, request: matching.SubmitRequest
    ) -> matching.SubmitResponse:
        if self._call is None or self._replica is not replica:
            self._drop()
            self._call, self._replica = self._submits[replica](), replica
        await self._call.write(request)
        answer = await self._call.read()
        if not isinstance(answer, matching.SubmitResponse):
            raise _NotNow("the stream ended")
        if answer.status == matching.BATCH_STATUS_UNAVAILABLE:
            raise _NotNow(answer.detail)
        return answer

    def _drop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None


class _NotNow(Exception):
    """The same batch may be sent again."""


def _reason(error: BaseException | None) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return error.details() or error.code().name
    return str(error) if error else "it takes too long"


@asynccontextmanager
async def open_session(replicas: Choice) -> AsyncIterator[Session]:
    """A session for as long as the block lasts. Raises Refused if the core gives none."""
    session = Session(replicas)
    await session.open()
    try:
        yield session
    finally:
        await session.close()


async def put_everywhere(
    shards: Sequence[Choice], *commands: matching.Command
) -> list[matching.SubmitResponse]:
    """Send the same commands to every shard, give the answer of each. Raises Refused.

    Shard 0 is asked for what holds in all of them, so it comes last: whoever looks there sees what
    was not carried through, and may ask again. A shard that fails does not keep the others from it.
    """
    _name(*commands)
    others = await asyncio.gather(
        *(_put(shard, commands) for shard in shards[1:]), return_exceptions=True
    )
    first = await asyncio.gather(_put(shards[0], commands), return_exceptions=True)
    return _done_by_all(*first, *others)


async def put_at_once(
    shards: Sequence[Choice], *commands: matching.Command
) -> list[matching.SubmitResponse]:
    """The same side by side: in no shard it waits for another one. Raises Refused."""
    _name(*commands)
    answers = await asyncio.gather(
        *(_put(shard, commands) for shard in shards), return_exceptions=True
    )
    return _done_by_all(*answers)


def _name(*commands: matching.Command) -> None:
    """It is one deed, in however many shards it is done."""
    for command in commands:
        command.request_id = command.request_id or secrets.token_bytes(16)


def _done_by_all(
    *said: matching.SubmitResponse | BaseException,
) -> list[matching.SubmitResponse]:
    answers: list[matching.SubmitResponse] = []
    for number, answer in enumerate(said):
        if isinstance(answer, Refused) and len(said) > 1:
            raise Refused(f"Shard {number}: {answer} What others have, they keep.") from answer
        if isinstance(answer, BaseException):
            raise answer
        answers.append(answer)
    return answers


async def _put(shard: Choice, commands: Sequence[matching.Command]) -> matching.SubmitResponse:
    copies = [matching.Command.FromString(each.SerializeToString()) for each in commands]
    async with open_session(shard) as session:
        answer = await session.submit(*copies)
    accepted(answer)
    return answer


def _stamped(command: matching.Command) -> matching.Command:
    """With an id of its own and, where the core looks at one, a deadline."""
    command.request_id = command.request_id or secrets.token_bytes(16)
    if command.WhichOneof("kind") not in ("open_session", "close_session"):
        command.valid_until_us = time.time_ns() // 1000 + int(PATIENCE_S * 1e6)
    return command


def accepted(answer: matching.SubmitResponse) -> list[matching.Outcome]:
    """The outcomes of an answer. Raises Refused if there are none, or one is a refusal.

    Unanswered where a replica does not know itself what becomes of the batch.
    """
    if answer.status == matching.BATCH_STATUS_UNKNOWN:
        raise Unanswered(
            "Matching does not know what becomes of what it was asked: it may have happened, or"
            " happen still. Look before you ask again."
        )
    if answer.status not in (matching.BATCH_STATUS_APPLIED, matching.BATCH_STATUS_REPEATED):
        name = matching.BatchStatus.Name(answer.status).removeprefix("BATCH_STATUS_").lower()
        raise Refused(f"The engine did not take this: {name}. {answer.detail}".rstrip())
    for outcome in answer.outcomes:
        if outcome.refusal:
            raise Refused(refusal_sentence(outcome.refusal))
    return list(answer.outcomes)
