"""Draws queries of a data set to be judged by reading, and counts the verdicts of a sheet.

    python3 draw_queries.py draw DATA_SET COUNT SEED > SHEET.tsv
    python3 draw_queries.py share SHEET.tsv ...

A sheet has a head and a line for each query: the query, its passage's id, its style, and an empty
verdict. Write `y` where a person could have typed the query, and `n` where nobody would. Queries of
people are not drawn. The draw depends on the queries and the seed alone.
"""

import csv
import hashlib
import json
import random
import sys
from pathlib import Path

HEAD = ["query", "passage", "style", "verdict"]


def generated(data_set):
    with open(Path(data_set) / "queries.jsonl", encoding="utf-8") as lines:
        queries = [json.loads(line) for line in lines]
    return [query for query in queries if query.get("metadata", {}).get("passage")]


def draw(data_set, count, seed):
    queries = sorted(generated(data_set), key=lambda query: query["_id"])
    digest = hashlib.sha256(f"draw {seed}".encode()).hexdigest()
    drawn = random.Random(digest).sample(queries, min(count, len(queries)))
    sheet = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    sheet.writerow(HEAD)
    for query in drawn:
        metadata = query["metadata"]
        sheet.writerow([query["text"], metadata["passage"], metadata.get("style", ""), ""])


def share(sheets):
    for sheet in sheets:
        with open(sheet, encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t"))
        wrong = [row for row in rows if row["verdict"] not in ("y", "n")]
        if not rows or wrong:
            sys.exit(f"{sheet}: {len(wrong)} of {len(rows)} queries have no verdict `y` or `n`")
        good = sum(row["verdict"] == "y" for row in rows)
        print(f"{sheet}\t{good} of {len(rows)}\t{100 * good / len(rows):.0f} %")


if __name__ == "__main__":
    if sys.argv[1:2] == ["draw"] and len(sys.argv) == 5:
        draw(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    elif sys.argv[1:2] == ["share"] and len(sys.argv) > 2:
        share(sys.argv[2:])
    else:
        sys.exit(__doc__)
