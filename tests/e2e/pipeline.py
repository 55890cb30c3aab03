"""A search with an LLM at its end, whole: passages → Chroma → 30 candidates → `whetstone serve` →
5 passages → an answer. Compares Chroma's order with the reranked one, by judgements and by answers.

    python3 -m venv VENV && VENV/bin/pip install -r tests/e2e/pipeline.txt
    VENV/bin/python tests/e2e/pipeline.py target/release/whetstone models/mine data/mine

docs/pipeline.md explains it. Environment:

    LLM_URL         an OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1. Without it, no
                    answers are written, and the orders alone are compared.
    LLM_NAME        the name of the LLM there
    OPENAI_API_KEY  its key, if it wants one
    RERANK_URL      a running `whetstone serve`; without it, one is started
    RERANK_KEY      its key, if it wants one
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import chromadb
import cohere
import openai
from sentence_transformers import SentenceTransformer

CANDIDATES = 30
READ = 5
PROMPT = (
    "Answer the question from the passages alone, in one to three sentences. "
    "Where they do not hold the answer, say so."
)


# --- The pipeline ---------------------------------------------------------------------------------


def index(passages, encoder, chroma, name):
    """Puts the passages into a collection of a Chroma server, or takes it up where it ends."""
    collection = chroma.get_or_create_collection(name, metadata={"hnsw:space": "cosine"})
    ids = list(passages)
    for at in range(collection.count(), len(ids), 256):
        batch = ids[at : at + 256]
        texts = [passages[id] for id in batch]
        vectors = encoder.encode(texts, show_progress_bar=False)
        collection.add(ids=batch, documents=texts, embeddings=vectors)
    return collection


def search(collection, encoder, question):
    """The candidates as (id, text, cosine), the best first."""
    found = collection.query(query_embeddings=encoder.encode([question]), n_results=CANDIDATES)
    rows = zip(found["ids"][0], found["documents"][0], found["distances"][0])
    return [(id, text, 1 - distance) for id, text, distance in rows]


def rerank(client, question, candidates, joins):
    """The candidates as (id, text, score), in the order of the served model."""
    extra = {}
    if joins:
        cosines = [cosine for _, _, cosine in candidates]
        extra = {"additional_body_parameters": {"first_stage_scores": {"dense": cosines}}}
    answer = client.rerank(
        model="any", query=question, documents=[text for _, text, _ in candidates],
        request_options=extra,
    )
    hits = [(candidates[hit.index], hit.relevance_score) for hit in answer.results]
    return [(id, text, score) for (id, text, _), score in hits]


def answer(llm, question, found):
    passages = "\n\n".join(text for _, text, _ in found[:READ])
    reply = llm.chat.completions.create(
        model=os.environ.get("LLM_NAME", "default"), max_tokens=200,
        messages=[
            {"role": "system", "content": PROMPT},
            {"role": "user", "content": f"{passages}\n\nQuestion: {question}"},
        ],
    )
    return reply.choices[0].message.content.strip()


# --- The servers ----------------------------------------------------------------------------------


def free_port():
    with socket.socket() as socket_:
        socket_.bind(("127.0.0.1", 0))
        return socket_.getsockname()[1]


def until(connect):
    """Tries until the other server is there, for a minute."""
    for _ in range(120):
        try:
            return connect()
        except Exception:
            time.sleep(0.5)
    return connect()


@contextlib.contextmanager
def running(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def chroma_server(folder):
    """A Chroma server of its own, with its files in the folder."""
    port = free_port()
    chroma = os.path.join(os.path.dirname(sys.executable), "chroma")
    with running([chroma, "run", "--path", folder, "--port", str(port)]):
        yield until(lambda: chromadb.HttpClient("127.0.0.1", port))


@contextlib.contextmanager
def rerank_server(whetstone, model):
    """The address of a server: that of RERANK_URL, else of one of its own."""
    if url := os.environ.get("RERANK_URL"):
        yield url.rstrip("/")
        return
    port = free_port()
    with running([whetstone, "serve", "--model", model, "--port", str(port), "--quiet"]):
        url = f"http://127.0.0.1:{port}"
        until(lambda: fetch(f"{url}/health"))
        yield url


def fetch(url):
    key = os.environ.get("RERANK_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as reply:
        return json.load(reply)


def joins_dense_alone(url):
    """Whether the model was calibrated with a bi-encoder's scores alone, such as Chroma has."""
    return fetch(f"{url}/info")["first_stages"] == ["dense"]


# --- Before and after -----------------------------------------------------------------------------


def read_texts(path):
    """Texts by id, with their titles before them, as Whetstone reads them."""
    texts = {}
    for line in open(path):
        record = json.loads(line)
        texts[record["_id"]] = f"{record.get('title', '')} {record['text']}".strip()
    return texts


def judged(data):
    """The queries of qrels/test.tsv, in its order."""
    lines = open(data / "qrels" / "test.tsv").read().splitlines()[1:]
    return list(dict.fromkeys(line.split("\t")[0] for line in lines))


def write_run(path, lists, name):
    with open(path, "w") as run:
        for query, found in lists.items():
            for rank, (id, _, score) in enumerate(found, 1):
                run.write(f"{query} Q0 {id} {rank} {score:.9g} {name}\n")


def compare(whetstone, data, out, name, max_queries):
    """Holds the runs against the judgements, then has the LLM answer from both."""
    before, after = out / "chroma.run", out / f"{name}.run"
    command = [whetstone, "eval", "--qrels", data / "qrels" / "test.tsv", "--candidates", before]
    command += ["--run", f"chroma={before}", "--run", f"{name}={after}", "--baseline", "chroma"]
    measures = "ndcg@10,mrr@10,p@1,hit@5,recall@5"
    command += ["--system", name, "--measures", measures, "--quiet", "--out", out / "eval", "--force"]
    subprocess.run(command, check=True)
    if "LLM_URL" not in os.environ:
        print("LLM_URL is not set: no answers")
        return
    config = out / "llm.toml"
    quoted = lambda variable, default: json.dumps(os.environ.get(variable, default))
    # A local server often has one slot, and its time is of no matter here.
    config.write_text(
        f"[llm]\nbase-url = {quoted('LLM_URL', '')}\nname = {quoted('LLM_NAME', 'default')}\n"
        "concurrency = 1\ntimeout-s = 600\n"
        "[answers]\nmax-answer-tokens = 200\n[judge]\nmax-answer-tokens = 200\n"
    )
    command = [whetstone, "answers", "--config", config, "--data", data, "--before", before]
    command += ["--after", after, "--out", out / "answers", "--top", str(READ), "--quiet"]
    subprocess.run([*command, "--max-queries", str(max_queries)], check=True)


def show(title, found):
    print(f"\n{title}")
    for place, (id, text, score) in enumerate(found[:READ], 1):
        print(f"  {place}. {score:.3f}  {id}  {text[:70]}…")


def show_one(question, candidates, found):
    """The five passages of one question and the answers from them, before and after."""
    print(f"\nQuestion: {question}")
    for title, order in [("before: Chroma", candidates), ("after: reranked", found)]:
        show(title, order)
        if url := os.environ.get("LLM_URL"):
            llm = openai.OpenAI(base_url=url, api_key=os.environ.get("OPENAI_API_KEY", "none"))
            print(f"  → {answer(llm, question, order)}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("whetstone", help="the program")
    parser.add_argument("model", help="a folder that `whetstone export` wrote")
    parser.add_argument("data", type=pathlib.Path, help="a data set of `whetstone synth`")
    parser.add_argument("--encoder", default="models/minilm-l6", help="embeds for Chroma")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/pipeline"))
    parser.add_argument("--max-queries", type=int, default=20, help="how many the LLM answers")
    parser.add_argument("--ask", help="answer this one question, and measure nothing")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    encoder = SentenceTransformer(arguments.encoder)
    passages = read_texts(arguments.data / "corpus.jsonl")
    with contextlib.ExitStack() as stack:
        chroma = stack.enter_context(chroma_server(arguments.out / "chroma"))
        url = stack.enter_context(rerank_server(arguments.whetstone, arguments.model))
        client = cohere.ClientV2(api_key=os.environ.get("RERANK_KEY", "none"), base_url=url)
        joins = joins_dense_alone(url)
        started = time.perf_counter()
        # Other passages, or another encoder, are another collection.
        digest = hashlib.sha256(json.dumps([arguments.encoder, passages]).encode()).hexdigest()
        collection = index(passages, encoder, chroma, f"passages-{digest[:16]}")
        print(f"{len(passages)} passages in Chroma after {time.perf_counter() - started:.1f} s")
        if arguments.ask:
            candidates = search(collection, encoder, arguments.ask)
            show_one(arguments.ask, candidates, rerank(client, arguments.ask, candidates, joins))
            return
        questions = read_texts(arguments.data / "queries.jsonl")
        before, after = {}, {}
        started = time.perf_counter()
        for query in judged(arguments.data):
            before[query] = search(collection, encoder, questions[query])
            after[query] = rerank(client, questions[query], before[query], joins)
        seconds = (time.perf_counter() - started) / len(before)
        print(f"{len(before)} questions searched and reranked, {1000 * seconds:.0f} ms each")
    name = "joined" if joins else "reranked"
    write_run(arguments.out / "chroma.run", before, "chroma")
    write_run(arguments.out / f"{name}.run", after, name)
    compare(arguments.whetstone, arguments.data, arguments.out, name, arguments.max_queries)


if __name__ == "__main__":
    main()
