# %% sgd_update
def sgd_update(param, grad, lr):
    np.subtract(param, np.multiply(grad, lr), out=param)

# %% momentum_update
def momentum_update(buffer, grad, momentum, dampening=0.0, first=False):
    keep, take = (momentum, 1 - dampening) if not first else (0, 1)
    if keep == 0:
        buffer.fill(0)
    np.multiply(buffer, keep, out=buffer)
    np.add(buffer, grad * take, out=buffer)

# %% coupled_decay
def coupled_decay(grad, param, weight_decay):
    total = np.array(grad, copy=True)
    total += param * weight_decay
    return total

# %% adam_update
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    for average, value, beta in ((mean, grad, betas[0]), (square, grad * grad, betas[1])):
        average[...] = beta * average + (1 - beta) * value
    share_of_mean = 1 - math.pow(betas[0], step)
    share_of_square = 1 - math.pow(betas[1], step)
    root = np.sqrt(square) / math.sqrt(share_of_square)
    param[...] = param - (lr / share_of_mean) * mean / (root + eps)

# %% adamw_update
def adamw_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    shrunk = param - param * (weight_decay * lr)
    param[...] = shrunk
    settings = dict(step=step, lr=lr, betas=betas, eps=eps)
    adam_update(param, grad, mean, square, **settings)

# %% cosine_rate
def cosine_rate(step, total, base, lowest=0.0):
    middle, half = (base + lowest) / 2, (base - lowest) / 2
    angle = step * math.pi / total
    return middle + half * math.cos(angle)

# %% warmup_decay_factor
def warmup_decay_factor(step, warmup, total):
    rising = (1 + step) / (1 + warmup)
    falling = 1 - (step - warmup) / (total - warmup)
    return max(min(rising, falling, 1.0), 0.0)

# %% clip_grad_norm_
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    if not (max_norm >= 0 and norm_type > 0):
        raise ValueError(f"clip_grad_norm_: max_norm {max_norm} is negative, or norm_type {norm_type} not positive")
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not grads:
        return Tensor(0.0)
    everything = np.concatenate([np.abs(g).reshape(-1) for g in grads])
    if norm_type == math.inf:
        length = everything.max(initial=0)
    else:
        length = (everything**norm_type).sum() ** (1 / norm_type)
    if error_if_nonfinite and (np.isnan(length) or np.isinf(length)):
        raise RuntimeError(f"norm of the gradients: {length}")
    if length + 1e-6 > max_norm or np.isnan(length):
        for g in grads:
            np.multiply(g, max_norm / (length + 1e-6), out=g)
    return Tensor.wrap(np.array(length, everything.dtype))
