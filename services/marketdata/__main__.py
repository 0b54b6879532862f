"""The marketdata room, wired."""

from bourse.marketdata.v1 import rpc
from bourse.matching.v1.rpc import MatchingServiceStub
from services.marketdata.config import MarketdataConfig
from services.marketdata.reader import MarketdataReader
from services.marketdata.server import Marketdata
from services.marketdata.tape import Tape
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
    config = load(MarketdataConfig)
    telemetry = start_telemetry("marketdata", config.telemetry)
    clock = SystemClock()
    topic = events_topic(config.shard)
    log = await open_log(config.log)
    await log.create(topic)
    pool = await open_postgres(config.postgres, "marketdata")
    await same_log(pool, log, topic)
    tape = Tape(pool, topic, config)
    core = MatchingServiceStub(Choice(config.address_of("matching")))
    reader = MarketdataReader(log, topic, tape, core, config)
    await reader.open()
    lag, holds = Lag(log, topic, clock), Holds(config.postgres)
    server = Marketdata(reader, config, lag)
    entry = service(rpc.MARKETDATA_SERVICE, rpc.add_MarketdataServiceServicer_to_server, server)
    try:
        await run(
            serve(config.listen_address(), entry),
            reader.run(),
            reader.keep(),
            reader.tell(),
            holds.keep(topic, "marketdata", tape.held),
            lag.keep(lambda: tape.place.position.next_offset, telemetry),
            telemetry=telemetry,
        )
    finally:
        await tape.close()


if __name__ == "__main__":
    launch(main)
