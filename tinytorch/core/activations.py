"""Activations: The functions between the layers, written so that no input makes them overflow.

Exported from module 02_activations by tito export. Edit the notebook of that module, not this file.
"""

import math

import numpy as np

from ..kernels.precision import in_float32
from .tensor import Op, elementwise, normalize_axes, result_dtype

__all__ = [
    "relu", "sigmoid", "tanh", "softmax_along", "softmax", "erf", "gelu_exact", "gelu_tanh", "in_blocks", "BLOCK",
    "gelu", "Activation", "ReLU", "Sigmoid", "Tanh", "GELU", "Softmax",
]


@Op
def relu(x):
    """x where it is positive, else 0, entry by entry; NaN stays NaN, and integers stay integers."""
    return np.maximum(x, 0, dtype=result_dtype(x, 0))


@Op
def sigmoid(x):
    """1 / (1 + exp(-x)), entry by entry, without overflow and without loss of digits near 0."""
    x = np.asarray(x, result_dtype(x, floating=True))
    small = np.abs(x, out=np.empty_like(x))
    np.negative(small, out=small)
    np.exp(small, out=small)
    top = np.maximum(small, x >= 0)  # 1 where x >= 0; np.where is slower, it branches at every entry
    small += 1
    top /= small
    return top


tanh = elementwise("tanh", np.tanh, floating=True)


@Op
@np.errstate(invalid="ignore")
@in_float32
def softmax_along(x, *, axis):
    """exp(x) divided by its sum along `axis`: positive shares that sum to 1.

    Raises IndexError for an axis that does not exist.
    """
    x = np.asarray(x, result_dtype(x, floating=True))
    axes = normalize_axes(axis, x.ndim)
    peak = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    shares = np.subtract(x, peak, out=np.empty_like(x))
    np.exp(shares, out=shares)
    shares /= np.sum(shares, axis=axes, keepdims=True)
    return shares


def softmax(x, axis=-1, *, dim=None):
    """Shares along `axis` (or PyTorch's `dim`), positive and with the sum 1."""
    return softmax_along(x, axis=axis if dim is None else dim)


# W. J. Cody, Rational Chebyshev approximations for the error function (1969): numerator and denominator,
# each with the highest power first
_ERF_NEAR = (
    (
        1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
_ERF_MIDDLE = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
_ERF_FAR = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1, 2.56852019228982242e0, 1.87295284992346047e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip


def _quotient(polynomials, x):
    """The value at `x` of a quotient of two polynomials, in x's dtype, by Horner's rule."""
    values = []
    for first, second, *rest in polynomials:
        value = x * first
        value += second
        for coefficient in rest:
            value *= x
            value += coefficient
        values.append(value)
    values[0] /= values[1]
    return values[0]


def erf(x):
    """The error function of a floating array, entry by entry and in its dtype, to 1e-15 in float64."""
    size = np.minimum(np.abs(x), 6)  # 1 - erf(6) is 2e-17
    square = size * size
    out = np.asarray(np.copysign(1 - np.exp(-square) * _quotient(_ERF_MIDDLE, size), x))
    np.copyto(out, x * _quotient(_ERF_NEAR, square), where=size < 0.46875)
    far = size > 4
    if far.any():
        inverse = 1 / square[far]
        series = 1 / math.sqrt(math.pi) - inverse * _quotient(_ERF_FAR, inverse)
        tail = np.exp(-square[far]) / size[far] * series
        out[far] = np.copysign(1 - tail, x[far])
    return out


def gelu_exact(x):
    """x times the share of a normal distribution that lies below x, for a floating array."""
    out = erf(x * math.sqrt(0.5))
    out += 1
    out *= x
    out *= 0.5
    return out


def gelu_tanh(x):
    """GELU in GPT-2's form for a floating array with axes, in nine passes that write into one new array."""
    out = np.square(x)
    out *= 0.044715
    out += 1
    out *= x
    out *= math.sqrt(2 / math.pi)
    np.tanh(out, out=out)
    out += 1
    out *= x
    out *= 0.5
    return out


def in_blocks(function, x, size):
    """function(x), computed on `size` entries at a time, as a new array with the shape and the dtype of x.

    function: takes an array with one axis and returns one of the same length and dtype, in which each entry
    depends on the entry at the same place only.
    """
    out = np.empty(x.shape, x.dtype)
    entries, results = x.reshape(-1), out.reshape(-1)
    for start in range(0, entries.size, size):
        results[start : start + size] = function(entries[start : start + size])
    return out


BLOCK = 2**15  # entries: with its result, a block and a temporary array stay in a second-level cache


@Op
@np.errstate(over="ignore", invalid="ignore")  # a cube may overflow: tanh of infinity is 1
def gelu(x, *, approximate="none"):
    """x times the share of a normal distribution that lies below x (Hendrycks and Gimpel, 2016).

    approximate: "none" for the exact form, "tanh" for the paper's second one, at most 5e-4 apart.
    Raises ValueError for another word.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    x = np.asarray(x, result_dtype(x, floating=True))
    return in_blocks(gelu_exact if approximate == "none" else gelu_tanh, x, BLOCK)


class Activation:
    """A function of one Tensor as a layer: called like a function, with its settings as attributes."""

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


class ReLU(Activation):
    """max(x, 0), entry by entry."""

    def forward(self, x): return relu(x)


class Sigmoid(Activation):
    """1 / (1 + exp(-x)), entry by entry: between 0 and 1."""

    def forward(self, x): return sigmoid(x)


class Tanh(Activation):
    """The hyperbolic tangent, entry by entry: between -1 and 1."""

    def forward(self, x): return tanh(x)


class GELU(Activation):
    """x times the share of a normal distribution below x. approximate: "none" or "tanh"."""

    def __init__(self, approximate="none"):
        self.approximate = approximate

    def forward(self, x): return gelu(x, approximate=self.approximate)


class Softmax(Activation):
    """Shares along the axis `dim` that sum to 1."""

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x): return softmax_along(x, axis=self.dim)
