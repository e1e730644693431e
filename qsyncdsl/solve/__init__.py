"""The numerics: problems in, states out. Nothing here knows a model's name."""
