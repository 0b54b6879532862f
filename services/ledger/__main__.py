"""The ledger, wired."""

from functools import partial

from bourse.ledger.v1 import rpc
from services.ledger.config import LedgerConfig
from services.ledger.moves import Limits
from services.ledger.outbox import Outbox
from services.ledger.reader import Bookkeeper, LedgerReader, bring_home
from services.ledger.server import Ledger
from services.runtime.away import PostgresAway
from services.runtime.choice import Choice
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.log import open_log
from services.runtime.main import launch, run
from services.runtime.postgres import open_postgres
from services.runtime.readers import Readers
from services.runtime.rpc import serve, service
from services.runtime.telemetry import start_telemetry


async def main() -> None:
    config = load(LedgerConfig)
    telemetry = start_telemetry("ledger", config.telemetry)
    clock, shards = SystemClock(), range(config.shards)
    log = await open_log(config.log)
    pool = await open_postgres(config.postgres, "ledger")
    limits = Limits(config.moves_per_account, config.moves_per_pair)
    keeper = Bookkeeper(pool, config.shards, limits)
    every = [LedgerReader(log, shard, keeper, config.pause_s) for shard in shards]
    readers = Readers(log, clock, every)
    await readers.check(pool)
    await keeper.open()
    cores = [Choice(config.address_of("matching", shard)) for shard in shards]
    outboxes = [
        Outbox(pool, cores[shard], shard, keeper.numbered[shard], partial(keeper.is_posted, shard))
        for shard in shards
    ]
    server = Ledger(pool, keeper, readers, config, clock)
    entry = service(rpc.LEDGER_SERVICE, rpc.add_LedgerServiceServicer_to_server, server)
    await run(
        serve(config.listen_address(), entry, interceptors=[PostgresAway()]),
        *readers.run(),
        *(outbox.run() for outbox in outboxes),
        bring_home(keeper, clock),
        *readers.keep("ledger", config.postgres, telemetry),
        telemetry=telemetry,
    )


if __name__ == "__main__":
    launch(main)
