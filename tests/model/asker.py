"""Asks random things that collide: few accounts, markets, prices and names.

It looks at the model to aim, at orders that are open and names that were used. Most of it is
sensible, the rest every kind of nonsense that passes for well formed.
"""

from collections.abc import Callable
from random import Random

from bourse.matching import v1 as matching
from tests.model.ask_orders import OrderAsker
from tests.model.ask_settings import SettingsAsker
from tests.model.choices import END, SECOND_US
from tests.model.features import READY
from tests.model.model import Model
from tests.model.state import CAP
from tests.model.worlds import World


class Asker(OrderAsker, SettingsAsker):
    """Makes commands for the model as it stands. How often which is chosen once."""

    def __init__(
        self, random: Random, model: Model, world: World, features: frozenset[str] = READY
    ) -> None:
        super().__init__(random, model, world, features)
        self.bodies = []
        self.cancels = random.choice((5, 50))
        self.operates = random.choice((3, 25))
        self.guards = random.choice((3, 20)) if features else 0

    def any_command(self) -> matching.Command:
        """Guards are put early, and what they have stopped is let go on again."""
        guards = self.guards * (10 if self.asked < 120 else 1)
        mends = self.mends() if self.features else []
        fills = self.fills()
        ways: list[tuple[int, Callable[[], matching.Command]]] = [
            (400, self.place),
            (self.cancels, self.cancel),
            (60, self.amend),
            (2, self.cancel_all),
            (self.operates, self.operate),
            (guards, self.guard),
            (5 * len(mends), lambda: self.random.choice(mends)()),
            (12 * len(fills), lambda: self.random.choice(fills)()),
            (60 if self.features & {"oco", "bracket"} else 0, self.group),
            (40 if "replace" in self.features else 0, self.replace),
            (25 if "mark" in self.features else 0, self.set_mark),
        ]
        command = self.weighted(ways)()
        return self.within(command, 12)

    def within(self, command: matching.Command, one_in: int) -> matching.Command:
        """The command, now and then with a deadline that is near, or over."""
        if self.one_in(one_in):
            limits = (-10 * SECOND_US, -1, 0, 1, 10 * SECOND_US)
            until_us = self.model.clock_us + self.random.choice(limits)
            command.valid_until_us = max(0, min(until_us, END))
        return command

    def move(self) -> matching.Command:
        if self.one_in(3):
            command = self.command(self.account())
            command.debit.asset = asset = self.asset()
            there = self.model.balance(command.account, asset).available_minor
            amounts = (there,) if self.at_edge(4) else self.world.credits
            command.debit.amount_minor = self.close_to(*amounts)
            return self.within(command, 4)
        return self.credit(self.account())

    def credit(self, account: int) -> matching.Command:
        """Seldom more than an asset may have; at the edge exactly as much as is left of that."""
        command = self.command(account)
        command.credit.asset = asset = self.asset()
        command.credit.amount_minor = self.random.choice(self.world.credits)
        left = CAP - self.model.owned(asset)
        if self.at_edge(4) and left > 0:
            command.credit.amount_minor = self.close_to(left)
        elif self.one_in(100):
            command.credit.amount_minor = left + 1
        return command
