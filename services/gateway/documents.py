"""The OpenAPI 3.1 and AsyncAPI 3 documents, made of what serves: the routes and the shapes.

Nothing is written down twice, so a document cannot say what the code does not do.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from services.domain import signing
from services.gateway import messages, shapes
from services.gateway.private import CHANNELS as PRIVATE
from services.gateway.problems import CODES
from services.gateway.rest import PREFIX, Route
from services.gateway.tokens import AFTER_HEADER, SEQUENCE_HEADER

Json = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_INFO: Final = {"title": "Bourse", "version": "1", "license": {"name": "Apache-2.0"}}
_SIGNED: Final = ("key_unknown", "signature_invalid", "timestamp_outside_window")
_PRIVATE: Final = (*_SIGNED, "scope_missing", "rate_limited", "unavailable")
_PATH_SHAPES: Final = {
    "order_id": {"type": "string", "pattern": "^[1-9][0-9]*$"},
    "client_order_id": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,36}$"},
    "instrument": {"type": "string", "examples": ["BTC-USD"]},
}

SAID: Final[Mapping[str, tuple[type[msgspec.Struct], ...]]] = {
    "orderbook.{instrument}": (shapes.Snapshot, shapes.Update),
    "trades.{instrument}": (messages.TradeMessage,),
    "ticker.{instrument}": (messages.TickerMessage,),
    "auction.{instrument}": (messages.AuctionMessage,),
    "candles.{instrument}.{interval}": (messages.CandleMessage,),
    "user.orders": (messages.OrderMessage,),
    "user.fills": (messages.FillMessage,),
    "user.balances": (messages.BalanceMessage,),
}
"""What is said on which channel of the socket."""

ASKED: Final[tuple[type[msgspec.Struct], ...]] = (
    messages.Subscribe,
    messages.Unsubscribe,
    messages.Authenticate,
    messages.Ping,
)
ANSWERED: Final[tuple[type[msgspec.Struct], ...]] = (
    messages.Subscribed,
    messages.Unsubscribed,
    messages.Authenticated,
    messages.Pong,
    messages.ErrorMessage,
    messages.Closing,
)


def openapi(routes: Sequence[Route]) -> Json:
    """The OpenAPI document of the routes."""
    schemas = _schemas(_types_of(routes))
    paths: Json = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    used = {name: schema for name, schema in schemas.items() if not name.endswith("Query")}
    return {
        "openapi": "3.1.0",
        "info": {**_INFO, "summary": "The native REST API. docs/api.md says what it means."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": used, "securitySchemes": _security_schemes()},
    }


def _types_of(routes: Iterable[Route]) -> list[type[msgspec.Struct]]:
    types: dict[type[msgspec.Struct], None] = {shapes.ProblemDetails: None}
    for route in routes:
        types |= {route.answer: None, route.query.shape: None}
        if route.body is not None:
            types |= {route.body.shape: None}
    return list(types)


def _schemas(types: Iterable[type[msgspec.Struct]]) -> Json:
    """The JSON schemas of the types and of all that they are made of, by name."""
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    return dict(sorted(components.items()))


def _operation(route: Route, schemas: Json) -> Json:
    operation: Json = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": _parameters(route, schemas),
        "responses": _responses(route),
    }
    if route.body is not None:
        content = {"application/json": {"schema": _ref(route.body.shape)}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.scope is not None:
        operation["description"] = f"Needs a key with the scope `{route.scope}`."
        operation["security"] = [{"key": [], "timestamp": [], "signature": []}]
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall(r"[a-z]+", route.path.removeprefix(PREFIX))
    root = "" if route.path.startswith(PREFIX) else "_root"
    return "_".join([route.method.lower(), *words]) + root


def _parameters(route: Route, schemas: Json) -> list[Json]:
    names = re.findall(r"{(\w+)}", route.path)
    path = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SHAPES[name]}
        for name in names
    ]
    query = schemas[route.query.shape.__name__]
    required = query.get("required", ())
    asked = [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in query["properties"].items()
    ]
    header = {
        "name": AFTER_HEADER,
        "in": "header",
        "description": f"The {SEQUENCE_HEADER} of an answer: wait until that much is visible.",
        "schema": {"type": "string"},
    }
    return [*path, *asked, *([header] if route.method == "GET" else [])]


def _responses(route: Route) -> Json:
    content = {"application/json": {"schema": _ref(route.answer)}}
    headers = {SEQUENCE_HEADER: {"schema": {"type": "string"}}} if route.scope else {}
    responses: Json = {
        str(status): {"description": "As asked.", "headers": headers, "content": content}
        for status in route.statuses
    }
    for status, codes in sorted(_codes(route).items()):
        problem = {"application/problem+json": {"schema": _ref(shapes.ProblemDetails)}}
        said = " · ".join(f"`{code}`" for code in codes)
        known = responses.get(str(status), {"description": "", "content": {}})
        responses[str(status)] = {
            **known,
            "description": f"{known['description']} {said}".lstrip(),
            "content": {**known["content"], **problem},
        }
    return responses


def _codes(route: Route) -> dict[int, list[str]]:
    """The codes a route can be refused with, by status."""
    codes = ["unknown_field", "invalid_value", "unavailable", *_SIGNED, "rate_limited"]
    if route.method == "GET":
        codes.append("lagging")
    if route.body is not None:
        codes += ["malformed_json", "missing_field", "body_too_large", "content_type_unsupported"]
    if route.scope is not None:
        codes += _PRIVATE
    by_status: dict[int, list[str]] = {}
    for code in CODES:
        if code in {*codes, *route.codes}:
            by_status.setdefault(CODES[code].status, []).append(code)
    return by_status


def _security_schemes() -> Json:
    headers = {
        "key": (signing.KEY_HEADER, "The key's public id."),
        "timestamp": (signing.TIMESTAMP_HEADER, "Milliseconds since 1970 UTC."),
        "signature": (
            signing.SIGNATURE_HEADER,
            "Lower-case hex HMAC-SHA256 of timestamp, window, method, target and the body's"
            " SHA-256, each on a line; see docs/api.md.",
        ),
    }
    return {
        name: {"type": "apiKey", "in": "header", "name": header, "description": description}
        for name, (header, description) in headers.items()
    }


def _ref(shape: type[msgspec.Struct]) -> Json:
    return {"$ref": _REF.format(name=shape.__name__)}


def asyncapi() -> Json:
    """The AsyncAPI document of the socket."""
    told = [shape for said in SAID.values() for shape in said]
    shown = [*ASKED, *ANSWERED, *told]
    names = {shape.__name__: {"$ref": f"#/components/messages/{shape.__name__}"} for shape in shown}
    topics = "\n".join(
        f"- `{name}`: {', '.join(shape.__name__ for shape in said)}" for name, said in SAID.items()
    )
    return {
        "asyncapi": "3.0.0",
        "info": {**_INFO, "description": f"Channels to subscribe to:\n\n{topics}"},
        "defaultContentType": "application/json",
        "servers": {"here": {"host": "127.0.0.1:8080", "protocol": "ws"}},
        "channels": {"socket": {"address": "/ws", "messages": names}},
        "operations": {
            "ask": _direction("receive", ASKED),
            "answer": _direction("send", ANSWERED),
            **{
                _topic_id(name): {
                    **_direction("send", said),
                    "title": name,
                    "description": _said_when(name),
                }
                for name, said in SAID.items()
            },
        },
        "components": {
            "messages": {
                shape.__name__: {
                    "name": shape.__name__,
                    "summary": (shape.__doc__ or "").strip(),
                    "payload": _ref(shape),
                }
                for shape in shown
            },
            "schemas": _schemas(shown),
        },
    }


def _direction(action: str, said: Iterable[type[msgspec.Struct]]) -> Json:
    refs = [{"$ref": f"#/channels/socket/messages/{shape.__name__}"} for shape in said]
    return {"action": action, "channel": {"$ref": "#/channels/socket"}, "messages": refs}


def _topic_id(name: str) -> str:
    return re.sub(r"[^a-z]+", "_", name).strip("_")


def _said_when(name: str) -> str:
    who = "after `authenticate`" if name in PRIVATE else "to anybody"
    return f"To those subscribed to `{name}`, {who}."
