"""What a room says is kept, within bounds; what is severe is shown, within bounds."""

from pathlib import Path

from services.cli.logs import SHOWN_PER_MINUTE, Listener, LogFile, read_line


def test_a_log_file_never_grows_beyond_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "room.log"
    log = LogFile(file, limit_bytes=100)
    for number in range(50):
        log.write(b"%04d line\n" % number)
    log.close()
    kept = (tmp_path / "room.1.log").read_text() + file.read_text()
    assert file.stat().st_size <= 100
    assert kept.endswith("0049 line\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["room.1.log", "room.log"]


def test_a_log_file_that_cannot_be_put_aside_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    aside = tmp_path / "room.1.log"
    aside.mkdir()
    log = LogFile(tmp_path / "room.log", limit_bytes=20)
    for number in range(5):
        log.write(b"%04d line\n" % number)
    aside.rmdir()
    log.write(b"0005 line\n")
    log.close()
    assert (tmp_path / "room.log").read_text() == "0005 line\n"
    assert aside.read_text() == "0000 line\n0001 line\n"


def test_a_log_file_goes_on_where_it_stopped(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        log = LogFile(tmp_path / "room.log")
        log.write(line)
        log.close()
    assert (tmp_path / "room.log").read_text() == "one\ntwo\n"


def test_errors_are_shown_and_the_rest_only_kept(tmp_path: Path) -> None:
    shown: list[str] = []
    listener = Listener(LogFile(tmp_path / "room.log"), shown.append)
    listener.hear(b'{"event": "started", "level": "info"}\n')
    listener.hear(b'{"event": "failed", "why": "no disk", "level": "error", "room": "ledger"}\n')
    listener.hear(b"plain words\n")
    assert shown == ["failed why=no disk"]
    listener.close()
    assert listener.last_words() == "no disk", "that explains more"
    listener.forget()
    assert listener.last_words() == ""
    assert len((tmp_path / "room.log").read_text().splitlines()) == 3


def test_a_room_that_cries_without_end_is_heard_a_few_times(tmp_path: Path) -> None:
    shown: list[str] = []
    listener = Listener(LogFile(tmp_path / "room.log"), shown.append)
    for _ in range(100):
        listener.hear(b'{"event": "failed", "level": "error"}')
    listener.close()
    assert len(shown) == SHOWN_PER_MINUTE
    assert len((tmp_path / "room.log").read_text().splitlines()) == 100


def test_a_line_is_read_whatever_it_is() -> None:
    assert read_line('{"event": "a", "level": "critical"}') == ("a", True)
    assert read_line("[1]") == ("[1]", False)
    assert read_line("{") == ("{", False)
    assert read_line('{"event": "a\\nb", "level": "info", "n": 1}') == ("a", False)
