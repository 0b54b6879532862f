"""The ledger, wired."""

from bourse.ledger.v1 import rpc
from services.ledger.config import LedgerConfig
from services.ledger.outbox import Outbox
from services.ledger.reader import Bookkeeper, LedgerReader
from services.ledger.server import Ledger
from services.runtime.choice import Choice
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
    config = load(LedgerConfig)
    telemetry = start_telemetry("ledger", config.telemetry)
    clock = SystemClock()
    topic = events_topic(config.shard)
    log = await open_log(config.log)
    await log.create(topic)
    pool = await open_postgres(config.postgres, "ledger")
    await same_log(pool, log, topic)
    keeper = Bookkeeper(pool, topic)
    await keeper.open()
    outbox = Outbox(pool, Choice(config.address_of("matching")))
    reader = LedgerReader(log, topic, keeper, config.pause_s)
    lag, holds = Lag(log, topic, clock), Holds(config.postgres)
    server = Ledger(pool, keeper, outbox, config, clock, lag)
    entry = service(rpc.LEDGER_SERVICE, rpc.add_LedgerServiceServicer_to_server, server)
    await run(
        serve(config.listen_address(), entry),
        reader.run(),
        outbox.run(),
        holds.keep(topic, "ledger", keeper.held),
        lag.keep(lambda: keeper.place.position.next_offset, telemetry),
        telemetry=telemetry,
    )


if __name__ == "__main__":
    launch(main)
