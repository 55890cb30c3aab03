#!/usr/bin/env python3
"""A nasty TREC run with its qrels, and what trec_eval and ir-measures say about it.

needs  pip install pytrec-eval-terrier ir-measures   (the first is trec_eval's own C code)
run    python make_measures.py     writes measures.run, measures.qrels, measures.json in this folder; the seed is fixed

In the files: ties in score, unjudged passages, grades 0 to 3 and -1, lines not in order of score and a rank column that
is therefore wrong (trec_eval does not read it), scores that tie only as 32-bit floats, ids that differ in length and case.
"""
import json
import pathlib
import random
import struct

import ir_measures
import pytrec_eval

HERE = pathlib.Path(__file__).resolve().parent
SEED = 41
QUERIES = 25
MEASURES = ["ndcg_cut.5,10,100", "P.1,5,10", "recall.5,10,100", "success.1,3,10", "map", "recip_rank"]
# trec_eval's nDCG with the grades' gains replaced by 2^grade - 1 (nothing for a negative grade).
EXPONENTIAL = {-1: 0, 0: 0, 1: 1, 2: 3, 3: 7}
IR_MEASURES = {
    "ndcg_exp_cut_5": ir_measures.nDCG(gains=EXPONENTIAL) @ 5,
    "ndcg_exp_cut_10": ir_measures.nDCG(gains=EXPONENTIAL) @ 10,
    "judged_3": ir_measures.Judged @ 3,
    "judged_10": ir_measures.Judged @ 10,
    "judged_100": ir_measures.Judged @ 100,
}
NOT_IN_RUN, NOT_IN_QRELS, NO_POSITIVE, ONLY_NEGATIVE_GRADES, FEW_RESULTS = "q07", "q12", "q15", "q18", "q20"
LONG = {"q03", "q10", "q22"}  # more than 100 results
FLOAT_TIES = "q05"
SIGNED_ZEROS = "q08"  # 0.0 and -0.0 tie
LATE = "q09"  # no positive among the first ten


def float32(value):
    """trec_eval keeps scores as 32-bit floats."""
    return struct.unpack("f", struct.pack("f", value))[0]


def trec_order(results):
    """trec_eval's order: score descending, then passage id descending, byte by byte."""
    return sorted(results, key=lambda passage: (float32(results[passage]), passage.encode()), reverse=True)


def passage_ids(rng):
    ids = [f"p{number}" for number in range(1, 141)] + [f"P{number:03}" for number in range(1, 30)] + ["doc-9", "doc-10", "Doc-9", "é1", "z_1"]
    rng.shuffle(ids)
    return ids


def make():
    rng = random.Random(SEED)
    run, qrels = {}, {}
    for number in range(1, QUERIES + 1):
        query = f"q{number:02}"
        ids = passage_ids(rng)
        depth = 3 if query == FEW_RESULTS else rng.randint(105, 120) if query in LONG else rng.randint(12, 30)
        steps = rng.choice([3, 6, 12, 200])  # few steps, many ties; some scores are negative
        results = {passage: round(rng.randint(0, steps) / steps * 20 - 8, 4) for passage in ids[:depth]}
        if query == FLOAT_TIES:
            results = {passage: 12.0 + at % 3 + at * 1e-8 for at, passage in enumerate(ids[:depth])}
        elif query == SIGNED_ZEROS:
            results = {passage: (0.0, -0.0, -1.0, -0.5)[at % 4] for at, passage in enumerate(ids[:depth])}
        judged = rng.sample(ids[:depth], depth // 2) + rng.sample(ids[depth:], rng.randint(2, 6))
        grades = {passage: rng.choice([-1, 0, 0, 0, 1, 1, 2, 3]) for passage in judged}
        if query == NO_POSITIVE:
            grades = {passage: 0 for passage in judged}
        elif query == ONLY_NEGATIVE_GRADES:
            grades = {passage: -1 for passage in judged}
        elif query == LATE:
            first = set(trec_order(results)[:11])
            grades = {passage: min(grade, 0) if passage in first else max(grade, 1) for passage, grade in grades.items()}
        elif not any(grade > 0 for grade in grades.values()):
            grades[judged[-1]] = 2
        if query != NOT_IN_RUN:
            run[query] = results
        if query != NOT_IN_QRELS:
            qrels[query] = grades
    return run, qrels


def by_ir_measures(run, qrels):
    """Query to name to value. Its Judged breaks ties in another order than trec_eval, so it gets scores without ties."""
    untied = {query: {passage: -float(rank) for rank, passage in enumerate(trec_order(results))} for query, results in run.items()}
    names = {measure: name for name, measure in IR_MEASURES.items()}
    values = {}
    for metric in ir_measures.iter_calc(list(names), qrels, untied):
        values.setdefault(metric.query_id, {})[names[metric.measure]] = round(metric.value, 12)
    return values


def main():
    run, qrels = make()
    with open(HERE / "measures.run", "w", encoding="utf-8") as out:
        for query, results in run.items():
            for rank, (passage, score) in enumerate(results.items(), 1):
                out.write(f"{query} Q0 {passage} {rank} {score!r} seed-{SEED}\n")
    with open(HERE / "measures.qrels", "w", encoding="utf-8") as out:
        for query, grades in qrels.items():
            out.writelines(f"{query} 0 {passage} {grade}\n" for passage, grade in grades.items())

    found = pytrec_eval.RelevanceEvaluator(qrels, set(MEASURES)).evaluate(run)
    top10 = {query: {passage: results[passage] for passage in trec_order(results)[:10]} for query, results in run.items()}
    cut = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(top10)
    more = by_ir_measures(run, qrels)
    values = {
        query: {name: round(value, 12) for name, value in sorted(found[query].items())} | {"recip_rank_cut_10": round(cut[query]["recip_rank"], 12)} | more[query]
        for query in sorted(found)
    }
    names = list(next(iter(values.values())))
    positive = sorted(query for query, grades in qrels.items() if any(grade > 0 for grade in grades.values()))
    mean = lambda queries: {name: round(sum(values.get(query, {}).get(name, 0.0) for query in queries) / len(queries), 12) for name in names}
    result = {
        "about": {
            "made_by": "make_measures.py",
            "order": "score as a 32-bit float descending, then passage id descending by bytes; the rank column is not read",
            "relevant": "grade 1 or more; a grade below 0 gains nothing, like a passage that is not judged",
            "ndcg_exp_cut": "ir-measures' nDCG by trec_eval's code with gain 2^grade - 1",
            "judged": "ir-measures' Judged, ties broken as trec_eval breaks them",
            "recip_rank_cut_10": "MRR@10: trec_eval's recip_rank on the run cut to its first ten in that order",
            "not_in_run": NOT_IN_RUN, "not_in_qrels": NOT_IN_QRELS, "no_positive": [NO_POSITIVE, ONLY_NEGATIVE_GRADES],
            "few_results": FEW_RESULTS, "scores_tie_only_as_32_bit_floats": FLOAT_TIES,
            "zero_and_minus_zero_tie": SIGNED_ZEROS, "no_positive_among_the_first_ten": LATE,
        },
        "per_query": values,
        "mean": {
            "over": "every query of the qrels with at least one positive; one that is missing from the run counts as zero",
            "queries": len(positive), "values": mean(positive),
        },
        "mean_trec_eval": {
            "over": "trec_eval's own mean: the queries in both files, those without a positive too",
            "queries": len(values), "values": mean(sorted(values)),
        },
    }
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (HERE / "measures.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(run)} queries in the run, {len(qrels)} in the qrels, {len(values)} evaluated, {len(positive)} with a positive")


if __name__ == "__main__":
    main()
