"""Treats a running `whetstone serve` badly, on raw sockets: broken requests, slow and vanishing
clients, abuse of connections. Each gets the status and the error shape of the API it speaks, while
another client keeps asking and must keep getting its scores. Needs Python alone.

    python3 tests/e2e/bad_clients.py target/release/whetstone
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time

from load import wait_until_ready

# What a request may take, in seconds, so that slow ones end within the check. It is longer than the
# 5 s for which the server reads on after a body that is too long, to say so.
TIMEOUT_S = 8
SHAPES = {
    "/rerank": {"error", "error_type"},
    "/v1/rerank": {"message", "detail", "id"},
    "/v2/rerank": {"message", "id"},
}
LIST = {"/rerank": "texts", "/v1/rerank": "documents", "/v2/rerank": "documents"}


class Client:
    """One connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.reader = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """Status, headers and body of the next answer; None if the server closed."""
        line = self.reader.readline()
        if not line:
            return None
        headers = {}
        while (header := self.reader.readline().strip()) != b"":
            name, value = header.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        body = self.reader.read(int(headers.get("content-length", 0)))
        return int(line.split(b" ")[1]), headers, body

    def is_closed(self):
        try:
            return self.reader.read(1) == b""
        except ConnectionError:
            return True


def request(path, body, version="1.1", length=None, extra=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    length = len(body) if length is None else length
    head = (
        f"POST {path} HTTP/{version}\r\nhost: here\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n{extra}\r\n"
    )
    return head.encode() + body


def good(path="/rerank"):
    return {"query": "how often", LIST[path]: ["once a month", "a dry pump wears out"]}


def refused(port, path, body, status, named=""):
    """Sends a body and checks that it is refused in the shape of its API, naming the field."""
    client = Client(port)
    client.send(request(path, body))
    check_refusal(client.reply(), path, status, named)


def check_refusal(reply, path, status, named=""):
    assert reply is not None, "closed without an answer"
    found, _, body = reply
    assert found == status, f"{path}: {found} in place of {status}: {body[:200]}"
    answer = json.loads(body)
    assert set(answer) == SHAPES[path], f"{path}: {answer}"
    text = answer.get("error") or answer.get("message")
    assert named in text, f"{path}: `{named}` is not in: {text}"


def answered(client, path="/rerank"):
    status, headers, body = client.reply()
    assert status == 200, (status, body[:200])
    return headers, json.loads(body)


# --- Bodies ---------------------------------------------------------------------------------------


def wrong_values(port):
    for path, name in LIST.items():
        empty = 422 if path == "/v1/rerank" else 400
        wrong = 400 if path == "/v2/rerank" else 422
        many = ["a"] * 10_000
        long = ["word " * 2_000_000]
        refused(port, path, {**good(path), "query": ""}, empty, "`query`")
        refused(port, path, {**good(path), name: []}, empty, f"`{name}`")
        refused(port, path, {**good(path), "query": 7}, wrong, "`query`")
        refused(port, path, {**good(path), name: "a"}, wrong, f"`{name}`")
        refused(port, path, {**good(path), name: ["a", 7]}, wrong, f"`{name}[1]`")
        refused(port, path, {**good(path), name: many}, 413, f"`{name}`")
        refused(port, path, {**good(path), name: long}, 413, f"`{name}[0]`")
        refused(port, path, {name: ["a"]}, wrong, "`query`")
        refused(port, path, [1, 2], wrong)
        if path != "/rerank":
            for top in (-1, 1.5, "3", 10**30):
                refused(port, path, {**good(path), "top_n": top}, wrong, "`top_n`")


def bytes_that_are_no_json(port):
    for path in LIST:
        for body in (b"", b"{", b'{"query": "\xff\xfe"}', b"\x00" * 1000, b"[" * 100_000):
            refused(port, path, body, 400)
        client = Client(port)
        client.send(request(path, good(path)).replace(b"application/json", b"text/plain"))
        check_refusal(client.reply(), path, 415)


def unknown_fields_are_ignored(port):
    for path in LIST:
        client = Client(port)
        client.send(request(path, {**good(path), "of_the_future": {"deep": [1, 2]}}))
        answered(client, path)


# --- Clients that are slow, or go away ------------------------------------------------------------


def a_body_that_never_ends(port):
    for path in LIST:
        client = Client(port)
        client.send(request(path, b'{"query": "a', length=1000))
        check_refusal(client.reply(), path, 408)


def a_chunked_body_without_end(port):
    client = Client(port)
    head = "POST /rerank HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
    client.send((head + "transfer-encoding: chunked\r\n\r\n").encode())
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    try:
        for _ in range(1000):
            client.send(chunk)
    except (ConnectionError, TimeoutError):
        pass
    try:
        check_refusal(client.reply(), "/rerank", 413)
    except ConnectionError:
        pass  # The refusal was lost with the connection, as the client had not stopped sending.


def a_byte_a_second(port):
    client = Client(port)
    whole = request("/v1/rerank", good("/v1/rerank"))
    began = time.monotonic()
    try:
        for at in range(0, len(whole) - 5):
            client.send(whole[at : at + 1])
            time.sleep(0.0 if at < len(whole) - 40 else 1.0)
            if time.monotonic() - began > TIMEOUT_S + 3:
                break
    except ConnectionError:
        pass
    check_refusal(client.reply(), "/v1/rerank", 408)


def clients_that_drop_the_connection(port):
    whole = request("/rerank", {"query": "a", "texts": ["word " * 100] * 1000})
    for end in (1, 40, 200, len(whole) // 2, len(whole)):
        for _ in range(20):
            client = Client(port)
            client.send(whole[:end])
            client.socket.close()
            client.reader.close()


def a_client_that_does_not_read(port):
    client = Client(port)
    for _ in range(50):
        client.send(request("/v1/rerank", {"query": "a", "documents": ["word " * 200] * 50}))
    time.sleep(1)
    client.socket.close()


# --- HTTP -----------------------------------------------------------------------------------------


def http_1_0(port):
    client = Client(port)
    client.send(request("/rerank", good(), version="1.0"))
    answered(client)
    assert client.is_closed(), "a connection of HTTP/1.0 stays open"
    client = Client(port)
    client.send(request("/rerank", good(), version="1.0", extra="connection: keep-alive\r\n"))
    answered(client)


def keep_alive(port):
    client = Client(port)
    for turn in range(2000):
        path = list(LIST)[turn % 3]
        client.send(request(path, {} if turn % 5 == 0 else good(path)))
        status = client.reply()[0]
        assert (status == 200) == (turn % 5 != 0), (turn, status)


def pipelined_requests_are_answered_in_order(port):
    client = Client(port)
    for number in range(50):
        client.send(request("/rerank", good(), extra=f"x-request-id: number-{number}\r\n"))
    for number in range(50):
        headers, _ = answered(client)
        assert headers["x-request-id"] == f"number-{number}", (number, headers)


def idle_connections(port):
    clients = [Client(port) for _ in range(500)]
    clients[-1].send(request("/rerank", good()))
    answered(clients[-1])
    for client in clients:
        client.socket.close()


def broken_heads(port):
    for head in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
        b"POST /rerank HTTP/9.9\r\n\r\n",
        b"POST /rerank\r\n\r\n",
        b"POST /rerank HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n",
        b"POST /rerank HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"POST /rerank HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 5000 + b"\r\n",
        b"POST /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    ):
        client = Client(port)
        try:
            client.send(head)
            reply = client.reply()
        except ConnectionError:
            continue
        assert reply is None or reply[0] in range(400, 500), reply


CASES = [
    wrong_values,
    bytes_that_are_no_json,
    unknown_fields_are_ignored,
    a_body_that_never_ends,
    a_chunked_body_without_end,
    a_byte_a_second,
    clients_that_drop_the_connection,
    a_client_that_does_not_read,
    http_1_0,
    keep_alive,
    pipelined_requests_are_answered_in_order,
    idle_connections,
    broken_heads,
]


class Bystander(threading.Thread):
    """A client that asks the same all the time, and notes whatever is not the first answer."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.answers, self.faults, self.slowest = port, 0, [], 0.0
        self.is_over = threading.Event()
        self.first = self.ask()

    def ask(self):
        client = Client(self.port)
        client.send(request("/rerank", good()))
        _, answer = answered(client)
        client.socket.close()
        return [(hit["index"], round(hit["score"], 5)) for hit in answer]

    def run(self):
        while not self.is_over.wait(0.02):
            began = time.monotonic()
            try:
                found = self.ask()
                if found != self.first:
                    self.faults.append(f"{found} in place of {self.first}")
            except Exception as error:
                self.faults.append(repr(error))
            self.answers += 1
            self.slowest = max(self.slowest, time.monotonic() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("whetstone")
    parser.add_argument("--model", default="tests/oracles/tiny-model")
    arguments = parser.parse_args()
    port = 18080 + os.getpid() % 1000
    command = [arguments.whetstone, "serve", "--model", arguments.model, "--port", str(port)]
    command += ["--timeout-s", str(TIMEOUT_S), "--quiet"]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    failed = 0
    try:
        wait_until_ready(port)
        bystander = Bystander(port)
        bystander.start()
        for case in CASES:
            try:
                case(port)
                print(f"ok   {case.__name__}", flush=True)
            except Exception as error:
                failed += 1
                print(f"FAIL {case.__name__}: {error!r}", flush=True)
        bystander.is_over.set()
        bystander.join(60)
    finally:
        server.terminate()
        code = server.wait(60)
    faults = bystander.faults
    print(
        f"bystander: {bystander.answers} answers, {len(faults)} faults {faults[:3]}, "
        f"the slowest after {bystander.slowest:.2f} s; exit code {code}"
    )
    sys.exit(1 if failed or faults or code != 0 else 0)


if __name__ == "__main__":
    main()
