"""Scoring 30 and 100 real candidates of a query, in turns with ONNX Runtime and sentence-transformers: milliseconds and ratios.

needs: torch, transformers, sentence-transformers, onnx, onnxruntime      a machine with nothing else to do
usage: [TURNS=5] [QUERIES=10] [SIZES="30 100"] bench_score.py WHETSTONE MODEL_DIR BEIR_DIR

MODEL_DIR is a BERT cross-encoder. The candidates are the best by BM25 of queries of BEIR_DIR's qrels/test.tsv (SciFact: mixed lengths, cut
at 256 tokens). All read texts and give logits, tokenizing included: `whetstone serve` over HTTP, f32 and where the CPU has it bf16; ONNX
Runtime on PyTorch's graph after onnxruntime.transformers' fusions, sorted by length into batches of 32; CrossEncoder.predict.
Each turn takes other queries and another order of the programs. Prints, for each program, the median over the turns of its time by
whetstone's in f32; the largest difference of a logit; and on how many queries bf16 has the same first ten.
"""
import collections, contextlib, json, math, os, pathlib, random, re, socket, statistics, subprocess, sys, tempfile, time, urllib.request
import numpy, onnxruntime, torch
from onnxruntime.transformers import optimizer
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

whetstone, model_dir, beir = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(os.cpu_count())
TURNS, QUERIES = int(os.environ.get("TURNS", 5)), int(os.environ.get("QUERIES", 10))
SIZES = [int(size) for size in os.environ.get("SIZES", "30 100").split()]
BATCH, LONGEST = 32, 256
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def jsonl(name):
    return [json.loads(line) for line in open(beir / name)]


def lists():
    """(query, its best passages by BM25) of as many queries as the turns take."""
    texts = [f"{record.get('title', '')} {record['text']}".strip() for record in jsonl("corpus.jsonl")]
    words = lambda text: re.findall(r"\w+", text.lower())
    counts = [collections.Counter(words(text)) for text in texts]
    mean = sum(map(lambda count: count.total(), counts)) / len(counts)
    found_in = collections.Counter(word for count in counts for word in count)
    judged = {line.split("\t")[0] for line in open(beir / "qrels" / "test.tsv").read().splitlines()[1:]}
    queries = [record["text"] for record in jsonl("queries.jsonl") if record["_id"] in judged]
    random.Random(1).shuffle(queries)

    def bm25(query, count):
        weight = lambda word: math.log(1 + (len(texts) - found_in[word] + 0.5) / (found_in[word] + 0.5))
        return sum(weight(word) * count[word] / (count[word] + 0.9 * (0.6 + 0.4 * count.total() / mean)) for word in query if count[word])

    for query in queries[: TURNS * QUERIES]:
        asked = set(words(query))
        best = sorted(range(len(texts)), key=lambda at: -bm25(asked, counts[at]))
        yield query, [texts[at] for at in best[: max(SIZES)]]


@contextlib.contextmanager
def served(precision):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [whetstone, "serve", "--model", model_dir, "--port", str(port), "--precision", precision, "--quiet"]
    server = subprocess.Popen(command)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health")
                break
            time.sleep(0.1)

        def logits(query, texts):
            body = json.dumps({"query": query, "texts": texts, "raw_scores": True}).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}/rerank", body, {"content-type": "application/json"})
            found = {hit["index"]: hit["score"] for hit in json.load(urllib.request.urlopen(request))}
            return numpy.array([found[at] for at in range(len(texts))])

        yield logits
    finally:
        server.terminate()
        server.wait()


class Graph(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, *inputs):
        return self.network(**dict(zip(INPUTS, inputs))).logits


def onnx_runtime(folder):
    network = AutoModelForSequenceClassification.from_pretrained(model_dir, attn_implementation="eager").eval()
    plain, fused = os.path.join(folder, "plain.onnx"), os.path.join(folder, "fused.onnx")
    ids = torch.ones(2, 16, dtype=torch.long)
    axes = {name: {0: "batch", 1: "seq"} for name in INPUTS}
    torch.onnx.export(Graph(network), (ids,) * 3, plain, input_names=list(INPUTS), output_names=["logits"],
                      dynamic_axes=axes, opset_version=17, dynamo=False)
    heads, hidden = network.config.num_attention_heads, network.config.hidden_size
    graph = optimizer.optimize_model(plain, model_type="bert", num_heads=heads, hidden_size=hidden, opt_level=0)
    operators = {name: count for name, count in graph.get_fused_operator_statistics().items() if count}
    assert operators.get("Attention") == network.config.num_hidden_layers, operators
    print(f"onnxruntime {onnxruntime.__version__}, fused: {operators}", flush=True)
    graph.save_model_to_file(fused)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    session = onnxruntime.InferenceSession(fused, options, providers=["CPUExecutionProvider"])
    tokenizer = AutoTokenizer.from_pretrained(model_dir)

    def logits(query, texts):
        order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
        out = numpy.empty(len(texts))
        for at in range(0, len(order), BATCH):
            some = order[at : at + BATCH]
            batch = tokenizer([query] * len(some), [texts[one] for one in some], padding=True, truncation="only_second",
                              max_length=LONGEST, return_tensors="np")
            out[some] = session.run(None, {name: batch[name].astype(numpy.int64) for name in INPUTS})[0][:, 0]
        return out

    return logits


def sentence_transformers():
    encoder = CrossEncoder(model_dir, max_length=LONGEST, device="cpu", activation_fn=torch.nn.Identity())
    return lambda query, texts: encoder.predict([(query, text) for text in texts], batch_size=BATCH, show_progress_bar=False)


def first_ten(logits):
    return list(numpy.argsort(-logits, kind="stable")[:10])


def main():
    flags = open("/proc/cpuinfo").read()
    precisions = ["f32"] + ["bf16"] * ("avx512_bf16" in flags or "amx_bf16" in flags)
    asked = list(lists())
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        programs = {f"whetstone {precision}": stack.enter_context(served(precision)) for precision in precisions}
        programs |= {"onnxruntime": onnx_runtime(folder), "sentence-transformers": sentence_transformers()}
        for score in programs.values():
            score(asked[0][0], asked[0][1][:5])
        for size in SIZES:
            measure(programs, asked, size)


def measure(programs, asked, size):
    ratios, worst, same, times = collections.defaultdict(list), collections.Counter(), 0, collections.defaultdict(list)
    for turn in range(TURNS):
        spent, found = {}, {}
        names = list(programs)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            time.sleep(0.1)  # Threads of the program before may still spin.
            begin = time.perf_counter()
            found[name] = [programs[name](query, texts[:size]) for query, texts in asked[turn * QUERIES : (turn + 1) * QUERIES]]
            spent[name] = 1e3 * (time.perf_counter() - begin) / QUERIES
        for name in names:
            times[name].append(spent[name])
            ratios[name].append(spent[name] / spent["whetstone f32"])
            pairs = zip(found[name], found["whetstone f32"])
            worst[name] = max(worst[name], max(float(abs(a - b).max()) for a, b in pairs))
        if "whetstone bf16" in found:
            same += sum(first_ten(a) == first_ten(b) for a, b in zip(found["whetstone bf16"], found["whetstone f32"]))
            ratios["onnxruntime by whetstone bf16"].append(spent["onnxruntime"] / spent["whetstone bf16"])
        print(f"{size} candidates, turn {turn + 1}: " + ", ".join(f"{name} {spent[name]:.0f} ms" for name in names), flush=True)
    for name, values in ratios.items():
        line = f"{size} candidates: {name}: {statistics.median(values):.2f} times whetstone f32's time"
        if name == "onnxruntime by whetstone bf16":
            line = f"{size} candidates: {name}: {statistics.median(values):.2f}"
        else:
            line += f", {statistics.median(times[name]):.0f} ms, largest difference of a logit {worst[name]:.2g}"
        print(line)
    if "whetstone bf16" in programs:
        print(f"{size} candidates: the same first ten in bf16 on {same} of {TURNS * QUERIES} queries")


main()
