"""The notifications room, wired."""

from bourse.notifications.v1 import rpc
from services.notifications.config import NotificationsConfig
from services.notifications.reader import NotificationsReader
from services.notifications.server import Notifications
from services.runtime.away import PostgresAway
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.log import open_log
from services.runtime.main import launch, run
from services.runtime.postgres import open_postgres
from services.runtime.readers import Readers
from services.runtime.rpc import serve, service
from services.runtime.telemetry import start_telemetry


async def main() -> None:
    config = load(NotificationsConfig)
    telemetry = start_telemetry("notifications", config.telemetry)
    log = await open_log(config.log)
    pool = await open_postgres(config.postgres, "notifications")
    every = [NotificationsReader(log, shard, pool, config) for shard in range(config.shards)]
    readers = Readers(log, SystemClock(), every)
    await readers.check(pool)
    for reader in every:
        await reader.open()
    server = Notifications(readers, config.backlog)
    entry = service(
        rpc.NOTIFICATIONS_SERVICE, rpc.add_NotificationsServiceServicer_to_server, server
    )
    await run(
        serve(config.listen_address(), entry, interceptors=[PostgresAway()]),
        *readers.run(),
        *readers.keep("notifications", config.postgres, telemetry),
        telemetry=telemetry,
    )


if __name__ == "__main__":
    launch(main)
