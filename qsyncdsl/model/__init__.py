"""What it means: types, names, kinds, lattices and the checker."""
