//! Wire dialects of LLM APIs: pure functions from bytes to bytes.
