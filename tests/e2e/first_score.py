"""How long `whetstone serve` takes from its start to its first score, and its memory after 30 candidates.

needs  nothing but Python 3.11, Linux, and a machine with nothing else to do
run    python3 tests/e2e/first_score.py target/release/whetstone models/mine [--turns 7]

Each turn starts a server of its own, whose files lie in the page cache, and asks until it answers. Prints the median of the turns, the
resident memory, and that without what is mapped from files and may be dropped at any moment.
"""

import argparse
import http.client
import json
import pathlib
import socket
import statistics
import subprocess
import time

from load import texts

MIB = 2**20


def answered(port, documents):
    """Whether the server gave scores."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = json.dumps({"query": "how often", "texts": documents})
        connection.request("POST", "/rerank", body, {"content-type": "application/json"})
        return connection.getresponse().status == 200
    except ConnectionError:
        return False


def resident(pid):
    """Bytes that are resident, and those of them that no file backs."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
    return kib["VmRSS"] * 1024, kib["RssAnon"] * 1024


def turn(arguments):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [arguments.whetstone, "serve", "--model", arguments.model, "--port", str(port), "--quiet"]
    started = time.perf_counter()
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not answered(port, ["the pump runs dry"]):
            if server.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with {server.returncode}")
            time.sleep(0.001)
        seconds = time.perf_counter() - started
        assert answered(port, texts(1, 30, 100))
        return seconds, *resident(server.pid)
    finally:
        server.terminate()
        server.wait(60)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("whetstone")
    parser.add_argument("model")
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    turn(arguments)  # fills the page cache
    seconds, whole, own = zip(*(turn(arguments) for _ in range(arguments.turns)))
    weights = sum(path.stat().st_size for path in pathlib.Path(arguments.model).glob("*.safetensors"))
    print(f"start to first score: {1000 * statistics.median(seconds):.0f} ms ({1000 * min(seconds):.0f} to {1000 * max(seconds):.0f})")
    print(f"after 30 candidates: {statistics.median(whole) / MIB:.0f} MiB resident, {statistics.median(own) / MIB:.0f} MiB without files; weights {weights / MIB:.0f} MiB")


if __name__ == "__main__":
    main()
