//! Finds passages for queries.
