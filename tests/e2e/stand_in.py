"""A chat endpoint on loopback whose answers follow from the request alone, and which counts its requests."""
import collections
import hashlib
import http.server
import json
import re
import threading
import time

# Seconds that an answer takes at most. Longer ones leave more calls in flight at a kill.
LONGEST = 0.03
# One first attempt in so many gets an answer that cannot be read, and is asked for again with another seed.
UNREADABLE = 11


def number(digest):
    """What an answer says of its prompt's tokens: the journal keeps it, so a line tells which request it answers."""
    return 1 + int(digest[:7], 16)


def words(text, digest, count):
    """Some of the longer words of a text, drawn by the digest."""
    found = sorted(set(re.findall(r"[a-z]{5,}", text.lower()))) or ["nothing"]
    at = int(digest[7:18], 16)
    return [found[(at + step * 7) % len(found)] for step in range(count)]


def content(body, digest):
    """The answer to a request, by the name of the schema that it is held to."""
    name = body["response_format"]["json_schema"]["name"]
    if body.get("seed") == 1 and int(digest[18:22], 16) % UNREADABLE == 0:
        return "Sorry, I cannot say."
    asked = body["messages"][-1]["content"]
    draw = int(digest[22:26], 16)
    if name == "questions":
        a, b, c, d = words(asked, digest, 4)
        return json.dumps({"questions": [f"What does the {a} need for its {b}?", f"How often is the {c} with {d} done?"]})
    if name == "grades":
        return json.dumps({"question": 3 if draw % 5 else 1, "answer": 2 + draw % 2})
    if name == "grade":
        return json.dumps({"grade": draw % 4})
    if name == "answer":
        return json.dumps({"answer": "It is the " + " ".join(words(asked, digest, 3)) + "."})
    if name == "better":
        return json.dumps({"better": ["A", "B", "tie"][draw % 3]})
    raise ValueError(f"no answer is known for the schema `{name}`")


class StandIn(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        # Requests by the number that their answer carries, and what went wrong here.
        self.requests = collections.Counter()
        self.faults = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self):
        """Returns the requests since the last call, and forgets them."""
        with self.lock:
            taken, self.requests = self.requests, collections.Counter()
        return taken

    def handle_error(self, request, client_address):
        """A client that was killed breaks its connections: no news."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        digest = hashlib.sha256(raw).hexdigest()
        with self.server.lock:
            self.server.requests[number(digest)] += 1
        try:
            answer = content(json.loads(raw), digest)
        except (ValueError, KeyError) as error:
            self.server.faults.append(repr(error))
            return self.send_error(400)
        time.sleep(LONGEST * int(digest[26:30], 16) / 0xFFFF)
        usage = {"prompt_tokens": number(digest), "completion_tokens": len(answer) // 4}
        message = {"role": "assistant", "content": answer}
        reply = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        """Nothing on stderr for every request."""
