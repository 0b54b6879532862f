"""The notifications room, wired."""

from bourse.notifications.v1 import rpc
from services.notifications.config import NotificationsConfig
from services.notifications.reader import NotificationsReader
from services.notifications.server import Notifications
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
    config = load(NotificationsConfig)
    telemetry = start_telemetry("notifications", config.telemetry)
    clock = SystemClock()
    topic = events_topic(config.shard)
    log = await open_log(config.log)
    await log.create(topic)
    pool = await open_postgres(config.postgres, "notifications")
    await same_log(pool, log, topic)
    reader = NotificationsReader(log, topic, pool, config)
    await reader.open()
    lag, holds = Lag(log, topic, clock), Holds(config.postgres)
    server = Notifications(reader, config.backlog, lag)
    entry = service(
        rpc.NOTIFICATIONS_SERVICE, rpc.add_NotificationsServiceServicer_to_server, server
    )
    await run(
        serve(config.listen_address(), entry),
        reader.run(),
        holds.keep(topic, "notifications", reader.held),
        lag.keep(lambda: reader.position.next_offset, telemetry),
        telemetry=telemetry,
    )


if __name__ == "__main__":
    launch(main)
