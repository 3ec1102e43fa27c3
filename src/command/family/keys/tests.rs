//! Tests of key commands, on a bench.
