"""The syntax tree: what was written, word for word, with its places. Nothing here is checked.

A grammar rule in the singular makes the class of the same name here, with the rule's children as
fields in their order; a rule in the plural makes a tuple.
"""

from __future__ import annotations

from dataclasses import field

from qsyncdsl.record import record
from qsyncdsl.syntax.node import Node as Node

# ── words ────────────────────────────────────────────────────────────────────────────────────


@record
class Name(Node):
    """A name; `key` is the form that is compared, `written` the one to show."""

    key: str
    written: str = field(compare=False, repr=False)


@record
class Number(Node):
    """A literal; an int where it was written as one."""

    value: int | float


@record
class String(Node):
    """A text in double quotes, without them."""

    value: str


@record
class Path(Node):
    """`library.oscillators`."""

    names: tuple[Name, ...]


# ── expressions ──────────────────────────────────────────────────────────────────────────────


@record
class Unary(Node):
    """`-x`, `+x`, `not x`."""

    operator: str
    operand: Expr


@record
class Binary(Node):
    """`+ - * / ^`, comparisons `< > <= >= != =`, `and`, `or`; operators in ASCII."""

    left: Expr
    operator: str
    right: Expr


@record
class Range(Node):
    """`start..stop`: integers with both ends, or an interval in `locate`."""

    start: Expr
    stop: Expr


@record
class Tuple(Node):
    """`(x, y)`."""

    items: tuple[Expr, ...]


@record
class List(Node):
    """`[x, y]`."""

    items: tuple[Expr, ...]


@record
class Adjoint(Node):
    """`x'`."""

    operand: Expr


@record
class Attribute(Node):
    """`base.name`."""

    base: Expr
    name: Name


@record
class Index(Node):
    """`base[arguments]`."""

    base: Expr
    arguments: tuple[Argument, ...]


@record
class Call(Node):
    """`function(arguments)`."""

    function: Expr
    arguments: tuple[Argument, ...]


@record
class Expectation(Node):
    """`<operator>`."""

    operand: Expr


@record
class Ketbra(Node):
    """`|n><m| of mode`."""

    ket: Expr
    bra: Expr
    of: Expr | None


@record
class HermitianConjugate(Node):
    """`h.c.`"""


@record
class Option(Node):
    """`name = value` among arguments."""

    name: Name
    value: Expr


@record
class Each(Node):
    """`index in domain where condition` among arguments."""

    pattern: Expr
    domain: Expr
    condition: Expr | None


Expr = (
    Name
    | Number
    | String
    | Unary
    | Binary
    | Range
    | Tuple
    | List
    | Adjoint
    | Attribute
    | Index
    | Call
    | Expectation
    | Ketbra
    | HermitianConjugate
)
Argument = Expr | Option | Each


# ── bindings ─────────────────────────────────────────────────────────────────────────────────


@record
class Place(Node):
    """A name that is declared, set or bound, with its index: `a`, `omega[j in sites]`."""

    name: Name
    arguments: tuple[Argument, ...]


@record
class Group(Node):
    """`(j, k)`: several names bound at once."""

    names: tuple[Name, ...]


@record
class Declaration(Node):
    """`place = value "description"`, or `place ~ distribution` where `operator` is `~`."""

    place: Place
    operator: str
    value: Expr
    description: String | None


@record
class Setting(Node):
    """`place = value`."""

    place: Place | Group
    value: Expr


@record
class Binder(Node):
    """`index in domain`."""

    place: Place | Group
    domain: Expr


@record
class Binders(Node):
    """`for binder, binder where condition`."""

    items: tuple[Binder, ...]
    condition: Expr | None


# ── statements ───────────────────────────────────────────────────────────────────────────────


@record
class Title(Node):
    """`model "title"`."""

    text: String


@record
class Reference(Node):
    """`reference "paper"`."""

    text: String


@record
class Import(Node):
    """`import "file.qsync"` or `import library.oscillators`."""

    target: String | Path


@record
class Parameters(Node):
    """`parameter x = 1, y = 2*x "text"`."""

    items: tuple[Declaration, ...]


@record
class Lattice(Node):
    """`lattice sites = ring(10)`."""

    name: Name
    value: Expr
    description: String | None


@record
class Mode(Node):
    """`mode a, b[sites] : boson(levels = 4)`."""

    places: tuple[Place | Group, ...]
    kind: Expr
    description: String | None


@record
class Variable(Node):
    """`variable phi : angle`."""

    places: tuple[Place | Group, ...]
    kind: Expr
    description: String | None


@record
class Noise(Node):
    """`noise xi : white(S)`."""

    places: tuple[Place | Group, ...]
    kind: Expr
    description: String | None


@record
class Hamiltonian(Node):
    """`hamiltonian expression for j in sites`."""

    value: Expr
    binders: Binders | None


@record
class Dissipator(Node):
    """`dissipator rate : operator, operator for j in sites`."""

    rate: Expr
    operators: tuple[Expr, ...]
    binders: Binders | None


@record
class Coupling(Node):
    """A hamiltonian term (`operators` is None, `value` the term) or a dissipator (`value` the rate)."""

    value: Expr
    operators: tuple[Expr, ...] | None
    binders: Binders | None


@record
class Kick(Node):
    """`kick every period : generator`."""

    period: Expr
    generator: Expr
    binders: Binders | None


@record
class Equation(Node):
    """`equation d/dt x = expression`."""

    place: Place
    value: Expr
    binders: Binders | None


@record
class Step(Node):
    """`x -> f(x)`: one rule of a map."""

    place: Place
    value: Expr


@record
class Map(Node):
    """`map x -> f(x, y), y -> g(x, y)`: all rules at once."""

    steps: tuple[Step, ...]
    binders: Binders | None


@record
class Conjugate(Node):
    """`conjugate q, phi : -i`: two variables with [q, phi] = -i."""

    first: Name
    second: Name
    commutator: Expr
    description: String | None


@record
class Duality(Node):
    """`duality source -> target : q -> ..., phi -> ... with EL = EC`: a canonical substitution."""

    source: Name
    target: Name
    steps: tuple[Step, ...]
    settings: tuple[Setting, ...] | None


@record
class Define(Node):
    """`define f(x) = expression`; `parameters` is None where there are no brackets."""

    name: Name
    parameters: tuple[Name, ...] | None
    value: Expr
    description: String | None


@record
class Component(Node):
    """`component name(settings) { statements }`."""

    name: Name
    settings: tuple[Setting, ...] | None
    body: tuple[Statement, ...]


@record
class Use(Node):
    """`use component(settings) as place`."""

    component: Path
    settings: tuple[Setting, ...] | None
    place: Place


@record
class Initial(Node):
    """`initial a, b = coherent(2)`."""

    places: tuple[Place | Group, ...]
    value: Expr


@record
class Case(Node):
    """`case name "text" { overrides }`."""

    name: Name
    description: String | None
    body: tuple[Declaration | Initial, ...]


@record
class Experiment(Node):
    """`experiment name "text" { requests }`."""

    name: Name
    description: String | None
    body: tuple[Request, ...]


Statement = (
    Title
    | Reference
    | Import
    | Parameters
    | Lattice
    | Mode
    | Variable
    | Noise
    | Hamiltonian
    | Dissipator
    | Coupling
    | Kick
    | Equation
    | Map
    | Conjugate
    | Duality
    | Define
    | Component
    | Use
    | Case
    | Experiment
    | Initial
)


# ── requests of an experiment ────────────────────────────────────────────────────────────────


@record
class Cases(Node):
    """`case fig3a, fig3b`."""

    names: tuple[Name, ...]


@record
class Set(Node):
    """`set E = 1, levels = 8`."""

    settings: tuple[Setting, ...]


@record
class Protocol(Node):
    """`updown`, `down`, `reset`, `continue`; or `adaptive on measure to tolerance` (word `adaptive`)."""

    word: str
    measure: Name | None
    tolerance: Expr | None


@record
class Sweep(Node):
    """`sweep V = grid, E = grid protocol`."""

    settings: tuple[Setting, ...]
    protocol: Protocol | None


@record
class Until(Node):
    """`until error(S) < 0.01` among the options of a method with realizations."""

    condition: Expr

    @property
    def measure(self) -> Name | None:
        """The measure whose error is meant; None if the condition says something else."""
        match self.condition:
            case Binary(
                operator="<" | "<=",
                left=Call(function=Name(key="error"), arguments=(Name() as name,)),
            ):
                return name
        return None

    @property
    def bound(self) -> Expr:
        """What its error shall be below."""
        assert isinstance(self.condition, Binary)
        return self.condition.right


@record
class Solve(Node):
    """`solve method(options) as label with settings`."""

    method: Name
    options: tuple[Argument | Until, ...] | None
    label: Name | None
    overrides: tuple[Setting, ...] | None

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """The options that have values."""
        return tuple(x for x in self.options or () if not isinstance(x, Until))

    @property
    def until(self) -> Until | None:
        """When to stop, if that is said."""
        return next((x for x in self.options or () if isinstance(x, Until)), None)


@record
class Measure(Node):
    """`measure name[h in 1..10] = expression "description [unit]"`."""

    place: Place
    value: Expr
    description: String | None


@record
class Versus(Node):
    """`vs x`."""

    x: Expr


@record
class Over(Node):
    """`over (x, y)`."""

    x: Expr
    y: Expr


@record
class Plot(Node):
    """`plot y1, y2 vs x at mu = 0.02 with yscale = log`."""

    values: tuple[Expr, ...]
    axes: Versus | Over | None
    at: tuple[Setting, ...] | None
    options: tuple[Setting, ...] | None


@record
class Extremum(Node):
    """`S is maximal`."""

    value: Expr
    word: str


@record
class Locate(Node):
    """`locate name : parameter in range where goal`."""

    name: Name
    parameter: Name
    range: Expr
    goal: Expr | Extremum


@record
class Average(Node):
    """`average 50 draws`."""

    count: Expr


@record
class Keep(Node):
    """`keep states`."""

    what: Name


@record
class Outcome(Node):
    """`value within error`, `below value`, `above value`, `none`: `word` is `value` for the first."""

    word: str
    value: Expr | None
    error: Expr | None


@record
class Expect(Node):
    """`expect value at settings is outcome "source"`."""

    value: Expr
    at: tuple[Setting, ...] | None
    outcome: Outcome
    description: String | None


Request = (
    Cases
    | Set
    | Sweep
    | Solve
    | Measure
    | Plot
    | Locate
    | Average
    | Keep
    | Expect
    | Initial
)


@record
class File(Node):
    """A whole file."""

    statements: tuple[Statement, ...]
