"""The operators: normal-ordered polynomials, equations of motion, symmetries."""
