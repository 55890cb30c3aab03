#!/usr/bin/env python3
"""Logits of a model that is too sure of itself, and what scikit-learn and SciPy make of them.

needs  pip install scikit-learn scipy numpy
run    python make_calibration.py     writes calibration.json in this folder; the seed is fixed

platt: scikit-learn's own fit with Platt's targets (`_sigmoid_calibration`, 1 / (1 + exp(a * s + b)): the signs are turned here).
temperature: SciPy's bounded minimisation of the log loss. bins: scikit-learn's calibration_curve; ece from its bins.
joined: logit / temperature + weight * z(first stage) and its nDCG@10 by SciPy's zscore and scikit-learn's ndcg_score, on lists without ties.
"""
import json
import pathlib

import numpy as np
import scipy
import scipy.optimize
import scipy.special
import scipy.stats
import sklearn
from sklearn.calibration import _sigmoid_calibration, calibration_curve
from sklearn.metrics import log_loss, ndcg_score

HERE = pathlib.Path(__file__).resolve().parent
QUERIES, DEPTH = 40, 25


def platt(logits, relevant):
    a, b = _sigmoid_calibration(logits, relevant)
    return {"a": -a, "b": -b}


def temperature(logits, relevant):
    def loss(log_t):
        return log_loss(relevant, scipy.special.expit(logits / np.exp(log_t)))

    found = scipy.optimize.minimize_scalar(loss, bounds=(np.log(1e-2), np.log(1e2)), method="bounded", options={"xatol": 1e-10})
    return float(np.exp(found.x))


def bins(probabilities, relevant):
    share, mean = calibration_curve(relevant, probabilities, n_bins=10, strategy="uniform")
    counts = np.histogram(probabilities, bins=np.linspace(0, 1, 11))[0]
    counts = counts[counts > 0]
    ece = float(np.sum(counts * np.abs(share - mean)) / len(relevant))
    return {"mean_probability": mean.tolist(), "relevant_fraction": share.tolist(), "pairs": counts.tolist(), "ece": ece}


def joined(first, logits, relevant):
    means = {}
    for weight in (0.25, 0.5, 1.0, 2.0, 4.0):
        values = []
        for query in range(QUERIES):
            scores = logits[query] / 4 + weight * scipy.stats.zscore(first[query])
            if relevant[query].any():
                values.append(ndcg_score([relevant[query]], [scores], k=10))
        means[f"{weight:.2f}"] = float(np.mean(values))
    return means


def main():
    rng = np.random.default_rng(7)
    quality = rng.normal(size=(QUERIES, DEPTH))
    relevant = (quality + 0.6 * rng.normal(size=quality.shape) > 1.6).astype(int)
    logits = (4.0 * (quality + 0.5 * rng.normal(size=quality.shape)) - 2.0).astype(np.float32).astype(np.float64)
    first = (0.02 * (quality + 0.8 * rng.normal(size=quality.shape)) + 0.1).astype(np.float32).astype(np.float64)
    flat, truth = logits.ravel(), relevant.ravel()
    t = temperature(flat, truth)
    scaled = scipy.special.expit(platt(flat, truth)["a"] * flat + platt(flat, truth)["b"])
    raw = scipy.special.expit(flat)
    result = {
        "about": {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__},
        "logits": logits.tolist(),
        "first_stage": first.tolist(),
        "relevant": relevant.tolist(),
        "platt": platt(flat, truth),
        "temperature": t,
        "log_loss": {"raw": log_loss(truth, raw), "platt": log_loss(truth, scaled)},
        "raw_bins": bins(raw, truth),
        "platt_bins": bins(scaled, truth),
        "ndcg@10_by_weight": joined(first, logits, relevant),
    }
    (HERE / "calibration.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
