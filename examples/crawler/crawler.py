"""A crawler whose children are async iterators: one for each page, sending what it finds as it finds it.

``python crawler.py URL`` crawls the pages below a URL, at most ``PAGES_MAX`` of them and ``AT_ONCE`` at a time. Without
a URL it serves a small site of its own on this machine and crawls that.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urldefrag, urljoin

import httpx2

from perdure import Machine, assign, create_machine, interpret, raise_, spawn
from perdure.json_value import JsonObject

PAGES_MAX = 100
AT_ONCE = 4


class LinkParser(HTMLParser):
    """Collects the targets of links while a page comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if tag == "a" and target:
            self.found.append(target)


async def read_page(context: JsonObject) -> AsyncIterator[JsonObject]:
    """Yield ``LINK`` for every link of a page, as its bytes arrive, and in the end ``PAGE`` with their number."""
    parser, count = LinkParser(), 0
    async with httpx2.AsyncClient(follow_redirects=True) as client, client.stream("GET", context["url"]) as response:
        response.raise_for_status()
        async for text in response.aiter_text():
            parser.feed(text)
            while parser.found:
                count += 1
                yield {"type": "LINK", "url": urldefrag(urljoin(context["url"], parser.found.pop(0))).url}
    yield {"type": "PAGE", "url": context["url"], "links": count}


def note_link(context: JsonObject, event: JsonObject) -> JsonObject:
    """Put a page that is new, and below the first one, on the list of those to read."""
    url = event["url"]
    is_new = url not in context["seen"] and len(context["seen"]) < PAGES_MAX and url.startswith(context["root"])
    return {"seen": [*context["seen"], url], "waiting": [*context["waiting"], url]} if is_new else {}


def read_next(context: JsonObject) -> JsonObject:
    """Spawn a child for each page that may be read now; its id is the page."""
    free = AT_ONCE - len(context["reading"])
    starting = context["waiting"][:free]
    for url in starting:
        spawn("page", url, data={"url": url})
    return {"waiting": context["waiting"][free:], "reading": [*context["reading"], *starting]}


def page_ended(context: JsonObject, event: JsonObject) -> JsonObject:
    """A page has been read, or could not be: there is room for another."""
    kind, _, url = event["type"].partition(".invoke." if event["type"].startswith("done") else ".platform.")
    failed = {url: event["data"]["message"].splitlines()[0]} if kind == "error" else {}
    return {
        "reading": [other for other in context["reading"] if other != url],
        "failed": {**context["failed"], **failed},
    }


def crawler(root: str) -> Machine:
    return create_machine(
        {
            "id": "crawler",
            "context": {"root": root, "seen": [root], "waiting": [root], "reading": [], "pages": {}, "failed": {}},
            "initial": "crawling",
            "states": {
                "crawling": {
                    "entry": assign(read_next),
                    "always": {
                        "target": "finished",
                        "cond": lambda context: not context["reading"] and not context["waiting"],
                    },
                    "on": {
                        "LINK": {"actions": assign(note_link)},
                        "PAGE": {
                            "actions": assign(
                                pages=lambda context, event: {**context["pages"], event["url"]: event["links"]}
                            )
                        },
                        "done.invoke.*": {"actions": [assign(page_ended), raise_("NEXT")]},
                        "error.platform.*": {"actions": [assign(page_ended), raise_("NEXT")]},
                        "NEXT": {"actions": assign(read_next)},
                    },
                },
                "finished": {
                    "type": "final",
                    "data": lambda context: {"pages": context["pages"], "failed": context["failed"]},
                },
            },
        },
        services={"page": read_page},
    )


async def crawl(root: str) -> JsonObject:
    """Crawl, telling how far it is, and return the pages with the number of their links, and those that failed."""
    async with interpret(crawler(root)) as actor:
        told = 0
        async for snapshot in actor:
            pages, seen, reading = (snapshot.context[key] for key in ("pages", "seen", "reading"))
            if len(pages) > told:
                told = len(pages)
                print(f"{told:3} of {len(seen):3}  {list(pages)[-1]}  ({len(reading)} at once)")
        result: JsonObject = actor.output
        return result


# -- a site to crawl -------------------------------------------------------------------------------------


class PretendSite(BaseHTTPRequestHandler):
    """Pages that link to three others each, one that is missing, and one that leads away."""

    def do_GET(self) -> None:
        number = int(self.path.strip("/") or 0)
        if number == 13:
            self.send_error(404)
            return
        links = [f"/{(number * 3 + step) % 25}" for step in (1, 2, 3)] + ["https://example.org/elsewhere"]
        body = "".join(f'<p><a href="{link}">to {link}</a></p>' for link in links).encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the crawler tells what it does."""


@contextmanager
def pretend_site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), PretendSite)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    if len(sys.argv) > 1:
        result = asyncio.run(crawl(sys.argv[1]))
    else:
        with pretend_site() as root:
            result = asyncio.run(crawl(root))
    print(f"\n{len(result['pages'])} pages, {sum(result['pages'].values())} links, {len(result['failed'])} failed")
    for url, reason in result["failed"].items():
        print(f"  {url}: {reason}")


if __name__ == "__main__":
    main()
