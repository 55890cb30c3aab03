//! The client of an LLM endpoint: what is asked, what it may cost, and what was answered.
