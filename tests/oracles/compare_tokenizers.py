#!/usr/bin/env python3
"""How an LLM's tokenizer counts beside a local model's: the error of `whetstone ask --dry-run`.

compare_tokenizers.py TOKENIZER_JSON URL CORPUS_JSONL…    (`pip install tokenizers`)
URL is that of a llama.cpp server, which has /tokenize. 200 passages of each corpus, drawn with seed 1.
"""

import json
import random
import sys
import urllib.request

from tokenizers import Tokenizer


def count(url: str, text: str) -> int:
    body = json.dumps({"content": text}).encode()
    request = urllib.request.Request(f"{url}/tokenize", data=body, headers={"content-type": "application/json"})
    return len(json.load(urllib.request.urlopen(request))["tokens"])


def main() -> None:
    tokenizer_json, url, *corpora = sys.argv[1:]
    local = Tokenizer.from_file(tokenizer_json)
    local.no_truncation()
    local.no_padding()
    for corpus in corpora:
        texts = [json.loads(line)["text"] for line in open(corpus)]
        random.seed(1)
        texts = random.sample([text for text in texts if len(text) > 100], 200)
        pairs = [(count(url, text), len(local.encode(text, add_special_tokens=False).ids)) for text in texts]
        ratios = sorted(theirs / ours for theirs, ours in pairs)
        total = sum(theirs for theirs, _ in pairs) / sum(ours for _, ours in pairs)
        print(f"{corpus}: sums {total:.3f}, passages {ratios[10]:.3f} to {ratios[189]:.3f} (5 % to 95 %)")


if __name__ == "__main__":
    main()
