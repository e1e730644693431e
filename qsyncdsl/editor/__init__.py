"""For editors and notebooks: the language server and the notebook magic."""
