//! Stages on a model folder and its runs.
