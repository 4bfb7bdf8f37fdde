"""The endpoints under /api: collections, documents, search."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from docindexer import requests as checked
from docindexer.settings import Settings
from docindexer.store import as_data
from docindexer.threads import StoreThreads


class Api:
    """The endpoints, each a coroutine from a request to a response."""

    def __init__(self, settings: Settings, threads: StoreThreads) -> None:
        self._settings = settings
        self._threads = threads
        self._store = threads.store

    def routes(self) -> list[Route]:
        """Return the routes, one for each method of a path."""
        collections, collection = "/api/collections", "/api/collections/{collection_id}"
        documents, document = f"{collection}/documents", f"{collection}/documents/{{document_id}}"
        return [
            Route(collections, self.list_collections, methods=["GET"]),
            Route(collections, self.create_collection, methods=["POST"]),
            Route(collection, self.get_collection, methods=["GET"]),
            Route(collection, self.delete_collection, methods=["DELETE"]),
            Route(documents, self.list_documents, methods=["GET"]),
            Route(documents, self.add_documents, methods=["POST"]),
            Route(document, self.get_document, methods=["GET"]),
            Route(document, self.delete_document, methods=["DELETE"]),
            Route("/api/search", self.search, methods=["GET"]),
        ]

    async def list_collections(self, request: Request) -> Response:
        """GET /api/collections."""
        limit = checked.query_number(request, "limit", checked.MAX_COLLECTIONS, 1, checked.MAX_COLLECTIONS)
        page = await self._threads.read(self._store.collections, limit, _offset(request))
        return JSONResponse([as_data(item) for item in page.items], headers={"X-Total-Count": str(page.total)})

    async def create_collection(self, request: Request) -> Response:
        """POST /api/collections."""
        name = checked.collection_name(await self._body(request))
        created = await self._threads.write(self._store.create_collection, name)
        return JSONResponse(as_data(created), 201, headers={"Location": f"/api/collections/{created.id}"})

    async def get_collection(self, request: Request) -> Response:
        """GET /api/collections/{collection_id}."""
        return JSONResponse(as_data(await self._threads.read(self._store.collection, _collection(request))))

    async def delete_collection(self, request: Request) -> Response:
        """DELETE /api/collections/{collection_id}."""
        await self._threads.write(self._store.delete_collection, _collection(request))
        return Response(status_code=204)

    async def list_documents(self, request: Request) -> Response:
        """GET /api/collections/{collection_id}/documents."""
        page = await self._threads.read(self._store.documents, _collection(request), _limit(request), _offset(request))
        return JSONResponse({"total": page.total, "documents": [as_data(item) for item in page.items]})

    async def add_documents(self, request: Request) -> Response:
        """POST /api/collections/{collection_id}/documents."""
        collection_id = _collection(request)
        documents = checked.new_documents(await self._body(request))
        ids = await self._threads.write(self._store.add_documents, collection_id, documents)
        return JSONResponse({"ids": ids}, 201)

    async def get_document(self, request: Request) -> Response:
        """GET /api/collections/{collection_id}/documents/{document_id}."""
        found = await self._threads.read(self._store.document, _collection(request), _document(request))
        return JSONResponse(as_data(found))

    async def delete_document(self, request: Request) -> Response:
        """DELETE /api/collections/{collection_id}/documents/{document_id}."""
        await self._threads.write(self._store.delete_document, _collection(request), _document(request))
        return Response(status_code=204)

    async def search(self, request: Request) -> Response:
        """GET /api/search."""
        query = request.query_params.get("q")
        if query is None:
            raise checked.invalid("q is missing: send the words to search for, or an empty q for no results")
        if len(query) > checked.MAX_QUERY:
            raise checked.invalid(f"q must not have more than {checked.MAX_QUERY} characters")
        collection_id = None
        if request.query_params.get("collection"):
            collection_id = checked.query_number(request, "collection", 0, 0, checked.MAX_ID)
        page = await self._threads.read(self._store.search, query, collection_id, _limit(request), _offset(request))
        return JSONResponse({"total": page.total, "results": [as_data(hit) for hit in page.items]})

    async def _body(self, request: Request) -> object:
        return await checked.read_json(request, self._settings.max_body_bytes)


def _collection(request: Request) -> int:
    return checked.path_id(request, "collection_id", "collection_not_found")


def _document(request: Request) -> int:
    return checked.path_id(request, "document_id", "document_not_found")


def _limit(request: Request) -> int:
    return checked.query_number(request, "limit", 20, 1, checked.MAX_LIMIT)


def _offset(request: Request) -> int:
    return checked.query_number(request, "offset", 0, 0, checked.MAX_OFFSET)
