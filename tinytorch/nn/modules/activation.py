"""Activations as Modules, once module 03 is there; until then, they are module 02's."""

from tinytorch._lazy import is_built
from tinytorch.core import activations
from tinytorch.nn import functional

if is_built("layers"):
    from tinytorch.core.layers import Module

    class _Activation(Module):
        """What makes an activation of module 02 a Module: parameters (none), train and eval, a name in a model.

        A class below has this one as its first base, so that calls and printing are a Module's, and the class of
        module 02 as its second, which `super(Module, self)` is: it keeps the settings and computes.
        """

        def __init__(self, *settings):
            super().__init__()
            if settings:
                super(Module, self).__init__(*settings)

        def forward(self, input):
            return super(Module, self).forward(input)

        def extra_repr(self):
            return ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name != "training")

    class ReLU(_Activation, activations.ReLU):
        __doc__ = activations.ReLU.__doc__

        def __init__(self, inplace=False):
            functional.check_not_given("ReLU", "inplace", inplace)
            super().__init__()

    class Sigmoid(_Activation, activations.Sigmoid):
        __doc__ = activations.Sigmoid.__doc__

    class Tanh(_Activation, activations.Tanh):
        __doc__ = activations.Tanh.__doc__

    class GELU(_Activation, activations.GELU):
        __doc__ = activations.GELU.__doc__

        def __init__(self, approximate="none"):
            super().__init__(approximate)

    class Softmax(_Activation, activations.Softmax):
        __doc__ = activations.Softmax.__doc__

        def __init__(self, dim=-1):
            super().__init__(dim)

else:
    from tinytorch.core.activations import GELU, ReLU, Sigmoid, Softmax, Tanh  # noqa: F401
