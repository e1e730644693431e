"""The methods: how each lowers a system, solves it and shows its states. One value a method."""
