"""A client of the gateway without a network."""

import asyncio
import time
from typing import Any

import httpx

from seal_agent.background.worker import Worker

HELLO = {"messages": [{"role": "user", "content": "Hello there"}], "learn": False}


class Client:
    """Somebody with a key, as their HTTP client sees the gateway."""

    def __init__(self, app: Any, secret: str) -> None:
        self.app = app
        self.workers: list[Worker] = []
        self.headers = {"authorization": f"Bearer {secret}"}

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=self.headers) as http:
                return await http.request(method, path, **options)

        return asyncio.run(send())

    def chat(self, **body: Any) -> httpx.Response:
        return self("POST", "/v1/chat/completions", json={**HELLO, **body})

    def waited(self, job: str) -> dict[str, Any]:
        """The job once it is done."""
        for _ in range(500):
            found: dict[str, Any] = self("GET", f"/v1/documents/{job}").json()
            if found["status"] not in ("queued", "learning"):
                return found
            time.sleep(0.01)
        raise AssertionError(f"{job} is not done")
