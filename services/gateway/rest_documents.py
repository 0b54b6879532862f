"""The routes of the documents: the API as it describes itself."""

from collections.abc import Sequence

import msgspec

from services.gateway import documents, shapes
from services.gateway.reads import Reads
from services.gateway.rest import PREFIX, Ask, Reply, Route


class DocumentRoutes:
    """OpenAPI of the routes, these two among them, and AsyncAPI of the socket."""

    def __init__(self, described: Sequence[Route], reads: Reads) -> None:
        self._reads = reads
        routes = (*described, *self.routes())
        self._openapi = msgspec.Raw(msgspec.json.encode(documents.openapi(routes)))
        self._asyncapi = msgspec.Raw(msgspec.json.encode(documents.asyncapi()))

    def routes(self) -> Sequence[Route]:
        """The lines of the public API that are served here."""
        of_rest, of_socket = "REST, described (OpenAPI 3.1)", "The socket, described (AsyncAPI 3)"
        return (
            Route("GET", f"{PREFIX}/openapi.json", self.openapi, of_rest, shapes.Document),
            Route("GET", f"{PREFIX}/asyncapi.json", self.asyncapi, of_socket, shapes.Document),
        )

    async def openapi(self, ask: Ask) -> Reply:
        """The OpenAPI document."""
        await self._reads.reach(ask.after)
        return Reply(self._openapi)

    async def asyncapi(self, ask: Ask) -> Reply:
        """The AsyncAPI document."""
        await self._reads.reach(ask.after)
        return Reply(self._asyncapi)
