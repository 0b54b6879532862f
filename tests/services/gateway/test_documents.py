"""The documents hold together, and cover what is served."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.domain.words import ORDER_TYPE_OF, TIME_IN_FORCE_OF
from services.gateway import documents
from services.gateway.problems import CODES
from services.gateway.shapes import NewOrder
from tests.services.gateway.world import gateway, story


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for child in node.values():
            yield from _refs(child)
    elif isinstance(node, list):
        for child in node:
            yield from _refs(child)


def _resolves(document: Any, ref: str) -> bool:
    node = document
    for part in ref.removeprefix("#/").split("/"):
        if part not in node:
            return False
        node = node[part]
    return True


def test_both_are_served_and_every_reference_leads_somewhere(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (_, client):
            for name, version in (("openapi", "3.1.0"), ("asyncapi", "3.0.0")):
                answer = await client.ask("GET", f"/api/v1/{name}.json")
                assert answer.body[name] == version
                refs = set(_refs(answer.body))
                assert refs
                assert {ref for ref in refs if not _resolves(answer.body, ref)} == set()

    story(told)


def test_openapi_has_every_route_and_every_code(tmp_path: Path) -> None:
    async def told() -> None:
        async with gateway(tmp_path) as (house, _):
            document = documents.openapi(house.routes)
            served = {(route.path, route.method.lower()) for route in house.routes}
            paths = document["paths"]
            assert {(path, method) for path in paths for method in paths[path]} == served
            operations = [operation for path in paths.values() for operation in path.values()]
            ids = [operation["operationId"] for operation in operations]
            assert len(ids) == len(set(ids))
            said = json.dumps(operations)
            unsaid = {code for code in CODES if f"`{code}`" not in said}
            # Of these, two belong to no route, one to credits, one to keys bound to an address.
            assert unsaid == {
                "route_unknown",
                "method_not_allowed",
                "asset_cap",
                "address_not_allowed",
            }

    story(told)


def test_an_order_is_described_as_it_is_validated() -> None:
    schema = documents._schemas([NewOrder])["NewOrder"]
    assert schema["required"] == ["instrument", "side"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["quantity"]["pattern"] == r"^[0-9]+(\.[0-9]+)?$"
    assert set(schema["properties"]["type"]["enum"]) == set(ORDER_TYPE_OF)
    assert set(schema["properties"]["time_in_force"]["enum"]) == set(TIME_IN_FORCE_OF)


def test_asyncapi_names_every_channel() -> None:
    document = documents.asyncapi()
    for channel in documents.SAID:
        assert f"`{channel}`" in document["info"]["description"]
    messages = document["components"]["messages"]
    assert {"Subscribe", "Snapshot", "Update", "OrderMessage", "Closing"} <= messages.keys()
