"""The HTTP that clients of ClickHouse speak, as far as the house and its tools use it."""

import asyncio
import base64
import binascii
import hmac
import secrets
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import orjson
import structlog
from aiohttp import hdrs, web

from services.clickhouse.config import ClickHouseOwnerConfig
from services.clickhouse.state import BadRequest, understand
from services.clickhouse.store import Answer, Busy, Refused, Store

USER: Final = "bourse"
HOST: Final = "127.0.0.1"
_WRONG_KEY: Final = 516
_TOO_MANY: Final = 202
_SYNTAX_ERROR: Final = 62
_STOP_S: Final = 10.0
_UNPACKED: Final = ("identity", "gzip", "deflate")
"""How a body may be packed: what the web server unpacks by itself."""

_log = structlog.get_logger("clickhouse")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Face:
    """One HTTP server in front of the store."""

    def __init__(self, store: Store, key: str, body_bytes: int) -> None:
        self._store = store
        self._key = key
        self.app = web.Application(client_max_size=body_bytes, middlewares=[self._guard])
        self.app.router.add_get("/ping", self._ping)
        self.app.router.add_get("/health", self._health)
        self.app.router.add_route("GET", "/", self._ask)
        self.app.router.add_route("POST", "/", self._ask)

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """SQL can read files, so even on this machine only those may ask who can read the key."""
        if request.path in ("/ping", "/health") or self._has_key(request):
            return await handler(request)
        return _failed(403, _WRONG_KEY, "Authentication failed. (AUTHENTICATION_FAILED)")

    def _has_key(self, request: web.Request) -> bool:
        given = request.headers.get("X-ClickHouse-Key", "")
        scheme, _, encoded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(encoded).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        return hmac.compare_digest(given.encode(), self._key.encode())

    async def _ping(self, _request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _health(self, _request: web.Request) -> web.Response:
        """Whether a statement is answered, not only a request."""
        try:
            await self._store.ask(understand({}, b"SELECT 1"))
        except (Refused, Busy) as error:
            return web.json_response({"status": "degraded", "reason": str(error)}, status=503)
        return web.json_response({"status": "serving"})

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        try:
            arguments, body = await _read(request)
            question = understand(arguments, body)
            return _answered(await self._store.ask(question), question.format)
        except BadRequest as error:
            return _failed(400, _SYNTAX_ERROR, str(error))
        except Refused as error:
            return _failed(400, error.code, str(error))
        except Busy as error:
            return _failed(503, _TOO_MANY, str(error))


async def _read(request: web.Request) -> tuple[dict[str, str], bytes]:
    """Arguments and body. A form's fields are arguments, as long statements are sent that way."""
    arguments = dict(request.query)
    if request.content_type == "multipart/form-data":
        fields = await request.post()
        if not all(isinstance(value, str) for value in fields.values()):
            raise BadRequest("Files beside a statement are not taken.")
        return arguments | {name: str(value) for name, value in fields.items()}, b""
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity")
    if encoding not in _UNPACKED:
        raise BadRequest(f"Bodies packed as {encoding} are not taken. Ask with compress=False.")
    return arguments, await request.read()


def _answered(answer: Answer, form: str | None) -> web.Response:
    counts = {
        "read_rows": str(answer.rows),
        "read_bytes": str(answer.read_bytes),
        "written_rows": str(answer.rows if form is None else 0),
        "written_bytes": str(answer.read_bytes if form is None else 0),
        "elapsed_ns": str(answer.elapsed_ns),
    }
    headers = {
        "X-ClickHouse-Summary": orjson.dumps(counts).decode(),
        "X-ClickHouse-Query-Id": str(uuid.uuid4()),
        "X-ClickHouse-Timezone": "UTC",
    }
    if form is not None:
        headers["X-ClickHouse-Format"] = form
    return web.Response(body=answer.body, headers=headers)


def _failed(status: int, code: int, message: str) -> web.Response:
    text = message if message.startswith("Code: ") else f"Code: {code}. DB::Exception: {message}"
    return web.Response(
        status=status, text=f"{text}\n", headers={"X-ClickHouse-Exception-Code": str(code)}
    )


async def serve_http(config: ClickHouseOwnerConfig, store: Store, port_file: Path) -> None:
    """Serve until cancelled, then let statements under way end.

    The port and, in a file beside it that only we can read, the key are what they were before if
    that can be: those who knew us go on as if nothing had been.
    """
    key = _keep_key(port_file.with_suffix(".key"))
    runner = web.AppRunner(Face(store, key, config.body_bytes).app, access_log=None)
    await runner.setup()
    try:
        port = await _listen(runner, config.port or _former_port(port_file))
        _write(port_file, str(port))
        _log.info("listening", port=port)
        await asyncio.Event().wait()
    finally:
        async with asyncio.timeout(_STOP_S):
            await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> int:
    """Listen on a port, or on another if it is taken and nobody asked for it by name."""
    try:
        site = web.TCPSite(runner, HOST, port, reuse_address=True)
        await site.start()
    except OSError:
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
    return int(runner.addresses[-1][1])


def _former_port(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _keep_key(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        key = secrets.token_urlsafe(32)
        _write(file, key)
        return key


def _write(file: Path, text: str) -> None:
    """Put a file in its place whole, for us alone."""
    half = file.with_suffix(".new")
    half.unlink(missing_ok=True)
    half.touch(mode=0o600)
    half.write_text(text)
    half.rename(file)
