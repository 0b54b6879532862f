"""Wires the owner of the embedded ClickHouse."""

from services.clickhouse.config import ClickHouseOwnerConfig
from services.clickhouse.server import serve_http
from services.clickhouse.store import Store
from services.runtime.config import load, run_folder
from services.runtime.main import launch, run
from services.runtime.telemetry import start_telemetry


async def main() -> None:
    config = load(ClickHouseOwnerConfig)
    telemetry = start_telemetry("clickhouse", config.telemetry)
    folder = config.data / "clickhouse"
    store = Store(folder, config.threads, config.waiting, config.result_bytes)
    port_file = run_folder(config.data) / "clickhouse.port"
    try:
        await run(serve_http(config, store, port_file), telemetry=telemetry)
    finally:
        store.close()


if __name__ == "__main__":
    launch(main)
