"""An operator's command is applied once, whatever becomes of the stream it travels on.

The other end is a server of the same contract that breaks off where the story wants it to.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bourse.matching import v1 as matching
from bourse.matching.v1.rpc import ORDER_ENTRY_SERVICE
from services.cli.engine import Unanswered, open_session
from services.cli.terminal import Refused
from services.runtime.choice import Choice
from services.runtime.rpc import raw_service, serve

SESSION = 41


class Core:
    """Applies each batch once; breaks the stream before or after applying, as often as told."""

    def __init__(self) -> None:
        self.applied: list[matching.SubmitRequest] = []
        self.breaks_before = 0
        self.breaks_after = 0
        self.unavailable = 0
        self.refusal = matching.REFUSAL_UNSPECIFIED

    async def Submit(  # noqa: N802  the contract's name
        self, requests: AsyncIterator[bytes], _context: object
    ) -> AsyncIterator[bytes]:
        async for encoded in requests:
            request = matching.SubmitRequest.FromString(encoded)
            if self.breaks_before:
                self.breaks_before -= 1
                return
            answer = self._answer(request)
            if self.breaks_after:
                self.breaks_after -= 1
                return
            yield answer.SerializeToString()

    def _answer(self, request: matching.SubmitRequest) -> matching.SubmitResponse:
        answer = matching.SubmitResponse(session=request.session, number=request.number)
        if self.unavailable:
            self.unavailable -= 1
            answer.status = matching.BATCH_STATUS_UNAVAILABLE
            return answer
        known = [(each.session, each.number) for each in self.applied if each.session]
        is_repeat = (request.session, request.number) in known
        if not is_repeat:
            self.applied.append(request)
        answer.status = (
            matching.BATCH_STATUS_REPEATED if is_repeat else matching.BATCH_STATUS_APPLIED
        )
        for command in request.commands:
            opens = command.HasField("open_session")
            refusal = matching.REFUSAL_UNSPECIFIED if opens else self.refusal
            answer.outcomes.add(created_id=SESSION if opens else 7, refusal=refusal)
        return answer


def run(core: Core, folder: Path, story: Callable[[str], Awaitable[None]]) -> None:
    async def bounded() -> None:
        address = f"unix:{folder / 'matching.sock'}"
        service = raw_service(ORDER_ENTRY_SERVICE, {"Submit": core.Submit})
        serving = asyncio.create_task(serve(address, service))
        try:
            async with asyncio.timeout(60):
                await story(address)
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    asyncio.run(bounded())


def halt() -> matching.Command:
    return matching.Command(set_phase=matching.SetPhase(instrument=1024, phase=5))  # type: ignore[arg-type]


async def ask_once(address: str) -> list[matching.Outcome]:
    channel = Choice(address)
    try:
        async with open_session(channel) as session:
            return await session.ask(halt())
    finally:
        await channel.close()


@pytest.mark.parametrize("fault", ["breaks_before", "breaks_after", "unavailable"])
@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_command_is_applied_once(fault: str, times: int, tmp_path: Path) -> None:
    core = Core()
    setattr(core, fault, times)

    async def story(address: str) -> None:
        [outcome] = await ask_once(address)
        assert outcome.created_id == 7

    run(core, tmp_path, story)
    asked = [each for each in core.applied if each.commands[0].HasField("set_phase")]
    assert [(each.session, each.number) for each in asked] == [(SESSION, 1)]
    assert len(asked[0].commands[0].request_id) == 16
    assert asked[0].commands[0].valid_until_us > 0, "what is given up is not done later"
    assert core.applied[-1].commands[0].HasField("close_session"), "a session is given back"


def test_without_a_session_nothing_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.engine.PATIENCE_S", 0.5)
    core = Core()
    core.unavailable = 1000

    async def story(address: str) -> None:
        with pytest.raises(Refused, match="and nothing was asked") as refused:
            await ask_once(address)
        assert not isinstance(refused.value, Unanswered)

    run(core, tmp_path, story)
    assert core.applied == []


def test_a_refusal_is_a_sentence_with_its_code(tmp_path: Path) -> None:
    core = Core()
    core.refusal = matching.REFUSAL_PHASE_FORBIDS_IT

    async def story(address: str) -> None:
        with pytest.raises(Refused, match=r"cannot go to that phase .*\(phase_forbids_it\)"):
            await ask_once(address)

    run(core, tmp_path, story)


def test_what_matching_itself_does_not_know_is_no_refusal(tmp_path: Path) -> None:
    class Unsure(Core):
        def _answer(self, request: matching.SubmitRequest) -> matching.SubmitResponse:
            answer = super()._answer(request)
            if request.commands[0].HasField("set_phase"):
                answer.status = matching.BATCH_STATUS_UNKNOWN
            return answer

    async def story(address: str) -> None:
        with pytest.raises(Unanswered, match="it may have happened, or happen still"):
            await ask_once(address)

    run(Unsure(), tmp_path, story)
