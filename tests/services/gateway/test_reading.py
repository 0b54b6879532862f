"""A field given twice is refused wherever JSON is read; nothing else is taken for one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import shapes
from services.gateway.problems import Problem
from services.gateway.reading import Reader, repeated
from tests.services.gateway.world import gateway, story

ORDERS = Reader(shapes.NewOrder)
NAMES = st.sampled_from(["price", "side", ":", '"', "a:b", "\\", "é", "\n"])
VALUES = st.one_of(st.text(alphabet=':"\\,{}é\n', max_size=6), st.booleans(), st.integers())


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), st.booleans())
def test_a_name_is_repeated_if_it_stands_twice(
    members: list[tuple[str, object]], plain: bool
) -> None:
    written = (
        f"{json.dumps(name, ensure_ascii=plain)} : {json.dumps(value, ensure_ascii=plain)}"
        for name, value in members
    )
    names = [name for name, _ in members]
    expected = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    assert repeated(f"{{{','.join(written)}}}".encode()) == expected


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"instrument":"X-Y","side":"buy","side":"sell"}', "/side"),
        (b'{"instrument":"X-Y","side":"buy","instrument":"X-Y"}', "/instrument"),
        (b'{"instrument":"X-Y","side":"buy","price":1,"price":"1"}', "/price"),
        (b'{"instrument":"X-Y","side":"buy","price":"1","pric\\u0065":"2"}', "/price"),
        (b'{"instrument":"a:b","side":"buy","price":"1","price":"2"}', "/price"),
    ],
)
def test_a_field_given_twice_is_named(body: bytes, pointer: str) -> None:
    with pytest.raises(Problem) as caught:
        ORDERS.body(body)
    told = [(error.pointer, error.detail) for error in caught.value.errors]
    assert (caught.value.code, told) == ("invalid_value", [(pointer, "It is given twice.")])


def test_it_is_told_beside_other_mistakes() -> None:
    with pytest.raises(Problem) as caught:
        ORDERS.body(b'{"instrument":"X-Y","sid":"buy","price":"1","price":"1"}')
    assert caught.value.code == "unknown_field"
    assert [error.pointer for error in caught.value.errors] == ["/sid", "/side", "/price"]


@pytest.mark.parametrize("name", ["a:b:c", ":", "::::", "price:1", r"a\u003ab"])
def test_a_colon_in_a_value_is_no_field(name: str) -> None:
    body = f'{{"instrument":"X-Y","side":"buy","client_order_id":"{name}"}}'.encode()
    assert ORDERS.body(body).client_order_id == name.replace(r"\u003a", ":")


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b'{"a":1,"a":' + b"9" * 60_000 + b"}", {"unknown_field"}),
        (b'{"side":"\x01","side":"\xff"}', {"malformed_json"}),
        (b'{"a":' * 12_000, {"malformed_json"}),
        (b'{"side":"buy","side":' + b"[" * 60_000, {"malformed_json", "invalid_value"}),
    ],
    ids=["digits", "bytes", "depth", "depth again"],
)
def test_what_is_twice_and_worse_is_refused_all_the_same(body: bytes, codes: set[str]) -> None:
    with pytest.raises(Problem) as caught:
        ORDERS.body(body)
    assert caught.value.code in codes


@pytest.mark.parametrize(
    "message",
    [
        '{"op":"ping","id":1,"id":2}',
        '{"op":"ping","op":"ping","id":2}',
        '{"op":"subscribe","channels":[],"channels":["trades.BTC-USD"],"id":2}',
        '{"op":"subscribe","channels":["trades.BTC-USD"],"chann\\u0065ls":[],"id":2}',
    ],
)
def test_a_socket_refuses_a_field_given_twice(message: str, tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client), client.socket() as socket:
            await socket.send_str(message)
            answer = await socket.receive_json()
            assert (answer["type"], answer["code"], answer["id"]) == ("error", "invalid_value", 2)
            assert "given twice" in answer["detail"]

    story(told)
