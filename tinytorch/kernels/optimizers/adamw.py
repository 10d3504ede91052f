"""AdamW (Loshchilov and Hutter, 2019), in place."""

import math

import numpy as np

from tinytorch.kernels.rows import over_rows


def adamw_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    """Move `param`, `mean` and `square`, arrays of one shape, in place: module 06's adamw_update.

    Arrays that do not lie in memory row by row stay in one piece.

    The corrections of both averages are numbers, so they go into the step size and into eps instead of into arrays:
    m / c₁ / (√(s / c₂) + eps) = (√c₂ / c₁) · m / (√s + √c₂ · eps).
    """
    (beta1, beta2), arrays = betas, (param, grad, mean, square)
    root = math.sqrt(1 - beta2**step)
    factor = lr * root / (1 - beta1**step)

    def work(block):
        values, slope, m, s = (array[block] for array in arrays)
        if weight_decay:
            values *= 1 - lr * weight_decay
        part = (1 - beta1) * slope
        m *= beta1
        m += part
        np.square(slope, out=part)
        part *= 1 - beta2
        s *= beta2
        s += part
        np.sqrt(s, out=part)
        part += eps * root
        np.divide(m, part, out=part)
        part *= factor
        values -= part

    if all(array.flags.c_contiguous for array in arrays):
        arrays = [array.reshape(-1) for array in arrays]
        over_rows(work, param.size)
    else:
        work(...)


def use_adamw_kernel(optimizer):
    """Let an AdamW of module 06 update its parameters by the kernel from now on; returns the optimizer."""

    def update(parameter, grad, group):
        state, data = optimizer.state[parameter], parameter.data
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(data), exp_avg_sq=np.zeros_like(data))
        state["step"] += 1
        settings = {name: group[name] for name in ("lr", "betas", "eps", "weight_decay")}
        adamw_update(data, grad, state["exp_avg"], state["exp_avg_sq"], step=state["step"], **settings)

    optimizer.update = update
    return optimizer
