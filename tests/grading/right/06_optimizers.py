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

# %% sgd_update: adds the negative step
def sgd_update(param, grad, lr):
    param[...] = param + (-lr) * grad

# %% sgd_update: a helper that copies into place
def write(target, values):
    np.copyto(target, values, casting="same_kind")

def sgd_update(param, grad, lr):
    write(param, param - lr * grad)

# %% momentum_update: one formula for the new content
def momentum_update(buffer, grad, momentum, dampening=0.0, first=False):
    np.copyto(buffer, grad if first else momentum * buffer + grad - dampening * grad)

# %% momentum_update: returns early
def momentum_update(buffer, grad, momentum, dampening=0.0, first=False):
    if first:
        buffer.fill(0)
        buffer += grad
        return
    kept = buffer.copy()
    buffer += (momentum - 1) * kept
    buffer += grad * (1 - dampening)

# %% coupled_decay: NumPy's functions
def coupled_decay(grad, param, weight_decay):
    return np.add(grad, np.multiply(param, weight_decay))

# %% coupled_decay: subtracts the opposite
def coupled_decay(grad, param, weight_decay):
    pull = param.copy()
    pull *= -weight_decay
    return grad - pull

# %% adam_update: moves each average towards the new value
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean += (1 - betas[0]) * (grad - mean)
    square += (1 - betas[1]) * (grad * grad - square)
    m, v = mean / (1 - betas[0] ** step), square / (1 - betas[1] ** step)
    param -= lr * m / (v ** 0.5 + eps)

# %% adam_update: the corrections in the rate, with eps scaled as well (Kingma and Ba, section 2)
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    first, second = betas
    np.multiply(mean, first, out=mean)
    np.add(mean, grad * (1 - first), out=mean)
    np.multiply(square, second, out=square)
    np.add(square, grad**2 * (1 - second), out=square)
    root = math.sqrt(1 - second**step)
    sgd_update(param, mean / (np.sqrt(square) + eps * root), lr * root / (1 - first**step))

# %% adamw_update: subtracts the share that decays
def adamw_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    sgd_update(param, param.copy(), lr * weight_decay)
    adam_update(param, grad, mean, square, betas=betas, eps=eps, lr=lr, step=step)

# %% adamw_update: Adam first, on a copy of where it started
def adamw_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    lost = lr * weight_decay * param
    adam_update(param, grad, mean, square, step=step, lr=lr, betas=betas, eps=eps)
    param -= lost

# %% cosine_rate: the square of half the angle
def cosine_rate(step, total, base, lowest=0.0):
    share = math.cos(math.pi * step / total / 2) ** 2
    return lowest * (1 - share) + base * share

# %% cosine_rate: the real part of a turn
def cosine_rate(step, total, base, lowest=0.0):
    turn = (1 + math.sin(math.pi * (0.5 + step / total))) / 2
    return float(lowest + turn * (base - lowest))

# %% warmup_decay_factor: NumPy draws the lines
def warmup_decay_factor(step, warmup, total):
    return float(np.interp(step, [-1, warmup, total], [0, 1, 0]))

# %% warmup_decay_factor: three cases
def warmup_decay_factor(step, warmup, total):
    if step >= total:
        return 0.0
    if step >= warmup:
        return 1 - (step - warmup) / (total - warmup)
    return 1 - (warmup - step) / (warmup + 1)

# %% clip_grad_norm_: sums of powers in a helper
def power_sum(grads, p):
    return math.fsum(float((np.abs(grad) ** p).sum()) for grad in grads)

@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    if not (max_norm >= 0 and norm_type > 0):
        raise ValueError(f"clip_grad_norm_: max_norm {max_norm} is negative, or norm_type {norm_type} not positive")
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not grads:
        return Tensor(0.0)
    if norm_type == math.inf:
        largest = [np.abs(grad).max() for grad in grads if grad.size > 0]
        total = float(np.max(largest)) if largest else 0.0
    else:
        with_nan = any(np.isnan(grad).any() for grad in grads)
        infinite = any(np.isinf(grad).any() for grad in grads)
        total = math.nan if with_nan else math.inf if infinite else power_sum(grads, norm_type) ** (1 / norm_type)
    if error_if_nonfinite and (math.isnan(total) or math.isinf(total)):
        raise RuntimeError(f"gradients of norm {total}")
    scale = max_norm / (total + 1e-6)
    for grad in grads:
        if not scale >= 1:
            grad *= scale
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: one vector of all entries
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    if not (max_norm >= 0 and norm_type > 0):
        raise ValueError(f"clip_grad_norm_: max_norm {max_norm} is negative, or norm_type {norm_type} not positive")
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not grads:
        return Tensor(0.0)
    vector = np.concatenate([np.ravel(grad) for grad in grads])
    norm = np.linalg.norm(vector, norm_type) if vector.size else vector.sum()
    if error_if_nonfinite and not np.isfinite(norm):
        raise RuntimeError("cannot clip: the total norm is " + repr(float(norm)))
    factor = np.clip(max_norm / (norm + 1e-6), None, 1.0)
    for grad in grads:
        grad[...] = grad * factor
    return Tensor(norm, dtype=result_dtype(*grads))
