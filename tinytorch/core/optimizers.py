"""Optimizers: SGD, Adam and AdamW, learning-rate schedules and clipping, step for step as PyTorch and in place.

Exported from module 06_optimizers by tito export. Edit the notebook of that module, not this file.
"""

import math
from collections import defaultdict
from copy import deepcopy

import numpy as np

from .layers import Parameter
from .tensor import Tensor, result_dtype

__all__ = [
    "sgd_update", "momentum_update", "coupled_decay", "BLOCK", "blocks", "Optimizer", "SGD", "adam_update",
    "adamw_update", "Adam", "AdamW", "cosine_rate", "warmup_decay_factor", "LRScheduler", "at_least_one", "StepLR",
    "LambdaLR", "LinearLR", "CosineAnnealingLR", "WarmupDecayLR", "clip_grad_norm_",
]


def sgd_update(param, grad, lr):
    """Move the array `param` in place against `grad`, `lr` times as far."""
    param -= lr * grad


def momentum_update(buffer, grad, momentum, dampening=0.0, first=False):
    """Shrink the running sum `buffer` by `momentum` and add (1 - dampening) of `grad`, in place.

    first: whatever `buffer` holds is overwritten with the whole of `grad`.
    """
    if first:
        buffer[...] = grad
    else:
        buffer *= momentum
        buffer += (1 - dampening) * grad


def coupled_decay(grad, param, weight_decay):
    """A new array: `grad` with the slope of the penalty ½ · weight_decay · param² added to it."""
    return grad + weight_decay * param


BLOCK = 2**15  # entries


def blocks(*arrays):
    """Cut arrays of one shape into the same pieces of at most BLOCK entries, all views.

    Arrays that do not lie in memory row by row stay in one piece, and the caller's temporaries are then of
    that size.
    """
    if arrays[0].size <= BLOCK or not all(array.flags.c_contiguous for array in arrays):
        yield arrays
    else:
        flat = [array.reshape(-1) for array in arrays]
        for start in range(0, arrays[0].size, BLOCK):
            yield [array[start : start + BLOCK] for array in flat]


class Optimizer:
    """Parameters in groups, each with settings, and what has to be remembered about every parameter.

    params: Tensors, or dictionaries with "params" and settings of their own. A subclass says in `update` what
    a step does to one parameter. Raises ValueError for a setting out of range, for a parameter given twice,
    and for a Tensor that cannot get a gradient (a frozen Parameter may be there: it is skipped), TypeError
    for what is no Tensor.
    """

    def __init__(self, params, defaults):
        self.defaults, self.param_groups, self.state = defaults, [], defaultdict(dict)
        if isinstance(params, (Tensor, dict)):
            kind = type(params).__name__
            self._refuse(TypeError, f"params is a list of Tensors or of dictionaries, not a single {kind}")
        groups = list(params)
        if not groups:
            self._refuse(
                ValueError, "no parameters (a generator such as model.parameters() can be used only once)"
            )
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def _refuse(self, kind, message):
        raise kind(f"{type(self).__name__}: {message}")

    def add_param_group(self, param_group):
        """Add a dictionary with "params", a Tensor or several, and settings other than the constructor's."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            self._refuse(
                TypeError, 'a group is a dictionary with an entry "params"; do not mix groups with Tensors'
            )
        params = param_group["params"]
        if isinstance(params, set):
            self._refuse(TypeError, "the order of parameters matters, and a set has none: pass a list")
        params = [params] if isinstance(params, Tensor) else list(params)
        seen = {id(parameter) for group in self.param_groups for parameter in group["params"]}
        for i, parameter in enumerate(params):
            place = f"parameter {i} of group {len(self.param_groups)}"
            if not isinstance(parameter, Tensor):
                self._refuse(TypeError, f"{place} is a {type(parameter).__name__}, not a Tensor")
            if not parameter.is_leaf:
                self._refuse(
                    ValueError, f"{place} was computed from other Tensors; pass those that it came from"
                )
            if not (parameter.requires_grad or isinstance(parameter, Parameter)):
                self._refuse(ValueError, f"{place} does not have requires_grad=True, so it would never move")
            if id(parameter) in seen:
                self._refuse(ValueError, f"{place} is in the list twice, and would be moved twice in a step")
            seen.add(id(parameter))
        group = {**self.defaults, **param_group, "params": params}
        self.check(group)
        self.param_groups.append(group)

    def check(self, group):
        """Raise ValueError where a setting of a group is out of its range."""
        for name in ("lr", "weight_decay", "momentum", "eps"):
            if name in group and not group[name] >= 0:
                self._refuse(ValueError, f"{name} is {group[name]}, and must not be negative")
        for beta in group.get("betas", ()):
            if not 0 <= beta < 1:
                self._refuse(ValueError, f"betas are at least 0 and less than 1, not {group['betas']}")

    def zero_grad(self, set_to_none=True):
        """Forget all gradients, or, with set_to_none=False, fill them with 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad[...] = 0

    def step(self, closure=None):
        """Move every parameter that has a gradient, in place. closure: computes the loss and returns it."""
        loss = None if closure is None else closure()
        with np.errstate(all="ignore"):  # inf and nan go through the arithmetic without a word, as in PyTorch
            for group in self.param_groups:
                for i, parameter in enumerate(group["params"]):
                    if parameter.grad is not None:
                        if np.shape(parameter.grad) != parameter.shape:
                            shapes = f"shape {parameter.shape}, its gradient {np.shape(parameter.grad)}"
                            self._refuse(ValueError, f"parameter {i} of its group has {shapes}")
                        self.update(parameter, np.asarray(parameter.grad), group)
        return loss

    def update(self, parameter, grad, group):
        raise NotImplementedError(f"{type(self).__name__} has no update method")

    def state_dict(self):
        """A copy: {"state": {number of a parameter: arrays}, "param_groups": [settings, with numbers]}."""
        places = {}
        for group in self.param_groups:
            for parameter in group["params"]:
                places[parameter] = len(places)
        state = {place: deepcopy(self.state[p]) for p, place in places.items() if self.state.get(p)}
        groups = [
            {
                name: [places[p] for p in value] if name == "params" else deepcopy(value)
                for name, value in group.items()
            }
            for group in self.param_groups
        ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Continue where `state_dict` (copied, also PyTorch's) was made, over the same list of parameters.

        Raises ValueError where groups, their sizes or the shapes of the state do not fit, and then has loaded
        nothing.
        """
        saved, sizes = state_dict["param_groups"], [len(group["params"]) for group in self.param_groups]
        if [len(group["params"]) for group in saved] != sizes:
            found = [len(group["params"]) for group in saved]
            self._refuse(
                ValueError, f"groups of {sizes} parameters here, of {found} in the state; nothing was loaded"
            )
        loaded = defaultdict(dict)
        for group, other in zip(self.param_groups, saved, strict=True):
            self.check({**group, **other})
            for parameter, place in zip(group["params"], other["params"], strict=True):
                for name, value in state_dict["state"].get(place, {}).items():
                    if name == "step":
                        loaded[parameter][name] = int(value)
                    elif value is not None:
                        loaded[parameter][name] = array = np.asarray(value, parameter.dtype).copy()
                        if array.shape != parameter.shape:
                            shapes = f"{name} has shape {array.shape}, and the parameter {parameter.shape}"
                            self._refuse(ValueError, f"parameter {place}: {shapes}; nothing was loaded")
        self.state = loaded
        for group, other in zip(self.param_groups, saved, strict=True):
            group.update({name: deepcopy(value) for name, value in other.items() if name != "params"})

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


class SGD(Optimizer):
    """Gradient descent with momentum (Polyak, 1964), also in Nesterov's form, and an L2 weight decay."""

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False):
        settings = {
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, {"lr": lr, **settings})

    def check(self, group):
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            self._refuse(ValueError, "nesterov=True needs a momentum greater than 0, and no dampening")

    def update(self, parameter, grad, group):
        arrays, momentum, first = [parameter.data, grad], group["momentum"], False
        if momentum != 0:
            state = self.state[parameter]
            first = "momentum_buffer" not in state
            if first:
                state["momentum_buffer"] = np.empty_like(parameter.data)
            arrays.append(state["momentum_buffer"])
        for param, direction, *buffer in blocks(*arrays):
            if group["weight_decay"] != 0:
                direction = coupled_decay(direction, param, group["weight_decay"])
            if buffer:
                momentum_update(buffer[0], direction, momentum, group["dampening"], first)
                direction = direction + momentum * buffer[0] if group["nesterov"] else buffer[0]
            sgd_update(param, direction, group["lr"])


def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    """One step of Adam (Kingma and Ba, 2015), in place: moves `param`, `mean` and `square`, arrays of one
    shape.

    mean, square: the running averages of the gradient and of its square. step: the number of this step, from
    1.
    """
    beta1, beta2 = betas
    mean *= beta1
    mean += (1 - beta1) * grad
    square *= beta2
    square += (1 - beta2) * np.square(grad)
    full_mean = mean / (1 - beta1**step)
    full_square = square / (1 - beta2**step)
    sgd_update(param, full_mean / (np.sqrt(full_square) + eps), lr)


def adamw_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    """One step of AdamW (Loshchilov and Hutter, 2019), in place: shrinks `param`, then moves it as Adam
    does."""
    param *= 1 - lr * weight_decay
    adam_update(param, grad, mean, square, step=step, lr=lr, betas=betas, eps=eps)


class Adam(Optimizer):
    """A step size for each single number (Kingma and Ba, 2015); weight_decay is added to the gradient."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def update(self, parameter, grad, group):
        state, data = self.state[parameter], parameter.data
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(data), exp_avg_sq=np.zeros_like(data))
        state["step"] += 1
        settings = {"step": state["step"], "lr": group["lr"], "betas": group["betas"], "eps": group["eps"]}
        for piece in blocks(data, grad, state["exp_avg"], state["exp_avg_sq"]):
            self.update_piece(*piece, settings, group["weight_decay"])

    def update_piece(self, param, grad, mean, square, settings, weight_decay):
        if weight_decay != 0:
            grad = coupled_decay(grad, param, weight_decay)
        adam_update(param, grad, mean, square, **settings)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update_piece(self, param, grad, mean, square, settings, weight_decay):
        adamw_update(param, grad, mean, square, **settings, weight_decay=weight_decay)


def cosine_rate(step, total, base, lowest=0.0):
    """The rate after `step` steps, on a cosine from `base` to `lowest` at `total` (Loshchilov and Hutter)."""
    share = (1 + math.cos(math.pi * step / total)) / 2
    return lowest + (base - lowest) * share


def warmup_decay_factor(step, warmup, total):
    """The share of the full rate after `step` steps: in a line to 1 at `warmup`, then to 0 at `total`."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return max(0.0, (total - step) / (total - warmup))


class LRScheduler:
    """Sets the learning rate of every group as a function of the steps taken; one scheduler to an optimizer.

    A subclass says in `rate` what follows from a group's first rate. last_epoch: the steps already taken,
    less one; -1 starts afresh. Each rate is computed from the first one (PyTorch changes the rate before), so
    a rate that you set in between lasts until the next step.
    """

    def __init__(self, optimizer, last_epoch=-1):
        if not isinstance(optimizer, Optimizer):
            found = type(optimizer).__name__
            raise TypeError(f"{type(self).__name__}: the first argument is an optimizer, not a {found}")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                kind = type(self).__name__
                raise KeyError(
                    f"{kind}: group {i} has no initial_lr to go on from; load the optimizer's state first"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def rate(self, base, step):
        raise NotImplementedError(f"{type(self).__name__} has no rate method")

    def get_lr(self):
        """The rate of each group now."""
        return [float(self.rate(base, self.last_epoch)) for base in self.base_lrs]

    def get_last_lr(self):
        """The rates that the last step has set."""
        return self._last_lr

    def step(self):
        self.last_epoch += 1
        self._set(self.get_lr())

    def _set(self, rates):
        for group, rate in zip(self.optimizer.param_groups, rates, strict=False):
            group["lr"] = rate
        self._last_lr = rates

    def state_dict(self):
        """Everything but the optimizer and functions."""
        return {
            name: deepcopy(value)
            for name, value in vars(self).items()
            if name not in ("optimizer", "lr_lambdas")
        }

    def load_state_dict(self, state_dict):
        """Continue where `state_dict` was made; the optimizer gets the rates of then."""
        vars(self).update(deepcopy(state_dict))
        self._set(list(self._last_lr))


def at_least_one(scheduler, **count):
    """Raise ValueError where a number of steps is less than 1."""
    for name, value in count.items():
        if value < 1:
            raise ValueError(
                f"{type(scheduler).__name__}: {name} is a number of steps, at least 1, not {value}"
            )


class StepLR(LRScheduler):
    """The rate times `gamma` after every `step_size` steps."""

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        at_least_one(self, step_size=step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base, step):
        return base * self.gamma ** (step // self.step_size)


class LambdaLR(LRScheduler):
    """The first rate times a function of the step; lr_lambda: one function, or a list with one a group."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        groups = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * groups
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"LambdaLR: {len(self.lr_lambdas)} functions for {groups} groups of parameters")
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [float(base * factor(self.last_epoch)) for base, factor in pairs]


class LinearLR(LRScheduler):
    """The rate times a factor, in a line from `start_factor` to `end_factor` in `total_iters` steps."""

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        at_least_one(self, total_iters=total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base, step):
        share = min(step, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * share)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the first rate to `eta_min` in `T_max` steps, and back up if training goes on."""

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        at_least_one(self, T_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base, step):
        return cosine_rate(step, self.T_max, base, self.eta_min)


class WarmupDecayLR(LRScheduler):
    """In a line up for `warmup_steps`, then down to 0 at `total_steps`; PyTorch has it as a LambdaLR."""

    def __init__(self, optimizer, warmup_steps, total_steps, last_epoch=-1):
        if not 0 <= warmup_steps < total_steps:
            raise ValueError(
                f"WarmupDecayLR: {warmup_steps} steps of warm-up do not fit into {total_steps} steps"
            )
        self.warmup_steps, self.total_steps = warmup_steps, total_steps
        super().__init__(optimizer, last_epoch)

    def rate(self, base, step):
        return base * warmup_decay_factor(step, self.warmup_steps, self.total_steps)


@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scale all gradients in place by one factor, so that their common norm is at most `max_norm`.

    parameters: a Tensor or several; those without a gradient do not count. norm_type: p of the p-norm, or
    math.inf. Returns the norm before, a Tensor of shape (). With a norm of inf the factor is 0, so that
    finite gradients become 0 and infinite ones nan; with nan all become nan. error_if_nonfinite=True raises
    RuntimeError instead.
    """
    if not (max_norm >= 0 and norm_type > 0):
        raise ValueError(
            f"clip_grad_norm_: max_norm {max_norm} is negative, or norm_type {norm_type} not positive"
        )
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not grads:
        return Tensor(0.0)
    norms = [np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size]
    total = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"clip_grad_norm_: the norm of the gradients is {total}, and cannot be made {max_norm}"
        )
    factor = np.minimum(max_norm / (total + 1e-6), 1.0)
    for grad in grads:
        grad *= factor
    return Tensor(total, dtype=result_dtype(*grads))
