"""The accounts room, wired."""

from bourse.accounts.v1 import rpc
from services.accounts import store
from services.accounts.config import AccountsConfig
from services.accounts.server import Accounts, master_key
from services.runtime.away import PostgresAway
from services.runtime.clock import SystemClock
from services.runtime.config import load
from services.runtime.main import launch, run
from services.runtime.postgres import open_postgres
from services.runtime.rpc import serve, service
from services.runtime.telemetry import start_telemetry


async def main() -> None:
    config = load(AccountsConfig)
    telemetry = start_telemetry("accounts", config.telemetry)
    pool = await open_postgres(config.postgres, "accounts")
    holding = await store.keys_that_hold(pool)
    key = master_key(config.master_key(), may_create=not holding)
    server = Accounts(pool, key, SystemClock(), config.heartbeat_s)
    entry = service(rpc.ACCOUNTS_SERVICE, rpc.add_AccountsServiceServicer_to_server, server)
    await run(
        serve(config.listen_address(), entry, interceptors=[PostgresAway()]), telemetry=telemetry
    )


if __name__ == "__main__":
    launch(main)
