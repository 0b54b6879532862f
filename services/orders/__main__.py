"""The orders room, wired."""

from bourse.orders.v1 import rpc
from services.orders.config import OrdersConfig
from services.orders.reader import OrdersReader
from services.orders.server import Orders
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.holds import Holds
from services.runtime.lag import Lag
from services.runtime.log import events_topic, open_log
from services.runtime.main import launch, run
from services.runtime.place import same_log
from services.runtime.postgres import open_postgres
from services.runtime.rpc import serve, service
from services.runtime.telemetry import start_telemetry


async def main() -> None:
    config = load(OrdersConfig)
    telemetry = start_telemetry("orders", config.telemetry)
    clock = SystemClock()
    topic = events_topic(config.shard)
    log = await open_log(config.log)
    await log.create(topic)
    pool = await open_postgres(config.postgres, "orders")
    await same_log(pool, log, topic)
    reader = OrdersReader(log, topic, pool, config.pause_s)
    await reader.open()
    lag, holds = Lag(log, topic, clock), Holds(config.postgres)
    server = Orders(pool, topic, reader, config, lag)
    entry = service(rpc.ORDERS_SERVICE, rpc.add_OrdersServiceServicer_to_server, server)
    await run(
        serve(config.listen_address(), entry),
        reader.run(),
        holds.keep(topic, "orders", reader.held),
        lag.keep(lambda: reader.place.position.next_offset, telemetry),
        telemetry=telemetry,
    )


if __name__ == "__main__":
    launch(main)
