"""What accounts are told of what is newer: fees in another asset, and what nobody asked for."""

from bourse.matching import v1 as matching
from bourse.types import v1 as types
from services.notifications.state import Cursor, accounts_in, parse_cursor, told
from tests.services.shard import ALICE, BOB, BTC, USD
from tests.services.wandering import Wandering

FEE_ASSET = 3


def test_a_fill_names_the_asset_that_its_fee_was_paid_in() -> None:
    trade = matching.TradeEvent(
        taker_side=types.SIDE_SELL,
        taker_account=ALICE,
        maker_account=BOB,
        base_asset=BTC,
        quote_asset=USD,
        taker_fee_minor=7,
        taker_fee_asset=FEE_ASSET,
        maker_fee_minor=2,
    )
    part = matching.EventRecord(commands=[{}], trades=[trade])
    fees = {account: said.fill for account, said in told(part, {ALICE, BOB})}
    assert (fees[ALICE].fee_asset, fees[ALICE].fee_minor) == (FEE_ASSET, 7)
    assert (fees[BOB].fee_asset, fees[BOB].fee_minor) == (BTC, 2)


def test_whatever_happens_is_told_to_whom_it_concerns_and_in_order() -> None:
    shard = Wandering(2)
    shard.wander(300)
    by_time = 0
    for record in shard.records:
        everybody = accounts_in(record)
        cursors: dict[int, list[Cursor]] = {account: [] for account in everybody}
        for account, said in told(record, everybody):
            place = parse_cursor(said.cursor)
            assert place is not None
            cursors[account].append(place)
            mark = record.commands[said.sequence - record.first_sequence]
            by_time += mark.kind == matching.COMMAND_KIND_TIME
        assert all(places == sorted(set(places)) for places in cursors.values())
    assert by_time > 0
