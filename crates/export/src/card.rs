//! Writes the model card of an exported folder.

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use std::fmt::Write;

/// Returns the model card: what the model is, how to call it, and how it was trained.
pub fn text(checkpoint: &Checkpoint) -> Result<String> {
    let tokens = checkpoint.max_seq_tokens;
    let mut card = String::from(FRONT_MATTER);
    if let Some(base) = &checkpoint.base_model {
        let _ = write!(card, "Base model: `{base}`. ");
    }
    let _ = writeln!(
        card,
        "Input: `{}`, at most {tokens} tokens, the passage truncated. Output: one raw logit, higher \
         is more relevant.",
        checkpoint.family()?.template
    );
    card.push_str(USAGE);
    card.push_str("\n## Training\n\n");
    let _ = writeln!(
        card,
        "Step {} of its run, with Whetstone {}.",
        checkpoint.step,
        env!("CARGO_PKG_VERSION")
    );
    if let Some(ndcg) = checkpoint.dev_ndcg_at_10()? {
        let _ = writeln!(card, "nDCG@10 on the run's own dev queries: {ndcg:.4}.");
    }
    for (role, digest) in checkpoint.data_digests()? {
        let _ = writeln!(card, "- SHA-256 of `{role}`: `{digest}`");
    }
    let _ = write!(card, "\n```toml\n{}\n```\n", checkpoint.config_text()?.trim_end());
    Ok(card)
}

const FRONT_MATTER: &str = "\
---
library_name: sentence-transformers
pipeline_tag: text-ranking
tags:
- cross-encoder
- reranker
- whetstone
---

# Cross-encoder reranker

Scores how well a passage answers a query. Fine-tuned with Whetstone.
";

const USAGE: &str = "
## Use

```sh
whetstone rerank --model THIS_FOLDER --query \"…\" passages.txt
```

```python
from sentence_transformers import CrossEncoder
CrossEncoder(\"THIS_FOLDER\").rank(\"a query\", [\"a passage\", \"another\"])
```

text-embeddings-inference applies a sigmoid unless a request says `\"raw_scores\": true`; the order is the same.
";
