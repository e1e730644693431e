"""qsyncdsl: a language and a compiler for quantum synchronization."""
