"""Functions of numbers; those of operators act on the whole operator."""

from __future__ import annotations

from qsyncdsl.registry.entry import Registry, word

functions = Registry(
    "functions",
    tuple(
        word(name, signature, gives, about)
        for name, signature, gives, about in (
            ("sqrt", "x: number", "number", "square root"),
            ("exp", "x: number", "number", "exponential"),
            ("log", "x: number", "number", "natural logarithm"),
            ("sin", "x: number", "number", "sine"),
            ("cos", "x: number", "number", "cosine"),
            ("tan", "x: number", "number", "tangent"),
            ("asin", "x: number", "number", "inverse sine"),
            ("acos", "x: number", "number", "inverse cosine"),
            ("atan", "x: number", "number", "inverse tangent"),
            ("sinh", "x: number", "number", "hyperbolic sine"),
            ("cosh", "x: number", "number", "hyperbolic cosine"),
            ("tanh", "x: number", "number", "hyperbolic tangent"),
            ("abs", "x: number", "real", "modulus"),
            ("arg", "x: number", "real", "phase in (-pi, pi]"),
            ("real", "x: number", "real", "real part"),
            ("imag", "x: number", "real", "imaginary part"),
            ("conj", "x: number", "number", "complex conjugate"),
            ("dag", "x: operator", "operator", "adjoint, as x'"),
            ("floor", "x: real", "integer", "largest integer not above x"),
            ("ceil", "x: real", "integer", "smallest integer not below x"),
            ("round", "x: real", "integer", "nearest integer"),
            ("sign", "x: real", "integer", "sign of x"),
            ("step", "x: real", "real", "0 for x < 0, else 1"),
            ("min", "*x: real", "real", "smallest"),
            ("max", "*x: real", "real", "largest"),
            (
                "laguerre",
                "n: number, alpha: real, x: number",
                "number",
                "associated Laguerre polynomial; n or x may be an operator",
            ),
            ("sum", "binder: each, x: number", "number", "sum(j in sites, x)"),
            (
                "linspace",
                "start: real, stop: real, count: integer",
                "list",
                "equally spaced numbers, both ends",
            ),
            (
                "logspace",
                "start: real, stop: real, count: integer",
                "list",
                "numbers in equal ratios, both ends",
            ),
            (
                "integral",
                "start: real, stop: real, nodes: integer",
                "nodes",
                "weighted Gauss-Legendre nodes",
            ),
            (
                "z",
                "sites: lattice",
                "integer",
                "coordination number: z(sites) in the bulk, z(j) of a site",
            ),
        )
    ),
)
