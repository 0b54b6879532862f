"""The marketdata room, wired."""

from bourse.marketdata.v1 import rpc
from bourse.matching.v1.rpc import MatchingServiceStub
from services.marketdata.config import MarketdataConfig
from services.marketdata.reader import MarketdataReader
from services.marketdata.server import Marketdata
from services.marketdata.tape import Tape
from services.runtime.away import PostgresAway
from services.runtime.choice import Choice
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.log import Log, open_log
from services.runtime.main import launch, run
from services.runtime.postgres import Pool, open_postgres
from services.runtime.readers import Readers
from services.runtime.rpc import serve, service
from services.runtime.telemetry import start_telemetry


async def main() -> None:
    config = load(MarketdataConfig)
    telemetry = start_telemetry("marketdata", config.telemetry)
    log = await open_log(config.log)
    pool = await open_postgres(config.postgres, "marketdata")
    every = [_reader(log, pool, shard, config) for shard in range(config.shards)]
    readers = Readers(log, SystemClock(), every)
    await readers.check(pool)
    for reader in every:
        await readers.guard(reader, reader.open)
    server = Marketdata(readers, config)
    entry = service(rpc.MARKETDATA_SERVICE, rpc.add_MarketdataServiceServicer_to_server, server)
    parts = [
        part
        for one in every
        if not one.stopped
        for part in (one.keep(), one.tell(), one.tape.look_after())
    ]
    try:
        await run(
            serve(config.listen_address(), entry, interceptors=[PostgresAway()]),
            *readers.run(),
            *parts,
            *readers.keep("marketdata", config.postgres, telemetry),
            telemetry=telemetry,
        )
    finally:
        for reader in every:
            await reader.tape.close()


def _reader(log: Log, pool: Pool, shard: int, config: MarketdataConfig) -> MarketdataReader:
    core = MatchingServiceStub(Choice(config.address_of("matching", shard)))
    return MarketdataReader(log, Tape(pool, shard, config), core, config)


if __name__ == "__main__":
    launch(main)
