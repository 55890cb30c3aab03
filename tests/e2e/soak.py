"""Sends many small requests to `whetstone serve` with autocannon, and watches its memory. Then a
thousand clients ask at once: each must get its scores or a polite refusal.

    npm install --ignore-scripts --no-package-lock --prefix tests/e2e/npm
    python3 tests/e2e/soak.py target/release/whetstone
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.request

from load import message, texts, wait_until_ready

# The memory is read after each part. The allocator keeps more or less of what the peaks took, so it
# goes up and down by some MiB; over 100,000 requests, 8 MiB in the second half would be a leak of
# 168 bytes a request. Use --requests to see a smaller one.
PARTS = 10
GROWTH_MIB = 8
BURST = 1000
# In work at once while the thousand ask, so that most are refused.
IN_WORK = 64
HERE = os.path.dirname(os.path.abspath(__file__))
AUTOCANNON = os.path.join(HERE, "npm", "node_modules", ".bin", "autocannon")
SMALL = {
    # autocannon puts another id into each request, so that nothing is scored twice.
    "query": "How often must the filter [<id>] be cleaned?",
    "texts": ["Once a month in normal use.", "A dry pump wears out.", "Drain the housing [<id>]."],
}


def start(whetstone, model, *flags):
    port = 18080 + os.getpid() % 1000
    command = [whetstone, "serve", "--model", model, "--port", str(port), "--quiet", *flags]
    # Each 503 is a warning in the log.
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until_ready(port)
    return server, port


def stop(server):
    server.terminate()
    code = server.wait(60)
    assert code == 0, f"the server ended with exit code {code}"


def memory(server):
    """Resident and peak MiB, open files and threads."""
    status = open(f"/proc/{server.pid}/status").read()
    value = lambda name: int(re.search(rf"{name}:\s+(\d+)", status)[1])
    files = len(os.listdir(f"/proc/{server.pid}/fd"))
    return value("VmRSS") / 1024, value("VmHWM") / 1024, files, value("Threads")


def autocannon(port, clients, count):
    command = [AUTOCANNON, "-j", "-I", "-m", "POST", "-H", "content-type=application/json"]
    command += ["-c", str(clients), "-a", str(count), "-t", "60", "-b", json.dumps(SMALL)]
    run = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/rerank"], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def soak(whetstone, model, clients, requests):
    server, port = start(whetstone, model)
    try:
        resident, peak, files, threads = memory(server)
        print(f"{0:>7} requests: {resident:.1f} MiB resident, {files} files, {threads} threads")
        memories = []
        for part in range(PARTS):
            found = autocannon(port, clients, requests // PARTS)
            answered = found["2xx"], found["non2xx"], found["errors"], found["timeouts"]
            assert answered == (requests // PARTS, 0, 0, 0), answered
            resident, peak, files, threads = memory(server)
            memories.append(resident)
            print(
                f"{(part + 1) * requests // PARTS:>7} requests: {resident:.1f} MiB resident, "
                f"{files} files, {threads} threads, {found['requests']['average']:.0f} requests/s, "
                f"p50 {found['latency']['p50']} ms, p99 {found['latency']['p99']} ms",
                flush=True,
            )
        url = f"http://127.0.0.1:{port}/metrics"
        counted = urllib.request.urlopen(url, timeout=30).read().decode()
        wanted = f'whetstone_requests_total{{path="/rerank",status="200"}} {requests}'
        assert wanted in counted.splitlines(), f"no line `{wanted}` in\n{counted}"
    finally:
        stop(server)
    growth = memories[-1] - memories[PARTS // 2 - 1]
    print(f"peak {peak:.1f} MiB; {growth:+.1f} MiB in the second half")
    return growth <= GROWTH_MIB


async def ask(port, request):
    """The status of one answer, and whether it was right or said when to come back."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(re.search(r"content-length: (\d+)", head)[1])
        body = json.loads(await reader.readexactly(length))
        writer.close()
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        return type(error).__name__, False
    status = int(head.split(" ")[1])
    if status == 200:
        return status, len(body) == 30
    return status, re.search(r"retry-after: \d+", head) is not None and "error" in body


async def at_once(port):
    # 30 passages each, so that the work outlasts the arrival of the thousand.
    requests = [
        json.dumps({"query": "how often", "texts": texts(number, 30, 100)}).encode()
        for number in range(BURST)
    ]
    messages = [message(f"127.0.0.1:{port}", body) for body in requests]
    answers = asyncio.gather(*(ask(port, one) for one in messages))
    return await asyncio.wait_for(answers, 120)


def burst(whetstone, model):
    server, port = start(whetstone, model, "--max-requests", str(IN_WORK))
    try:
        answers = asyncio.run(at_once(port))
        again = asyncio.run(ask(port, message("127.0.0.1", json.dumps(SMALL).encode())))
        resident, peak, files, threads = memory(server)
    finally:
        stop(server)
    counts = {status: sum(found == status for found, _ in answers) for status, _ in set(answers)}
    print(
        f"burst of {BURST}, {IN_WORK} in work: {counts}, afterwards {again[0]}; "
        f"{resident:.1f} MiB resident, peak {peak:.1f} MiB, {files} files, {threads} threads"
    )
    return again[0] == 200 and set(counts) == {200, 503} and all(right for _, right in answers)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("whetstone")
    parser.add_argument("--model", default="tests/oracles/tiny-model")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=100_000)
    arguments = parser.parse_args()
    is_flat = soak(arguments.whetstone, arguments.model, arguments.clients, arguments.requests)
    is_polite = burst(arguments.whetstone, arguments.model)
    if not is_flat:
        print(f"FAIL the memory grew by more than {GROWTH_MIB} MiB in the second half")
    if not is_polite:
        print("FAIL a client of the burst was not answered as it should be")
    sys.exit(0 if is_flat and is_polite else 1)


if __name__ == "__main__":
    main()
