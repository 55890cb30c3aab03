#!/usr/bin/env python3
"""Values and gradients of ranking losses by sentence-transformers' own cross-encoder loss classes, and by PyTorch.

needs  pip install torch sentence-transformers   (CPU is enough)
run    python make_losses.py     writes losses.json in this folder

The loss classes are run as they are; only the model is replaced, by one that returns the given logits. In every group
the first passage has the highest label: it is the positive of the losses that want one. Float32, as in training.
"""
import json
import pathlib

import sentence_transformers
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import losses
from sentence_transformers.util import fullname
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
GROUPS = {
    "binary": {"logits": [1.25, 0.4, -0.85, 2.1, -3.3, 0.05], "labels": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0], "teacher": [6.1, -2.4, -5.0, 1.2, -9.7, -3.3]},
    "soft": {"logits": [0.3, 1.7, -0.6, -1.9], "labels": [0.9, 0.35, 0.6, 0.0], "teacher": [3.5, -0.2, 1.1, -6.4]},
    "ties": {"logits": [-0.2, 0.9, 0.65, 2.4, -1.15, -0.45, 1.3], "labels": [1.0, 0.5, 0.0, 0.5, 0.0, 1.0, 0.0], "teacher": [4.2, 0.6, -3.1, 0.9, -7.5, 4.4, -2.2]},
    "extreme": {"logits": [-60.0, 75.0, 0.0], "labels": [1.0, 0.0, 0.5], "teacher": [9.0, -9.0, 0.0]},
}
BATCH = ["binary", "soft", "ties"]  # the groups that also go through the list losses together


class Given(CrossEncoder):
    """A cross-encoder that gives the passage named "i" the i-th logit."""

    def __init__(self, logits):
        nn.Module.__init__(self)
        self.logits = logits

    num_labels = property(lambda self: 1)
    device = property(lambda self: torch.device("cpu"))

    def preprocess(self, pairs, **_):
        return {"at": torch.tensor([int(passage) for _, passage in pairs])}

    def forward(self, features):
        return {"scores": self.logits[features["at"]].unsqueeze(1)}


def digits(values):
    return [float(f"{value:.9g}") for value in values]


class Case:
    """One or more groups with a leaf tensor of all their logits."""

    def __init__(self, names):
        groups = [GROUPS[name] for name in names]
        self.logits = torch.tensor([logit for group in groups for logit in group["logits"]], requires_grad=True)
        self.labels = [torch.tensor(group["labels"]) for group in groups]
        self.teacher = [torch.tensor(group["teacher"]) for group in groups]
        ids = iter(range(len(self.logits)))
        self.passages = [[str(next(ids)) for _ in group["logits"]] for group in groups]
        self.model = Given(self.logits)

    def points(self, loss, targets):
        """(query, passage) pairs with a target each."""
        flat = [passage for group in self.passages for passage in group]
        return loss(self.model)([["q"] * len(flat), flat], torch.cat(targets))

    def lists(self, loss):
        """(query, passages) with a list of labels each."""
        return loss(self.model)([["q"] * len(self.passages), self.passages], self.labels)

    def columns(self, loss, targets=None):
        """(query, positive, negative, negative...) of a single group."""
        return loss(self.model)([["q"], *([passage] for passage in self.passages[0])], targets)


def margin_ranking(case, margin, every):
    """torch's hinge on score differences, mean over pairs of unequal label: the first against the rest, or every pair."""
    labels = case.labels[0].tolist()
    firsts = range(len(labels)) if every else [0]
    pairs = [(i, j) for i in firsts for j in range(len(labels)) if labels[i] > labels[j]]
    better, worse = case.logits[[i for i, _ in pairs]], case.logits[[j for _, j in pairs]]
    return nn.MarginRankingLoss(margin=margin)(better, worse, torch.ones(len(pairs)))


def softmax_distillation(case):
    student = case.logits.log_softmax(0)[None]
    return nn.KLDivLoss(reduction="batchmean")(student, case.teacher[0].softmax(0)[None])


def table():
    """(name, options, activation, kind, function of a case); kind: single = one group only, any = also the batch."""
    identity, sigmoid = fullname(nn.Identity()), fullname(nn.Sigmoid())
    rows = []
    for weight in (1.0, 5.0):
        make = lambda model, weight=weight: losses.BinaryCrossEntropyLoss(model, pos_weight=torch.tensor(weight))
        rows.append(("BinaryCrossEntropyLoss", {"pos_weight": weight}, identity, "any", lambda case, make=make: case.points(make, case.labels)))
    rows.append(("MSELoss", {"target": "labels"}, identity, "any", lambda case: case.points(losses.MSELoss, case.labels)))
    rows.append(("MSELoss", {"target": "teacher"}, identity, "any", lambda case: case.points(losses.MSELoss, case.teacher)))
    rows.append(("MarginMSELoss", {"target": "teacher", "pairs": "the first against each other"}, identity, "single",
                 lambda case: case.columns(losses.MarginMSELoss, case.teacher[0][None])))
    for name, loss in (("MultipleNegativesRankingLoss", losses.MultipleNegativesRankingLoss), ("CachedMultipleNegativesRankingLoss", losses.CachedMultipleNegativesRankingLoss)):
        rows.append((name, {"scale": 10.0, "positive": "the first"}, sigmoid, "single", lambda case, loss=loss: case.columns(loss)))
        bare = lambda model, loss=loss: loss(model, scale=1.0, activation_fn=nn.Identity())
        rows.append((name, {"scale": 1.0, "positive": "the first"}, identity, "single", lambda case, bare=bare: case.columns(bare)))
    rows.append(("torch cross_entropy", {"target": "the first", "also called": "group softmax, InfoNCE"}, identity, "single",
                 lambda case: nn.functional.cross_entropy(case.logits[None], torch.tensor([0]))))
    rows.append(("torch KLDivLoss", {"target": "softmax(teacher)", "reduction": "batchmean"}, identity, "single", softmax_distillation))
    for margin in (0.5, 1.0):
        for every, pairs in ((False, "the first against each of lower label"), (True, "every pair of unequal label")):
            rows.append(("torch MarginRankingLoss", {"margin": margin, "pairs": pairs}, identity, "single",
                         lambda case, margin=margin, every=every: margin_ranking(case, margin, every)))
    variants = [{"k": None, "sigma": 1.0}, {"k": 3, "sigma": 1.0}, {"k": None, "sigma": 2.0}, {"k": None, "sigma": 1.0, "reduction_log": "natural"}]
    for options in variants:
        shown = {"reduction_log": "binary", **options}
        rows.append(("RankNetLoss", shown, identity, "any", lambda case, o=options: case.lists(lambda model: losses.RankNetLoss(model, **o))))
        for scheme in (losses.NoWeightingScheme, losses.NDCGLoss1Scheme, losses.NDCGLoss2Scheme, losses.LambdaRankScheme, losses.NDCGLoss2PPScheme):
            make = lambda model, o=options, scheme=scheme: losses.LambdaLoss(model, weighting_scheme=scheme(), **o)
            rows.append(("LambdaLoss", {"weighting_scheme": scheme.__name__, **shown}, identity, "any", lambda case, make=make: case.lists(make)))
    rows.append(("ListNetLoss", {}, identity, "any", lambda case: case.lists(losses.ListNetLoss)))
    for name, loss in (("ListMLELoss", losses.ListMLELoss), ("PListMLELoss", losses.PListMLELoss)):
        for respect in (True, False):
            rows.append((name, {"respect_input_order": respect}, identity, "any",
                         lambda case, loss=loss, r=respect: case.lists(lambda model: loss(model, respect_input_order=r))))
    return rows


def check_defaults():
    """The options named as defaults are the installed version's."""
    model = Given(torch.zeros(1))
    assert isinstance(losses.LambdaLoss(model).weighting_scheme, losses.NDCGLoss2PPScheme)
    for loss in (losses.LambdaLoss(model), losses.RankNetLoss(model)):
        assert (loss.k, loss.sigma, loss.reduction_log, fullname(loss.activation_fn)) == (None, 1.0, "binary", fullname(nn.Identity()))
    for loss in (losses.MultipleNegativesRankingLoss(model), losses.CachedMultipleNegativesRankingLoss(model)):
        assert (loss.scale, fullname(loss.activation_fn)) == (10.0, fullname(nn.Sigmoid()))
    assert losses.ListMLELoss(model).respect_input_order and losses.PListMLELoss(model).respect_input_order


def main():
    check_defaults()
    rows = []
    for name, options, activation, kind, compute in table():
        cases = [(group, [group]) for group in GROUPS] + ([("batch", BATCH)] if kind == "any" else [])
        for label, members in cases:
            case = Case(members)
            value = compute(case)
            value.backward()
            gradient = torch.zeros_like(case.logits) if case.logits.grad is None else case.logits.grad
            rows.append({"loss": name, "options": options, "activation": activation, "group": label,
                         "value": digits([value.item()])[0], "gradient": digits(gradient.tolist())})
    about = {
        "made_by": "make_losses.py", "sentence_transformers": sentence_transformers.__version__, "torch": torch.__version__.split("+")[0],
        "batch": "the groups " + ", ".join(BATCH) + " in one call; the gradient is that of their logits one after another",
        "RankNetLoss and LambdaLoss": "logarithm to base 2 by default, so ln 2 times smaller is the natural one; mean over all pairs of "
            "the call that count, not over queries; a pair counts when one of its two passages is among the k first by logit",
        "ListMLELoss": "respect_input_order true (default) takes the order given as the ranking, false sorts by label, ties in the order given",
        "PListMLELoss": "position weights 2^(n - rank) - 1, normalised to sum 1",
        "MultipleNegativesRankingLoss": "sigmoid and scale 10 by default; one query a call, so there are no in-batch negatives",
        "activation": "applied to the logits inside the loss",
    }
    lines = lambda text: "  " + text
    (HERE / "losses.json").write_text(
        "{\n \"about\": " + json.dumps(about) + ",\n \"groups\": {\n"
        + ",\n".join(lines(f"{json.dumps(name)}: {json.dumps(group)}") for name, group in GROUPS.items())
        + "\n },\n \"losses\": [\n" + ",\n".join(lines(json.dumps(row)) for row in rows) + "\n ]\n}\n", encoding="utf-8")
    print(f"{len(rows)} values of {len({row['loss'] for row in rows})} losses")


if __name__ == "__main__":
    main()
