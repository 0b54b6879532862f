"""The orders room, wired."""

from bourse.orders.v1 import rpc
from services.orders.config import OrdersConfig
from services.orders.reader import OrdersReader
from services.orders.server import Orders
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.log import open_log
from services.runtime.main import launch, run
from services.runtime.postgres import open_postgres
from services.runtime.readers import Readers, open_events
from services.runtime.rpc import serve, service
from services.runtime.telemetry import start_telemetry


async def main() -> None:
    config = load(OrdersConfig)
    telemetry = start_telemetry("orders", config.telemetry)
    log = await open_log(config.log)
    pool = await open_postgres(config.postgres, "orders")
    topics = await open_events(log, pool, config.shards)
    every = [OrdersReader(log, topic, pool, config.pause_s) for topic in topics]
    for reader in every:
        await reader.open()
    readers = Readers(log, SystemClock(), every)
    server = Orders(pool, readers, config)
    entry = service(rpc.ORDERS_SERVICE, rpc.add_OrdersServiceServicer_to_server, server)
    await run(
        serve(config.listen_address(), entry),
        *(reader.run() for reader in every),
        *readers.keep("orders", config.postgres, telemetry),
        telemetry=telemetry,
    )


if __name__ == "__main__":
    launch(main)
