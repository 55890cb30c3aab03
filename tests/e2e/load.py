"""Loads a running `whetstone serve`: throughput of several clients against the engine alone, and a
burst of a thousand clients at once. Needs Python alone, and a machine with nothing else to do.

    python3 tests/e2e/load.py target/release/whetstone models/mine
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time

WORDS = "pump valve filter water oil chain bearing seal bolt cover week month bar tank wear".split()


def texts(request, documents, words):
    """Other texts for each request, so that nothing is scored twice."""
    word = lambda at: WORDS[(request * 31 + at * 7 + at * at) % len(WORDS)]
    return [
        f"{request} {document} " + " ".join(word(document * words + at) for at in range(words))
        for document in range(documents)
    ]


def message(host, body):
    head = (
        f"POST /rerank HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ask(reader, writer, request):
    """The status of one answer."""
    writer.write(request)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(" ")[1])


async def clients(address, count, requests):
    """`count` clients share the requests, each on one connection. Returns statuses and seconds."""
    host, port = address.split(":")
    waiting = list(reversed(requests))
    statuses, times = [], []

    async def client():
        reader, writer = await asyncio.open_connection(host, int(port))
        while waiting:
            request = waiting.pop()
            started = time.perf_counter()
            statuses.append(await ask(reader, writer, request))
            times.append(time.perf_counter() - started)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(count)))
    return statuses, times, time.perf_counter() - started


async def burst(address, request):
    """A thousand connections at once, one request each. Returns how many got each status."""
    host, port = address.split(":")

    async def client():
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
            status = await ask(reader, writer, request)
            writer.close()
            return status
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            return type(error).__name__

    answers = await asyncio.wait_for(asyncio.gather(*(client() for _ in range(1000))), 120)
    return {status: answers.count(status) for status in set(answers)}


def engine_alone(arguments, lists):
    """Pairs a second of `whetstone rerank` over the same texts, without its start."""
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        with open(path("corpus.jsonl"), "w") as corpus, open(path("c.run"), "w") as run, open(
            path("queries.jsonl"), "w"
        ) as queries:
            for number, documents in enumerate(lists):
                queries.write(json.dumps({"_id": f"q{number}", "text": "how often"}) + "\n")
                for at, text in enumerate(documents):
                    corpus.write(json.dumps({"_id": f"p{number}-{at}", "text": text}) + "\n")
                    run.write(f"q{number} Q0 p{number}-{at} {at + 1} {1 / (at + 1)} first\n")
        command = [arguments.whetstone, "rerank", "--model", arguments.model, "--json", "--force"]
        files = {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "candidates": "c.run"}
        for flag, name in {**files, "out": "out.run"}.items():
            command += [f"--{flag}", path(name)]
        cost = json.loads(subprocess.check_output(command, stderr=subprocess.DEVNULL))["cost"]
        return cost["pairs"] / cost["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("whetstone")
    parser.add_argument("model")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--documents", type=int, default=30)
    parser.add_argument("--words", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    # Without its log, the server does not tell its address, so the port is chosen here.
    port = 18080 + os.getpid() % 1000
    command = [arguments.whetstone, "serve", "--model", arguments.model, "--port", str(port)]
    server = subprocess.Popen([*command, "--quiet"], stderr=subprocess.DEVNULL)
    address = f"127.0.0.1:{port}"
    try:
        wait_until_ready(port)
        lists = [
            texts(request, arguments.documents, arguments.words)
            for request in range(arguments.requests)
        ]
        bodies = [json.dumps({"query": "how often", "texts": found}).encode() for found in lists]
        requests = [message(address, body) for body in bodies]
        ratios = []
        for turn in range(arguments.turns):
            alone = engine_alone(arguments, lists)
            statuses, times, seconds = asyncio.run(clients(address, arguments.clients, requests))
            assert set(statuses) == {200}, set(statuses)
            served = arguments.requests * arguments.documents / seconds
            ratios.append(served / alone)
            times.sort()
            middle, late = times[len(times) // 2], times[len(times) * 99 // 100]
            print(
                f"turn {turn + 1}: engine alone {alone:.0f} pairs/s, {arguments.clients} clients "
                f"{served:.0f} pairs/s ({ratios[-1]:.2f}), p50 {middle:.3f} s, p99 {late:.3f} s",
                flush=True,
            )
        print(f"median ratio {statistics.median(ratios):.3f}")
        print(f"burst of 1,000: {asyncio.run(burst(address, requests[0]))}")
    finally:
        server.terminate()
        print(f"exit code {server.wait(60)}")


def wait_until_ready(port):
    import urllib.error
    import urllib.request

    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit("the server is not ready")


if __name__ == "__main__":
    main()
