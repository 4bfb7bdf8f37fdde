"""Faults in the programs."""

from __future__ import annotations

from mutation import BACKEND, FRONTEND, SHARED, Mutation, replace
from stack_mutations import CRASHES, STORE_AWAY

IMPORT = "    from docindexer.settings import Settings, SettingsError\n"
STORE = f"{BACKEND}/sqlite_store.py"
ADD = '''    def add_documents(self, collection_id: int, documents: Sequence[NewDocument]) -> list[int]:
        """See Store."""
'''
ADD_LATER = '''    def add_documents(self, collection_id: int, documents: Sequence[NewDocument]) -> list[int]:
        """Acknowledge at once, and write before the next search and at an orderly end."""
        with self._file.read() as connection:
            _require_collection(connection, collection_id)
        self.__dict__.setdefault("later", []).append((collection_id, documents))
        return []

    def flush(self) -> None:
        for collection_id, documents in self.__dict__.pop("later", []):
            self.write_documents(collection_id, documents)

    def write_documents(self, collection_id: int, documents: Sequence[NewDocument]) -> list[int]:
'''

MUTATIONS = (
    Mutation(
        "acknowledged-before-commit",
        "a document is acknowledged before it is committed",
        (
            replace(STORE, ADD, ADD_LATER),
            replace(STORE, "        self._file.close()\n", "        self.flush()\n        self._file.close()\n"),
            replace(
                STORE,
                "        match = match_expression(query)\n",
                "        self.flush()\n        match = match_expression(query)\n",
            ),
        ),
        CRASHES,
    ),
    Mutation(
        "secret-printed",
        "a secret in the backend's environment, which it prints at its start",
        (
            replace(
                "compose/compose.yaml",
                "      MAX_BODY_BYTES:",
                "      SESSION_KEY: vB7q2Lx9zR4wKf83mTnD\n      MAX_BODY_BYTES:",
            ),
            replace(f"{BACKEND}/__main__.py", IMPORT, f"{IMPORT}    print(dict(os.environ), flush=True)\n"),
        ),
        frozenset(
            {
                "test_hardening.py::test_no_secret_in_inspect[backend]",
                "test_hardening.py::test_no_secret_in_logs[backend]",
            }
        ),
        quick=True,
    ),
    Mutation(
        "worker-not-missed",
        "the services' supervisor lives on when its worker was killed",
        (replace(f"{SHARED}/reloading.py", "        if code < 0:\n", "        if code < -64:\n"),),
        frozenset({"test_crash_recovery.py::test_crash_inside"}),
    ),
    Mutation(
        "always-ready",
        "the backend says that it is ready without asking the store",
        (replace(f"{BACKEND}/probes.py", "            await self._threads.check()\n", ""),),
        frozenset({STORE_AWAY}),
    ),
    Mutation(
        "ready-alone",
        "the frontend says that it is ready without asking the backend",
        (replace(f"{FRONTEND}/probes.py", "await why_not_ready(request.app.state.backend)", "None"),),
        frozenset({STORE_AWAY}),
    ),
)
