"""The least a stream can do: a bare gRPC server that answers each batch with twice its bytes.

A real answer is about as long: each order stands in it as it is after the command.

python -m tools.benches.stream_echo ADDRESS        serves there until it is ended
"""

import sys
from collections.abc import AsyncIterator
from typing import Final

from services.runtime.main import launch
from services.runtime.rpc import Context, raw_service, serve

SERVICE: Final = "bourse.bench.EchoService"


async def echo(requests: AsyncIterator[bytes], _context: Context) -> AsyncIterator[bytes]:
    """Twice the bytes."""
    async for request in requests:
        yield request + request


async def main() -> None:
    await serve(sys.argv[1], raw_service(SERVICE, {"Submit": echo}))


if __name__ == "__main__":
    launch(main)
