"""Asks a running `whetstone serve` through clients of other people, unchanged but for address and
key. Each must get the order and the scores of `whetstone rerank`.

    python3 -m venv VENV && VENV/bin/pip install -r tests/e2e/clients.txt
    npm install --ignore-scripts --no-package-lock --prefix tests/e2e/npm
    VENV/bin/python tests/e2e/check_clients.py target/release/whetstone

A client that is not installed is a failure, unless --only names others. The cases that begin with
`npm_` run on node."""

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

KEY = "a-key-of-the-check"
QUERY = "How often must the filter be cleaned?"
PASSAGES = [
    "Above four bar the relief valve opens and the water returns to the tank.",
    "Once a month in normal use, and once a week when the water is hard.",
    "A dry pump wears out its bearing within a week.",
    "Before you replace the bearing, drain the housing.",
    "The filter sits behind the cover on the left.",
]
TOP = 3
# A probability as f32, against one computed here in f64.
TOLERANCE = 1e-6

cases = {}


def case(function):
    cases[function.__name__] = function
    return function


# --- Cohere ---------------------------------------------------------------------------------------


@case
def cohere_v1(url):
    import cohere

    client = cohere.Client(api_key=KEY, base_url=url)
    answer = client.rerank(model="any", query=QUERY, documents=PASSAGES, top_n=TOP)
    assert answer.results[0].document.text == PASSAGES[answer.results[0].index]
    return [(hit.index, hit.relevance_score) for hit in answer.results]


@case
def cohere_v2(url):
    import cohere

    client = cohere.ClientV2(api_key=KEY, base_url=url)
    answer = client.rerank(model="any", query=QUERY, documents=PASSAGES, top_n=TOP)
    assert answer.id and answer.meta.api_version.version == "2"
    return [(hit.index, hit.relevance_score) for hit in answer.results]


@case
def cohere_errors(url):
    import cohere

    refused = {}
    for name, client in [
        ("v1", cohere.Client(api_key=KEY, base_url=url)),
        ("v2", cohere.ClientV2(api_key=KEY, base_url=url)),
    ]:
        try:
            client.rerank(model="any", query=QUERY, documents=[])
        except cohere.core.ApiError as error:
            refused[name] = (error.status_code, error.body["message"])
    message = "`documents` is empty"
    assert refused == {"v1": (422, message), "v2": (400, message)}, refused
    try:
        cohere.ClientV2(api_key="wrong", base_url=url).rerank(model="any", query="q", documents=["a"])
        raise AssertionError("a wrong key was let in")
    except cohere.errors.UnauthorizedError:
        return None


@case
def langchain_cohere(url):
    from langchain_cohere import CohereRerank

    reranker = CohereRerank(model="any", cohere_api_key=KEY, base_url=url, top_n=TOP)
    return [(hit["index"], hit["relevance_score"]) for hit in reranker.rerank(PASSAGES, QUERY)]


@case
def langchain_retriever_over_chroma(url):
    """A ContextualCompressionRetriever over a Chroma server, with the server here as compressor."""
    import chromadb
    from langchain_chroma import Chroma
    from langchain_classic.retrievers import ContextualCompressionRetriever
    from langchain_cohere import CohereRerank
    from langchain_core.embeddings import DeterministicFakeEmbedding

    reranker = CohereRerank(model="any", cohere_api_key=KEY, base_url=url, top_n=TOP)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        chroma = os.path.join(os.path.dirname(sys.executable), "chroma")
        command = [chroma, "run", "--path", folder, "--port", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            client = connected(lambda: chromadb.HttpClient("127.0.0.1", port))
            store = Chroma("passages", DeterministicFakeEmbedding(size=8), client=client)
            store.add_texts(PASSAGES)
            found = ContextualCompressionRetriever(
                base_compressor=reranker,
                base_retriever=store.as_retriever(search_kwargs={"k": len(PASSAGES)}),
            ).invoke(QUERY)
        finally:
            server.terminate()
            server.wait(60)
    return [(PASSAGES.index(hit.page_content), hit.metadata["relevance_score"]) for hit in found]


def connected(connect):
    """Tries until the other server is there, for half a minute."""
    for _ in range(60):
        try:
            return connect()
        except Exception:
            time.sleep(0.5)
    return connect()


@case
def llama_index_cohere(url):
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    return llama_index(CohereRerank(model="any", api_key=KEY, base_url=url, top_n=TOP))


@case
def haystack_cohere(url):
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker

    ranker = CohereRanker(
        model="any", api_key=Secret.from_token(KEY), api_base_url=url, top_k=TOP
    )
    return haystack(ranker.run(QUERY, [Document(content=text) for text in PASSAGES]))


# --- Jina -----------------------------------------------------------------------------------------


@case
def langchain_jina(url):
    """The address is a constant of the module, which the check sets."""
    from langchain_community.document_compressors import jina_rerank
    from langchain_core.documents import Document

    jina_rerank.JINA_API_URL = f"{url}/v1/rerank"
    reranker = jina_rerank.JinaRerank(model="any", jina_api_key=KEY, top_n=TOP)
    found = reranker.compress_documents([Document(text) for text in PASSAGES], QUERY)
    return [(PASSAGES.index(hit.page_content), hit.metadata["relevance_score"]) for hit in found]


@case
def langchain_jina_error(url):
    from langchain_community.document_compressors import jina_rerank

    jina_rerank.JINA_API_URL = f"{url}/v1/rerank"
    reranker = jina_rerank.JinaRerank(model="any", jina_api_key=KEY)
    try:
        reranker.rerank(PASSAGES, "")
        raise AssertionError("an empty query was taken")
    except RuntimeError as error:
        assert str(error) == "`query` is empty", error


@case
def llama_index_jina(url):
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    return llama_index(JinaRerank(model="any", api_key=KEY, base_url=f"{url}/v1", top_n=TOP))


@case
def haystack_jina(url):
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.jina import JinaRanker

    ranker = JinaRanker(
        model="any", api_key=Secret.from_token(KEY), base_url=f"{url}/v1/rerank", top_k=TOP
    )
    return haystack(ranker.run(QUERY, [Document(content=text) for text in PASSAGES]))


# --- text-embeddings-inference --------------------------------------------------------------------


@case
def llama_index_tei(url):
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    return llama_index(
        TextEmbeddingInference(base_url=url, top_n=TOP, auth_token=f"Bearer {KEY}")
    )


@case
def tei_client(url):
    """It asks for /info first, and refuses one that lacks a field of text-embeddings-inference."""
    from tei_client import HttpClient

    client = HttpClient(url, headers={"Authorization": f"Bearer {KEY}"})
    assert client.health() and client.info().max_client_batch_size == 1000
    ranks = client.rerank(QUERY, PASSAGES, truncate=True).ranks
    return [(hit.index, hit.score) for hit in ranks][:TOP]


# --- Others ---------------------------------------------------------------------------------------


@case
def open_webui(url):
    """The request of Open WebUI's external reranker, as its source sends it."""
    import requests

    reply = requests.post(
        f"{url}/v1/rerank",
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
        json={"model": "any", "query": QUERY, "documents": PASSAGES, "top_n": len(PASSAGES)},
        timeout=60,
    )
    reply.raise_for_status()
    by_index = sorted(reply.json()["results"], key=lambda hit: hit["index"])
    scores = [hit["relevance_score"] for hit in by_index]
    return sorted(enumerate(scores), key=lambda pair: -pair[1])[:TOP]


# --- JavaScript -----------------------------------------------------------------------------------


def on_node(name):
    """A case of npm/clients.mjs."""

    def ask(url):
        asked = {"url": url, "key": KEY, "query": QUERY, "passages": PASSAGES, "top": TOP}
        script = os.path.join(os.path.dirname(__file__), "npm", "clients.mjs")
        run = subprocess.run(
            ["node", script, name], input=json.dumps(asked), stdout=subprocess.PIPE, text=True,
            check=True, timeout=120,
        )
        return json.loads(run.stdout)

    cases[f"npm_{name}"] = ask


on_node("cohere_v1")
on_node("cohere_v2")
on_node("cohere_errors")
on_node("langchain_cohere")
on_node("langchain_retriever")
on_node("llama_index_cohere")
on_node("llama_index_jina")
on_node("ai_sdk_cohere")
on_node("ai_sdk_cohere_error")


# --- What the cases share -------------------------------------------------------------------------


def llama_index(postprocessor):
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    nodes = [NodeWithScore(node=TextNode(text=text), score=0.0) for text in PASSAGES]
    found = postprocessor.postprocess_nodes(nodes, QueryBundle(QUERY))
    return [(PASSAGES.index(hit.node.get_content()), hit.score) for hit in found]


def haystack(answer):
    return [(PASSAGES.index(hit.content), hit.score) for hit in answer["documents"]]


def expected(whetstone, model):
    """The order and the probabilities of `whetstone rerank`, without a server."""
    command = [whetstone, "rerank", "--model", model, "--query", QUERY, "--json"]
    run = subprocess.run(command, input="\n".join(PASSAGES), capture_output=True, text=True, check=True)
    sigmoid = lambda logit: 1 / (1 + math.exp(-logit))
    return [(hit["index"], sigmoid(hit["score"])) for hit in json.loads(run.stdout)][:TOP]


def start(whetstone, model, keys):
    command = [whetstone, "serve", "--model", model, "--port", "0", "--api-keys", keys]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    address = None
    for line in server.stderr:
        event = json.loads(line)
        if event["event"] == "listening":
            address = event["address"]
        if event["event"] == "ready":
            break
    else:
        sys.exit("the server did not start")
    # Its log would fill the pipe.
    threading.Thread(target=server.stderr.read, daemon=True).start()
    return server, f"http://{address}"


def check(name, url, wanted):
    try:
        found = cases[name](url)
    except Exception:
        traceback.print_exc()
        return False
    if found is None:
        return True
    close = len(found) == len(wanted) and all(
        index == wanted_index and abs(score - wanted_score) <= TOLERANCE
        for (index, score), (wanted_index, wanted_score) in zip(found, wanted)
    )
    if not close:
        print(f"{name}: got {found}, expected {wanted}", file=sys.stderr)
    return close


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("whetstone")
    parser.add_argument("--model", default="tests/oracles/tiny-model")
    parser.add_argument("--only", nargs="*", default=list(cases), choices=list(cases))
    arguments = parser.parse_args()
    os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
    wanted = expected(arguments.whetstone, arguments.model)
    with tempfile.NamedTemporaryFile("w", suffix=".keys") as keys:
        keys.write(f"another-key\n{KEY}\n")
        keys.flush()
        server, url = start(arguments.whetstone, arguments.model, keys.name)
        try:
            results = {name: check(name, url, wanted) for name in arguments.only}
        finally:
            server.terminate()
            code = server.wait(60)
    for name, passed in results.items():
        print(f"{'ok  ' if passed else 'FAIL'} {name}")
    if code != 0:
        print(f"FAIL the server ended with exit code {code}")
    sys.exit(0 if all(results.values()) and code == 0 else 1)


if __name__ == "__main__":
    main()
