"""What was written: the tree, the parser and the formatter."""
