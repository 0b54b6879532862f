"""Recorded flow: what a file says happened, and what a trader would have to ask for."""

from pathlib import Path
from typing import Any, cast

import databento_dbn as dbn
import pytest

from services.cli.flow import Fill, Flow, Step, read_flow
from services.cli.terminal import Refused

BID, ASK, NEITHER = dbn.Side.BID, dbn.Side.ASK, dbn.Side.NONE
ADD, CANCEL, MODIFY = dbn.Action.ADD, dbn.Action.CANCEL, dbn.Action.MODIFY
TRADE, FILL = dbn.Action.TRADE, dbn.Action.FILL
LAST, MORE = dbn.F_LAST, 0
Row = tuple[Any, Any, int, int, int, int]
"""Action, side, order, price in quarters, size, flags."""


def databento(folder: Path, *rows: Row) -> Flow:
    """A file of these records, read."""
    head = dbn.Metadata(
        dataset="TEST",
        start=0,
        stype_in=None,
        stype_out=cast(Any, dbn.SType.INSTRUMENT_ID),
        schema=cast(Any, dbn.Schema.MBO),
        symbols=[],
        partial=[],
        not_found=[],
        mappings=[],
    )
    body = b"".join(bytes(_record(*row)) for row in rows)
    file = folder / "flow.mbo.dbn"
    file.write_bytes(head.encode() + body)
    return read_flow(file)


def _record(action: Any, side: Any, order_id: int, price: int, size: int, flags: int) -> dbn.MBOMsg:
    return dbn.MBOMsg(
        publisher_id=1,
        instrument_id=1,
        ts_event=1,
        ts_recv=1,
        channel_id=0,
        ts_in_delta=0,
        sequence=1,
        order_id=order_id,
        price=price * 250_000_000,
        size=size,
        action=action,
        side=side,
        flags=flags,
    )


def test_a_taker_is_rebuilt_and_what_its_makers_became_is_left_to_us(tmp_path: Path) -> None:
    flow = databento(
        tmp_path,
        (ADD, ASK, 1, 100, 2, LAST),
        (ADD, ASK, 2, 101, 5, LAST),
        (TRADE, BID, 9, 100, 2, MORE),
        (FILL, ASK, 1, 100, 2, MORE),
        (TRADE, BID, 9, 101, 1, MORE),
        (FILL, ASK, 2, 101, 1, MORE),
        (CANCEL, ASK, 1, 100, 2, MORE),
        (MODIFY, ASK, 2, 101, 4, LAST),
        (CANCEL, ASK, 2, 101, 4, LAST),
    )
    assert flow.steps == [
        Step("add", "1", False, 100, 2),
        Step("add", "2", False, 101, 5),
        Step("take", "T1", True, 101, 3),
        Step("cancel", "2"),
    ]
    assert flow.fills == {"T1": [Fill("1", 100, 2), Fill("2", 101, 1)]}


def test_an_amend_states_the_new_total(tmp_path: Path) -> None:
    flow = databento(
        tmp_path,
        (ADD, ASK, 1, 100, 5, LAST),
        (TRADE, BID, 9, 100, 2, MORE),
        (FILL, ASK, 1, 100, 2, MORE),
        (MODIFY, ASK, 1, 100, 3, LAST),
        (MODIFY, ASK, 1, 102, 4, LAST),
        (CANCEL, ASK, 1, 102, 1, LAST),
    )
    assert flow.steps[2:] == [
        Step("amend", "1", False, 102, 6),
        Step("amend", "1", False, 102, 5),
    ]


def test_whom_self_match_prevention_took_away_is_gone_before_the_taker_comes(
    tmp_path: Path,
) -> None:
    flow = databento(
        tmp_path,
        (ADD, ASK, 1, 100, 1, LAST),
        (ADD, ASK, 2, 100, 1, LAST),
        (TRADE, BID, 9, 100, 1, MORE),
        (FILL, ASK, 2, 100, 1, MORE),
        (CANCEL, ASK, 2, 100, 1, MORE),
        (CANCEL, ASK, 1, 100, 1, LAST),
    )
    assert [step.kind for step in flow.steps] == ["add", "add", "cancel", "take"]


def test_a_resting_order_that_was_moved_across_is_a_taker(tmp_path: Path) -> None:
    flow = databento(
        tmp_path,
        (ADD, BID, 1, 100, 1, LAST),
        (ADD, ASK, 2, 103, 2, LAST),
        (TRADE, ASK, 2, 100, 1, MORE),
        (FILL, ASK, 2, 100, 1, MORE),
        (FILL, BID, 1, 100, 1, MORE),
        (CANCEL, BID, 1, 100, 1, MORE),
        (MODIFY, ASK, 2, 100, 1, LAST),
    )
    assert flow.steps[2:] == [
        Step("take", "T1", False, 100, 1),
        Step("amend", "2", False, 100, 1),
    ]
    assert flow.fills == {"T1": [Fill("1", 100, 1)]}


def test_an_iceberg_shows_its_next_slice_as_another_order(tmp_path: Path) -> None:
    flow = databento(
        tmp_path,
        (ADD, ASK, 1, 100, 2, LAST),
        (TRADE, BID, 9, 100, 2, MORE),
        (FILL, ASK, 1, 100, 2, MORE),
        (MODIFY, ASK, 1, 100, 2, LAST),
        (TRADE, BID, 10, 100, 3, MORE),
        (FILL, ASK, 1, 100, 3, MORE),
        (CANCEL, ASK, 1, 100, 2, LAST),
    )
    assert flow.steps[2] == Step("add", "1.1", False, 100, 2)
    assert flow.hidden == {"T2"}


def test_what_gathers_for_an_auction_is_sent_once_it_has_uncrossed(tmp_path: Path) -> None:
    flow = databento(
        tmp_path,
        (ADD, BID, 1, 102, 1, LAST),
        (ADD, ASK, 2, 100, 3, LAST),
        (TRADE, NEITHER, 0, 101, 1, MORE),
        (FILL, NEITHER, 1, 101, 1, MORE),
        (FILL, NEITHER, 2, 101, 1, MORE),
        (CANCEL, BID, 1, 102, 1, MORE),
        (MODIFY, ASK, 2, 100, 2, LAST),
        (ADD, BID, 3, 99, 1, LAST),
    )
    assert flow.steps == [Step("add", "2", False, 100, 2), Step("add", "3", True, 99, 1)]
    assert flow.left_out == {"fills of an auction": 2}


BITSTAMP = """id,timestamp,exchange.timestamp,price,volume,action,direction
9,1,1,10.00,5,changed,ask
1,1,1,10.00,100,created,bid
2,2,2,9.5,40,created,ask
1,3,3,10.00,60,changed,bid
2,3,3,9.5,0,deleted,ask
1,4,4,10.00,50,changed,bid
1,5,5,10.00,50,deleted,bid
"""


def test_an_order_log_pairs_what_shrank_on_both_sides(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(BITSTAMP)
    flow = read_flow(file)
    assert flow.steps == [
        Step("add", "1", True, 1000, 100),
        Step("add", "2", False, 950, 40),
        Step("amend", "1", lots=90),
        Step("cancel", "1"),
    ]
    assert flow.fills == {"2": [Fill("1", 1000, 40)]}
    assert flow.left_out == {
        "changes of orders created before the log begins": 1,
        "fills against orders created before the log begins": 1,
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("flow.txt", b""),
        ("flow.dbn.zst", b"not zstd"),
        ("flow.csv.xz", b"not xz"),
        ("flow.csv", b"a,b\n1,2\n"),
    ],
)
def test_what_is_no_flow_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refused, match=r"\."):
        read_flow(tmp_path / name)
