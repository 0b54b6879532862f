"""Random records of rules 3: a shard that is halted now and then, and records that are skipped."""

from random import Random

from bourse.matching import v1 as matching
from tests.model.comparison import Comparison, Given, same
from tests.model.model import Model
from tests.model.worlds import World
from tests.model.writer import Writer


class HaltingWriter(Writer):
    """Halts a shard in the middle of whatever happens, and resumes it after a few commands."""

    def __init__(self, random: Random, model: Model, world: World) -> None:
        super().__init__(random, model, world)
        self.halts = random.choice((10, 40))

    def opening(self) -> list[matching.CommandRecord]:
        """As ever, then the newest rules."""
        raised = self.command(0)
        raised.use_rules.version = 3
        opening = super().opening()
        opening.append(self.record_of(self.next_batch(self.gateways[0], [raised])))
        return opening

    def record(self, most_commands: int = 6) -> matching.CommandRecord:
        record = super().record(most_commands)
        if self.one_in(self.halts):
            at = self.random.randint(0, len(record.requests))
            record.requests.insert(at, self._halt().SerializeToString())
        return record

    def any_command(self) -> matching.Command:
        if self.random.random() >= (0.2 if self.model.halt_sequence else 0.005):
            return super().any_command()
        command = self.command(0)
        command.resume.sequence = 7 if self.one_in(6) else self.model.halt_sequence
        if self.one_in(12):
            command.valid_until_us = self.model.clock_us - 1
        return command

    def _halt(self) -> matching.SubmitRequest:
        """By one that differs now, or, too late, by one that differed before."""
        command = self.command(0)
        now, late = self.model.sequence, max(0, self.model.resume_sequence - 1)
        command.halt.sequence = self.random.choice((now, now, late))
        command.halt.state_hash = self.random.getrandbits(64)
        return matching.SubmitRequest(commands=[command])


class HaltingComparison(Comparison):
    """Where both can be made to skip a record too."""

    def skip(self, given: Given) -> None:
        """Let both skip a record. Raises Different."""
        offset = len(self.history)
        self.history.append(given)
        events, answers = self.model.skip(offset, *given)
        core_events, core_answers = self.core.skip(offset, *given)
        same("events", events, core_events)
        for index, (answer, core_answer) in enumerate(zip(answers, core_answers, strict=True)):
            same(f"answer {index}", answer, core_answer)
        self.older = None
