"""How synchronized: numbers and pictures from states."""
