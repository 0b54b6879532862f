"""The least a server of this kind can do: a bare aiohttp that gives back the body it was sent.

python -m tools.benches.echo        prints its port, then serves until it is ended
"""

import asyncio

import uvloop
from aiohttp import web


async def echo(request: web.Request) -> web.Response:
    """The same body, as JSON."""
    return web.Response(body=await request.read(), status=201, content_type="application/json")


async def main() -> None:
    """Serve on a free port of this machine."""
    application = web.Application()
    application.router.add_post("/api/v1/orders", echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
