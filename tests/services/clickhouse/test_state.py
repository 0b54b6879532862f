"""Which statement a request holds, and which bytes are its data."""

import pytest

from services.clickhouse.state import BadRequest, Insert, understand


def test_text_in_the_argument_and_in_the_body_is_one_statement() -> None:
    assert understand({"query": "SELECT"}, b"1").statement == "SELECT\n1"
    assert understand({}, b"SELECT 1").statement == "SELECT 1"
    assert understand({"query": "SELECT 1"}, b"").statement == "SELECT 1"


@pytest.mark.parametrize(
    ("text", "insert"),
    [
        (b"INSERT INTO t FORMAT TSV\n1\n", Insert("INSERT INTO t", "", "TSV", b"1\n")),
        (
            b"insert into `d`.`t` (`a`, `b`) format Native\n\x00\n\xff;",
            Insert("insert into `d`.`t` (`a`, `b`)", "", "Native", b"\x00\n\xff;"),
        ),
        (
            b"INSERT INTO t\n(a) SETTINGS async_insert = 0 FORMAT CSV\n1",
            Insert("INSERT INTO t\n(a)", "async_insert = 0", "CSV", b"1"),
        ),
        (b"INSERT INTO t FORMAT Native", Insert("INSERT INTO t", "", "Native", b"")),
    ],
)
def test_an_insert_with_data_is_taken_apart(text: bytes, insert: Insert) -> None:
    assert understand({}, text).statement == insert


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO t VALUES (1)",
        b"INSERT INTO t SELECT * FROM s",
        b"INSERT INTO t SELECT 1 FORMAT Null\n",
        b"INSERT INTO t FORMAT Values (1), (2)",
        b"SELECT 'INSERT INTO t FORMAT TSV\n1'",
    ],
)
def test_any_other_statement_stays_as_it_is(text: bytes) -> None:
    assert understand({}, text).statement == text.decode()


def test_the_token_and_the_settings_of_the_statement_stand_together() -> None:
    insert = Insert("INSERT INTO t", "async_insert = 0", "TSV", b"")
    assert insert.sql("/f", "it's") == (
        "INSERT INTO t FROM INFILE '/f'"
        " SETTINGS insert_deduplication_token = 'it\\'s', async_insert = 0 FORMAT TSV"
    )
    assert insert._replace(settings="").sql("/f", "") == "INSERT INTO t FROM INFILE '/f' FORMAT TSV"


def test_arguments_are_settings_parameters_or_the_transports() -> None:
    question = understand(
        {
            "query": "SELECT 1",
            "database": "d",
            "session_id": "x",
            "max_threads": "2",
            "allow_ddl": "1",
            "insert_deduplication_token": "t",
            "param_a": "5",
        },
        b"",
    )
    assert question.database == "d"
    assert question.settings == (("allow_ddl", "1"), ("max_threads", "2"))
    assert question.token == "t"
    assert question.parameters == {"a": "5"}


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({}, b" \n"),
        ({"a = 1, b": "2"}, b"SELECT 1"),
        ({"x'": "2"}, b"SELECT 1"),
        ({}, b"SELECT \xff"),
    ],
)
def test_what_cannot_be_passed_on_is_refused(arguments: dict[str, str], body: bytes) -> None:
    with pytest.raises(BadRequest):
        understand(arguments, body)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("SELECT 1", "TabSeparated"),
        ("SELECT 1\n FORMAT Native", "Native"),
        ("(SELECT 1) FORMAT JSON;", "JSON"),
        ("CREATE TABLE t (a UInt8)", None),
        ("INSERT INTO t VALUES (1)", None),
    ],
)
def test_the_format_of_the_answer_is_known_beforehand(text: str, form: str | None) -> None:
    assert understand({}, text.encode()).format == form
