"""Pictures of results: lines, heat maps, distributions, functions on phase space."""

from qsyncdsl.report.plot.draw import draw, figures

__all__ = ["draw", "figures"]
