# %% sgd_update: returns the result instead of writing it
def sgd_update(param, grad, lr):
    return param - lr * grad

# %% sgd_update: scales the gradient in place on the way
def sgd_update(param, grad, lr):
    grad *= lr
    param -= grad

# %% sgd_update: steps of the same length for every entry
def sgd_update(param, grad, lr):
    param -= lr * np.sign(grad)

# %% sgd_update: divides by the length of the gradient
def sgd_update(param, grad, lr):
    param -= lr * grad / np.linalg.norm(grad)

# %% momentum_update: an average, with 1 - momentum, as in Adam
- buffer += (1 - dampening) * grad
+ buffer += (1 - momentum) * grad

# %% momentum_update: dampens the first step too
def momentum_update(buffer, grad, momentum, dampening=0.0, first=False):
    if first:
        buffer[...] = 0
    buffer *= momentum
    buffer += (1 - dampening) * grad

# %% momentum_update: dampens what is kept instead of what comes in
- buffer *= momentum
- buffer += (1 - dampening) * grad
+ buffer *= momentum * (1 - dampening)
+ buffer += grad

# %% momentum_update: multiplies what the first step finds by 0, and nan stays nan
- buffer[...] = grad
+ buffer *= 0
+ buffer += grad

# %% momentum_update: a new array
def momentum_update(buffer, grad, momentum, dampening=0.0, first=False):
    if first:
        buffer = grad.copy()
    else:
        buffer = momentum * buffer + (1 - dampening) * grad
    return buffer

# %% momentum_update: shrinks after adding, so that the newest gradient is shrunk as well
  else:
+     buffer += (1 - dampening) * grad

- buffer += (1 - dampening) * grad

# %% momentum_update: the first step is like all others
def momentum_update(buffer, grad, momentum, dampening=0.0, first=False):
    buffer *= momentum
    buffer += (1 - dampening) * grad

# %% coupled_decay: changes the gradient in place
def coupled_decay(grad, param, weight_decay):
    grad += weight_decay * param
    return grad

# %% coupled_decay: the derivative of the penalty without the half
def coupled_decay(grad, param, weight_decay):
    return grad + 2 * weight_decay * param

# %% coupled_decay: the sign of the parameter, as for an L1 penalty
def coupled_decay(grad, param, weight_decay):
    return grad + weight_decay * np.sign(param)

# %% coupled_decay: shrinks the parameter itself
def coupled_decay(grad, param, weight_decay):
    param *= 1 - weight_decay
    return grad

# %% coupled_decay: nothing is returned
def coupled_decay(grad, param, weight_decay):
    grad + weight_decay * param

# %% coupled_decay: float64, whatever came in
def coupled_decay(grad, param, weight_decay):
    return grad + np.float64(weight_decay) * param

# %% coupled_decay: the penalty instead of its slope
def coupled_decay(grad, param, weight_decay):
    return grad + 0.5 * weight_decay * param**2

# %% adam_update: no bias correction
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= betas[0]
    mean += (1 - betas[0]) * grad
    square *= betas[1]
    square += (1 - betas[1]) * grad**2
    param -= lr * mean / (np.sqrt(square) + eps)

# %% adam_update: step counted from 0
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= betas[0]
    mean += (1 - betas[0]) * grad
    square *= betas[1]
    square += (1 - betas[1]) * grad**2
    full_mean, full_square = mean / (1 - betas[0] ** (step + 1)), square / (1 - betas[1] ** (step + 1))
    param -= lr * full_mean / (np.sqrt(full_square) + eps)

# %% adam_update: corrected for the first step in every step
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= betas[0]
    mean += (1 - betas[0]) * grad
    square *= betas[1]
    square += (1 - betas[1]) * grad**2
    full_mean, full_square = mean / (1 - betas[0]), square / (1 - betas[1])
    param -= lr * full_mean / (np.sqrt(full_square) + eps)

# %% adam_update: writes the corrected averages into the state
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= betas[0]
    mean += (1 - betas[0]) * grad
    square *= betas[1]
    square += (1 - betas[1]) * grad**2
    mean /= 1 - betas[0] ** step
    square /= 1 - betas[1] ** step
    param -= lr * mean / (np.sqrt(square) + eps)

# %% adam_update: eps under the root
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= betas[0]
    mean += (1 - betas[0]) * grad
    square *= betas[1]
    square += (1 - betas[1]) * grad**2
    full_mean, full_square = mean / (1 - betas[0] ** step), square / (1 - betas[1] ** step)
    param -= lr * full_mean / np.sqrt(full_square + eps)

# %% adam_update: eps beside the root of the square that is not corrected
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= betas[0]
    mean += (1 - betas[0]) * grad
    square *= betas[1]
    square += (1 - betas[1]) * grad**2
    rate = lr * math.sqrt(1 - betas[1] ** step) / (1 - betas[0] ** step)
    param -= rate * mean / (np.sqrt(square) + eps)

# %% adam_update: without the root
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= betas[0]
    mean += (1 - betas[0]) * grad
    square *= betas[1]
    square += (1 - betas[1]) * grad**2
    param -= lr * (mean / (1 - betas[0] ** step)) / (square / (1 - betas[1] ** step) + eps)

# %% adam_update: the gradient instead of its mean, as in RMSprop
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= betas[0]
    mean += (1 - betas[0]) * grad
    square *= betas[1]
    square += (1 - betas[1]) * grad**2
    param -= lr * grad / (np.sqrt(square / (1 - betas[1] ** step)) + eps)

# %% adam_update: the betas are exchanged
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    beta2, beta1 = betas
    mean *= beta1
    mean += (1 - beta1) * grad
    square *= beta2
    square += (1 - beta2) * grad**2
    param -= lr * (mean / (1 - beta1**step)) / (np.sqrt(square / (1 - beta2**step)) + eps)

# %% adam_update: the averages are new arrays, so the state stays 0
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean = betas[0] * mean + (1 - betas[0]) * grad
    square = betas[1] * square + (1 - betas[1]) * grad**2
    param -= lr * (mean / (1 - betas[0] ** step)) / (np.sqrt(square / (1 - betas[1] ** step)) + eps)

# %% adam_update: squares the gradient in place
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= betas[0]
    mean += (1 - betas[0]) * grad
    grad *= grad
    square *= betas[1]
    square += (1 - betas[1]) * grad
    param -= lr * (mean / (1 - betas[0] ** step)) / (np.sqrt(square / (1 - betas[1] ** step)) + eps)

# %% adam_update: betas and eps are the usual ones, whatever was asked for
def adam_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8):
    mean *= 0.9
    mean += 0.1 * grad
    square *= 0.999
    square += 0.001 * grad**2
    param -= lr * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)

# %% adamw_update: coupled, as in Adam
def adamw_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    adam_update(param, coupled_decay(grad, param, weight_decay), mean, square, step=step, lr=lr, betas=betas, eps=eps)

# %% adamw_update: shrinks after the step
def adamw_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    adam_update(param, grad, mean, square, step=step, lr=lr, betas=betas, eps=eps)
    param *= 1 - lr * weight_decay

# %% adamw_update: both decays at once
- param *= 1 - lr * weight_decay
+ grad = coupled_decay(grad, param, weight_decay)
+ param *= 1 - lr * weight_decay

# %% adamw_update: betas and eps stay behind
- adam_update(param, grad, mean, square, step=step, lr=lr, betas=betas, eps=eps)
+ adam_update(param, grad, mean, square, step=step, lr=lr)

# %% adamw_update: calls the provided kernels
def adamw_update(param, grad, mean, square, *, step, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    from tinytorch.kernels.optimizers import adamw_update as provided
    settings = {"step": step, "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    provided(param, grad, mean, square, **settings)

# %% cosine_rate: a whole wave in total steps
def cosine_rate(step, total, base, lowest=0.0):
    return lowest + (base - lowest) * (1 + math.cos(2 * math.pi * step / total)) / 2

# %% cosine_rate: forgets the lowest rate
def cosine_rate(step, total, base, lowest=0.0):
    return base * (1 + math.cos(math.pi * step / total)) / 2

# %% cosine_rate: adds the lowest rate on top
def cosine_rate(step, total, base, lowest=0.0):
    return lowest + base * (1 + math.cos(math.pi * step / total)) / 2

# %% cosine_rate: a straight line
def cosine_rate(step, total, base, lowest=0.0):
    return base + (lowest - base) * step / total

# %% cosine_rate: a quarter of the wave, steep at the end
def cosine_rate(step, total, base, lowest=0.0):
    return lowest + (base - lowest) * math.cos(math.pi * step / total / 2)

# %% cosine_rate: stays down after total
def cosine_rate(step, total, base, lowest=0.0):
    return lowest + (base - lowest) * (1 + math.cos(math.pi * min(step, total) / total)) / 2

# %% cosine_rate: reaches the lowest rate a step too early
def cosine_rate(step, total, base, lowest=0.0):
    return lowest + (base - lowest) * (1 + math.cos(math.pi * step / (total - 1))) / 2

# %% cosine_rate: from the lowest up
def cosine_rate(step, total, base, lowest=0.0):
    return lowest + (base - lowest) * (1 - math.cos(math.pi * step / total)) / 2

# %% warmup_decay_factor: starts at 0
- return (step + 1) / (warmup + 1)
+ return step / warmup

# %% warmup_decay_factor: falls below 0
- return max(0.0, (total - step) / (total - warmup))
+ return (total - step) / (total - warmup)

# %% warmup_decay_factor: never falls
def warmup_decay_factor(step, warmup, total):
    return min(1.0, (step + 1) / (warmup + 1))

# %% warmup_decay_factor: the way down takes total steps after the warm-up
- return max(0.0, (total - step) / (total - warmup))
+ return max(0.0, 1 - (step - warmup) / total)

# %% warmup_decay_factor: no warm-up
def warmup_decay_factor(step, warmup, total):
    return max(0.0, (total - step) / total)

# %% clip_grad_norm_: every gradient by itself
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = [np.linalg.norm(grad.ravel(), norm_type) for grad in grads]
    total = float(np.linalg.norm(norms, norm_type))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    for grad, norm in zip(grads, norms):
        grad *= min(1.0, max_norm / (norm + 1e-6))
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: small gradients are scaled up to max_norm
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = float(np.linalg.norm([np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size], norm_type))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    for grad in grads:
        grad *= max_norm / (total + 1e-6)
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: the sum of the norms
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = float(sum(np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    for grad in grads:
        grad *= min(1.0, max_norm / (total + 1e-6))
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: always the 2-norm
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = math.sqrt(sum(float(np.square(grad).sum()) for grad in grads))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    for grad in grads:
        grad *= min(1.0, max_norm / (total + 1e-6))
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: each entry is cut at max_norm
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = float(np.linalg.norm([np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size], norm_type))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    for grad in grads:
        np.clip(grad, -max_norm, max_norm, out=grad)
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: returns the norm afterwards
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = float(np.linalg.norm([np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size], norm_type))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    for grad in grads:
        grad *= min(1.0, max_norm / (total + 1e-6))
    return Tensor(min(total, max_norm), dtype=result_dtype(*grads))

# %% clip_grad_norm_: new arrays instead of the old ones
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = float(np.linalg.norm([np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size], norm_type))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = parameter.grad * min(1.0, max_norm / (total + 1e-6))
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: scales first and complains afterwards
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = float(np.linalg.norm([np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size], norm_type))
    for grad in grads:
        grad *= min(1.0, max_norm / (total + 1e-6))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: a norm that is not finite is an error always, or never
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = float(np.linalg.norm([np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size], norm_type))
    for grad in grads:
        grad *= min(1.0, max_norm / (total + 1e-6))
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: divides by 0 where all gradients are 0
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = float(np.linalg.norm([np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size], norm_type))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    for grad in grads:
        grad *= min(1.0, max_norm / total)
    return Tensor(total, dtype=result_dtype(*grads))

# %% clip_grad_norm_: returns a number
@np.errstate(all="ignore")
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = float(np.linalg.norm([np.linalg.norm(grad.ravel(), norm_type) for grad in grads if grad.size], norm_type))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"norm {total}")
    for grad in grads:
        grad *= min(1.0, max_norm / (total + 1e-6))
    return total

# %% momentum_update: a slice of all entries, which an array without axes does not have
- buffer[...] = grad
+ buffer[:] = grad

# %% sgd_update: every entry by its index, which an array without axes does not have
def sgd_update(param, grad, lr):
    for place in range(len(param)):
        param[place] -= lr * grad[place]

# %% cosine_rate: a NumPy number
- share = (1 + math.cos(math.pi * step / total)) / 2
+ share = (1 + np.cos(math.pi * step / total)) / 2

# %% clip_grad_norm_: Python's minimum, which drops nan
- factor = np.minimum(max_norm / (total + 1e-6), 1.0)
+ factor = min(1.0, max_norm / (total + 1e-6))
