//! XLM-RoBERTa (Conneau et al. 2020): the family of bge-reranker-v2-m3, bge-m3 and multilingual-e5.
//! It is RoBERTa's network with a vocabulary of a hundred languages.

use super::Family;
use super::roberta;

pub(super) static XLM_ROBERTA: Family =
    roberta::family("xlm-roberta", "XLMRobertaForSequenceClassification", "XLMRobertaTokenizer");
