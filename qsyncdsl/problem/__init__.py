"""The corridor from derivation to numerics: problems as pure data, never functions.

A problem is compiled once per structure of a model (its parts, sizes and cutoffs) and serves
every point of a sweep: what changes from point to point are the numbers `f_k(p)`.
"""

from qsyncdsl.problem.common import Coefficients, Lowered, Point, Varying
from qsyncdsl.problem.equations import EquationProblem, NoiseSource
from qsyncdsl.problem.fields import (
    DensityProblem,
    DensityTerm,
    FieldFamily,
    FieldKick,
    FieldProblem,
    GaussianProblem,
    NoiseChannel,
    Terms,
)
from qsyncdsl.problem.lindblad import (
    Channel,
    Combination,
    EigenProblem,
    Force,
    Kick,
    LevelGroup,
    LindbladProblem,
    PermutationProblem,
    PermutationTerm,
)
from qsyncdsl.problem.moments import CumulantProblem
from qsyncdsl.problem.product import (
    EVERYONE,
    CellKind,
    CellTerm,
    MeanFieldProblem,
    PairTerm,
)
from qsyncdsl.problem.realizations import Realizations, Stretch, at_once, pieces
from qsyncdsl.problem.rotors import RotorProblem
from qsyncdsl.problem.trajectories import GeneratorTerm, Request, TrajectoryProblem

__all__ = [
    "EVERYONE",
    "CellKind",
    "CellTerm",
    "Channel",
    "Coefficients",
    "Combination",
    "CumulantProblem",
    "DensityProblem",
    "DensityTerm",
    "EigenProblem",
    "EquationProblem",
    "FieldFamily",
    "FieldKick",
    "FieldProblem",
    "Force",
    "GaussianProblem",
    "GeneratorTerm",
    "Kick",
    "LevelGroup",
    "LindbladProblem",
    "Lowered",
    "MeanFieldProblem",
    "NoiseChannel",
    "NoiseSource",
    "PairTerm",
    "PermutationProblem",
    "PermutationTerm",
    "Point",
    "Realizations",
    "Request",
    "RotorProblem",
    "Stretch",
    "Terms",
    "TrajectoryProblem",
    "Varying",
    "at_once",
    "pieces",
]
