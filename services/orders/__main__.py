"""The orders room, wired."""

from bourse.orders.v1 import rpc
from services.orders.config import OrdersConfig
from services.orders.reader import OrdersReader
from services.orders.server import Orders
from services.runtime.away import PostgresAway
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.log import events_topic, open_log
from services.runtime.main import launch, run
from services.runtime.postgres import open_postgres
from services.runtime.readers import Readers
from services.runtime.rpc import serve, service
from services.runtime.telemetry import start_telemetry


async def main() -> None:
    config = load(OrdersConfig)
    telemetry = start_telemetry("orders", config.telemetry)
    log = await open_log(config.log)
    pool = await open_postgres(config.postgres, "orders")
    topics = [events_topic(shard) for shard in range(config.shards)]
    every = [OrdersReader(log, topic, pool, config.pause_s) for topic in topics]
    readers = Readers(log, SystemClock(), every)
    await readers.check(pool)
    for reader in every:
        await reader.open()
    server = Orders(pool, readers, config)
    entry = service(rpc.ORDERS_SERVICE, rpc.add_OrdersServiceServicer_to_server, server)
    await run(
        serve(config.listen_address(), entry, interceptors=[PostgresAway()]),
        *readers.run(),
        *readers.keep("orders", config.postgres, telemetry),
        telemetry=telemetry,
    )


if __name__ == "__main__":
    launch(main)
