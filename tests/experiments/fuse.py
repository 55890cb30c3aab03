#!/usr/bin/env python3
"""Reciprocal rank fusion (k = 60) of the runs named, all over the same candidates, as one run on stdout.

needs  nothing but Python
run    python fuse.py RUN RUN … > FUSED; then whetstone eval --qrels QRELS --run fused=FUSED
"""
import collections
import sys

K = 60
fused = collections.defaultdict(lambda: collections.defaultdict(float))
for path in sys.argv[1:]:
    scores = collections.defaultdict(list)
    for line in open(path):
        query, _, passage, _, score, _ = line.split()
        scores[query].append((-float(score), passage))
    for query, hits in scores.items():
        for rank, (_, passage) in enumerate(sorted(hits), 1):
            fused[query][passage] += 1 / (K + rank)
for query, hits in fused.items():
    for rank, (passage, score) in enumerate(sorted(hits.items(), key=lambda hit: (-hit[1], hit[0])), 1):
        print(query, "Q0", passage, rank, score, "rrf")
