"""People with open status pages, in a process of their own: ``python -m tests.bench.onlookers``.

On standard input come, as JSON, host, port, the cookies, a softphone's token, and how many decisions a minute. Says
``looking`` when all pages are open.
"""

import asyncio
import json
import re
import sys
from typing import Any
from urllib.parse import urlencode


async def main(told: dict[str, Any]) -> None:
    place = told["host"], told["port"]
    opened = asyncio.Semaphore(20)
    ready: asyncio.Queue[int] = asyncio.Queue()

    async def look(cookie: str) -> None:
        async with opened:
            reader, writer = await asyncio.open_connection(*place)
            writer.write(_request("GET", "/events", told, cookie))
            while b"data:" not in await reader.readline():
                pass
        await ready.put(1)
        while await reader.readline():
            pass

    async def answer() -> None:
        """A softphone, which hears of every call."""
        reader, writer = await asyncio.open_connection(*place)
        host = f"{told['host']}:{told['port']}"
        head = [
            "GET /softphone/events HTTP/1.1",
            f"Host: {host}",
            f"Authorization: Bearer {told['softphone']}",
        ]
        writer.write("\r\n".join([*head, "Sec-Fetch-Site: same-origin", "", ""]).encode())
        while b"data:" not in await reader.readline():
            pass
        await ready.put(1)
        while await reader.readline():
            pass

    async def decide(cookie: str) -> None:
        page = await _asked("GET", "/decisions", cookie)
        token = re.search(r'name="token" value="([^"]+)"', page)
        fields = {
            "token": token[1] if token else "",
            "account": told["account"],
            "item": told["item"],
            "verb": "retry",
        }
        while True:
            await asyncio.sleep(60 / told["decisions"])
            await _asked("POST", "/decisions/rejected", cookie, urlencode(fields))

    async def _asked(method: str, path: str, cookie: str, body: str = "") -> str:
        reader, writer = await asyncio.open_connection(*place)
        writer.write(_request(method, path, told, cookie, body))
        answer = (await reader.read()).decode()
        writer.close()
        return answer

    people = [asyncio.create_task(look(cookie)) for cookie in told["cookies"]]
    people.append(asyncio.create_task(answer()))
    for _ in people:
        await ready.get()
    print("looking", flush=True)
    await asyncio.gather(*people, decide(told["cookies"][0]))


def _request(method: str, path: str, told: dict[str, Any], cookie: str, body: str = "") -> bytes:
    host = f"{told['host']}:{told['port']}"
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Cookie: {cookie}", "Sec-Fetch-Site: same-origin"]
    if body:
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    if path != "/events":
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", body]).encode()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
