# %% channel_statistics: NumPy's own mean and variance
def channel_statistics(x):
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    return x.mean(axis=axes), x.var(axis=axes)

# %% batch_norm: normalizes, then scales, each as a new array
@Op
def batch_norm(x, weight, bias=None, *, eps=1e-5, statistics=None):
    if statistics is None:
        statistics = channel_statistics(x)
    mean, variance = (along_channels(part, x) for part in statistics)
    normal = (x - mean) / np.sqrt(variance + eps)
    if weight is not None:
        normal = normal * along_channels(weight, x)
    return normal if bias is None else normal + along_channels(bias, x)

# %% batch_norm_gradient: the formula as it stands in the text
@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    mean, variance = channel_statistics(x) if statistics is None else statistics
    root = along_channels(np.sqrt(variance + eps), x)
    normal = (x - along_channels(mean, x)) / root
    g = grad if weight is None else grad * along_channels(weight, x)
    projected = normal * (g * normal).mean(axis=axes, keepdims=True)
    for_x = (g - g.mean(axis=axes, keepdims=True) - projected) / root
    return for_x, (grad * normal).sum(axis=axes), grad.sum(axis=axes)

# %% BatchNorm: shrinks the buffers, then adds
class BatchNorm(Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(ones(num_features)) if affine else None
        self.bias = Parameter(zeros(num_features)) if affine else None
        is_kept = track_running_stats
        self.register_buffer("running_mean", zeros(num_features) if is_kept else None)
        self.register_buffer("running_var", ones(num_features) if is_kept else None)
        self.register_buffer("num_batches_tracked", Tensor(np.array(0)) if is_kept else None)

    def check(self, x):
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"{self}: an input {x.shape} does not have {self.num_features} channels")

    def update(self, mean, variance, count):
        self.num_batches_tracked.data += 1
        share = self.momentum
        if share is None:
            share = 1.0 / float(self.num_batches_tracked.item())
        self.running_mean.data *= 1 - share
        self.running_mean.data += share * mean
        self.running_var.data *= 1 - share
        self.running_var.data += share * variance * count / (count - 1)

    def forward(self, x):
        self.check(x)
        if not self.training and self.track_running_stats:
            root = (self.running_var + self.eps).sqrt()
            out = (x - along_channels(self.running_mean, x)) / along_channels(root, x)
            if self.affine:
                out = out * along_channels(self.weight, x) + along_channels(self.bias, x)
            return out
        count = math.prod(x.shape) // x.shape[1]
        if count == 1:
            raise ValueError(f"got a single value per channel: {x.shape}")
        found = channel_statistics(x.numpy())
        if self.track_running_stats:
            self.update(found[0], found[1], count)
        return batch_norm(x, self.weight, self.bias, eps=self.eps, statistics=found)

    def extra_repr(self):
        return f"{self.num_features}"

# %% group_norm: composed of operations, without batch_norm
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    if x.shape[1] % num_groups != 0:
        raise ValueError(f"{x.shape[1]} channels do not split into {num_groups} groups")
    rows = x.reshape(x.shape[0], num_groups, -1)
    centred = rows - rows.mean(axis=2, keepdims=True)
    variance = (centred * centred).mean(axis=2, keepdims=True)
    out = (centred / (variance + eps).sqrt()).reshape(*x.shape)
    if weight is not None:
        out = out * along_channels(weight, x)
    if bias is not None:
        out = out + along_channels(bias, x)
    return out

# %% ResidualBlock: step by step
class ResidualBlock(Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        settings = {"padding": 1, "bias": False}
        self.conv1 = Conv2d(in_channels, out_channels, (3, 3), stride=stride, **settings)
        self.bn1 = BatchNorm2d(out_channels)
        self.conv2 = Conv2d(out_channels, out_channels, (3, 3), **settings)
        self.bn2 = BatchNorm2d(out_channels)
        if stride == 1 and in_channels == out_channels:
            self.shortcut = Sequential()
        else:
            self.shortcut = Sequential(
                Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), BatchNorm2d(out_channels)
            )

    def forward(self, x):
        aside = self.shortcut(x)
        x = self.conv1(x)
        x = relu(self.bn1(x))
        x = self.bn2(self.conv2(x))
        return relu(aside + x)

# %% GlobalAvgPool2d: flattens the pixels
class GlobalAvgPool2d(Module):
    def forward(self, x):
        return x.reshape(*x.shape[:-2], -1).mean(axis=-1)

# %% ResNet: one stage after the other
class ResNet(Module):
    def __init__(self, blocks_per_stage, num_classes=10, *, in_channels=3, width=16, zero_init=False):
        super().__init__()
        self.conv1 = Conv2d(in_channels, width, 3, 1, 1, False)
        self.bn1 = BatchNorm2d(width)
        blocks = [ResidualBlock(width, width) for _ in range(blocks_per_stage)]
        for channels in (width, 2 * width):
            blocks.append(ResidualBlock(channels, 2 * channels, 2))
            blocks += [ResidualBlock(2 * channels, 2 * channels) for _ in range(blocks_per_stage - 1)]
        if zero_init:
            for block in blocks:
                block.bn2.weight.data.fill(0)
        self.blocks = Sequential(*blocks)
        self.pool = GlobalAvgPool2d()
        self.fc = Linear(4 * width, num_classes)

    def forward(self, x):
        features = self.blocks(relu(self.bn1(self.conv1(x))))
        return self.fc(self.pool(features))

# %% fold_batch_norm: with Tensors of float64
def fold_batch_norm(conv, norm):
    if not norm.track_running_stats:
        raise ValueError("nothing to fold")
    if conv.out_channels != norm.num_features:
        raise ValueError(f"{conv.out_channels} != {norm.num_features}")
    factor = (norm.running_var.numpy().astype(np.float64) + norm.eps) ** -0.5
    shift = -norm.running_mean.numpy() * factor
    if conv.bias is not None:
        shift = shift + conv.bias.numpy() * factor
    if norm.weight is not None:
        factor, shift = factor * norm.weight.numpy(), shift * norm.weight.numpy() + norm.bias.numpy()
    new = Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, stride=conv.stride, padding=conv.padding)
    new.kernels = conv.kernels
    for channel, times in enumerate(factor):
        new.weight.data[channel] = conv.weight.numpy()[channel] * times
    new.bias.data[:] = shift
    return new

# %% SeparableBlock: step by step
class SeparableBlock(Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.depthwise, self.bn1 = DepthwiseConv2d(in_channels, stride), BatchNorm2d(in_channels)
        self.pointwise, self.bn2 = Conv2d(in_channels, out_channels, (1, 1), bias=False), BatchNorm2d(out_channels)

    def forward(self, x):
        x = self.depthwise(x)
        x = self.bn1(x)
        x = relu(x)
        x = self.pointwise(x)
        x = self.bn2(x)
        return relu(x)

# %% channel_statistics: channel by channel
def channel_statistics(x):
    channels = [np.take(x, c, axis=1).ravel() for c in range(x.shape[1])]
    means = np.array([values.mean() for values in channels], x.dtype)
    return means, np.array([((values - mean) ** 2).mean() for values, mean in zip(channels, means)], x.dtype)

# %% batch_norm: with the axes in another order
@Op
def batch_norm(x, weight, bias=None, *, eps=1e-5, statistics=None):
    last = np.moveaxis(x, 1, -1)
    mean, variance = statistics if statistics is not None else channel_statistics(x)
    factor = (1 if weight is None else weight) / np.sqrt(variance + eps)
    out = (last - mean) * factor + (0 if bias is None else bias)
    return np.moveaxis(out, -1, 1)

# %% batch_norm_gradient: through the variance and through the mean, one after the other
@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    rows, grads = (np.moveaxis(array, 1, -1).reshape(-1, x.shape[1]) for array in (x, grad))
    mean, variance = statistics or channel_statistics(x)
    count, centred = len(rows), rows - mean
    root = np.sqrt(variance + eps)
    for_normal = grads if weight is None else grads * weight
    for_variance = -(for_normal * centred).sum(axis=0) / (2 * root**3)
    for_mean = -for_normal.sum(axis=0) / root
    back = for_normal / root + for_variance * 2 * centred / count + for_mean / count
    back = np.moveaxis(back.reshape(*np.moveaxis(x, 1, -1).shape), -1, 1)
    return back, (grads * centred / root).sum(axis=0), grads.sum(axis=0)

# %% BatchNorm: one rule for both modes
- self.num_batches_tracked.data[...] += 1
- share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
- unbiased = variance * (count / (count - 1))
- for buffer, new in ((self.running_mean, mean), (self.running_var, unbiased)):
-     buffer.data += share * (new - buffer.data)
+ number = self.num_batches_tracked.item() + 1
+ self.num_batches_tracked.data[...] = number
+ share = self.momentum if self.momentum is not None else 1 / number
+ self.running_mean.data[...] = (1 - share) * self.running_mean.data + share * mean
+ self.running_var.data[...] = (1 - share) * self.running_var.data + share * variance / (count - 1) * count

- scale = (self.running_var + self.eps) ** -0.5
- if self.weight is not None:
-     scale = scale * self.weight
- out = (x - along_channels(self.running_mean, x)) * along_channels(scale, x)
- return out if self.bias is None else out + along_channels(self.bias, x)
+ kept = self.running_mean.numpy(), self.running_var.numpy()
+ flat = along_channels(kept[0], x), along_channels(np.sqrt(kept[1] + self.eps), x)
+ out = (x - Tensor(flat[0])) / Tensor(flat[1])
+ if self.weight is None:
+     return out
+ return out * along_channels(self.weight, x) + along_channels(self.bias, x)

# %% group_norm: channels of one image after the other
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    n, c = x.shape[0], x.shape[1]
    if c // num_groups * num_groups != c:
        raise ValueError(f"cannot make {num_groups} groups of {c} channels")
    many = math.prod(x.shape[2:]) * (c // num_groups)
    normal = concatenate([batch_norm(x[i].reshape(1, num_groups, many), None, None, eps=eps) for i in range(n)])
    normal = normal.reshape(*x.shape)
    scaled = normal if weight is None else normal * along_channels(weight, x)
    return scaled if bias is None else scaled + along_channels(bias, x)

# %% ResidualBlock: a helper makes convolutions
def make_conv(many_in, many_out, size, stride=1):
    return Conv2d(many_in, many_out, size, stride, size // 2, bias=False)


class ResidualBlock(Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1, self.bn1 = make_conv(in_channels, out_channels, 3, stride), BatchNorm2d(out_channels)
        self.conv2, self.bn2 = make_conv(out_channels, out_channels, 3), BatchNorm2d(out_channels)
        needed = (in_channels, 1) != (out_channels, stride)
        parts = [make_conv(in_channels, out_channels, 1, stride), BatchNorm2d(out_channels)] if needed else []
        self.shortcut = Sequential(*parts)

    def forward(self, x):
        inner = relu(self.bn1(self.conv1(x)))
        return relu(self.shortcut(x) + self.bn2(self.conv2(inner)))

# %% GlobalAvgPool2d: one axis, then the other
class GlobalAvgPool2d(Module):
    def forward(self, x):
        return x.mean(axis=-1).mean(axis=-1)

# %% ResNet: a list of settings first
class ResNet(Module):
    def __init__(self, blocks_per_stage, num_classes=10, *, in_channels=3, width=16, zero_init=False):
        super().__init__()
        self.bn1 = BatchNorm2d(width)
        self.conv1 = Conv2d(in_channels, width, 3, padding=1, bias=False)
        outs = [width * times for times in (1, 2, 4) for _ in range(blocks_per_stage)]
        ins = [width, *outs[:-1]]
        self.blocks = Sequential(*[ResidualBlock(a, b, b // a) for a, b in zip(ins, outs, strict=True)])
        self.pool, self.fc = GlobalAvgPool2d(), Linear(outs[-1], num_classes)
        for block in self.blocks:
            block.bn2.weight.data *= not zero_init

    def forward(self, x):
        for step in (self.conv1, self.bn1, relu, self.blocks, self.pool, self.fc):
            x = step(x)
        return x

# %% fold_batch_norm: asks the norm what it does to 0 and to 1
def fold_batch_norm(conv, norm):
    channels = conv.out_channels
    if norm.running_var is None:
        raise ValueError("a norm without running statistics")
    if norm.num_features != channels:
        raise ValueError(f"norm of {norm.num_features} behind {channels} channels")
    deviation = np.sqrt(norm.running_var.numpy() + norm.eps)
    weight = np.ones(channels) if norm.weight is None else norm.weight.numpy()
    shift = np.zeros(channels) if norm.bias is None else norm.bias.numpy()
    old = np.zeros(channels) if conv.bias is None else conv.bias.numpy()
    answer = Conv2d(conv.in_channels, channels, conv.kernel_size, conv.stride, conv.padding, True)
    answer.kernels = conv.kernels
    np.copyto(answer.weight.data, np.einsum("oiuv,o->oiuv", conv.weight.numpy(), weight / deviation))
    np.copyto(answer.bias.data, (old - norm.running_mean.numpy()) * weight / deviation + shift, casting="same_kind")
    return answer

# %% SeparableBlock: a list of steps
class SeparableBlock(Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.depthwise = DepthwiseConv2d(in_channels, stride=stride)
        self.bn1 = BatchNorm2d(in_channels)
        self.pointwise = Conv2d(in_channels, out_channels, 1, 1, 0, False)
        self.bn2 = BatchNorm2d(out_channels)

    def forward(self, x):
        for step in (self.depthwise, self.bn1, relu, self.pointwise, self.bn2, relu):
            x = step(x)
        return x

# %% channel_statistics: the channels moved to the front
def channel_statistics(x):
    rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
    means = rows.mean(axis=1)
    return means, np.square(rows - means[:, None]).mean(axis=1)

# %% batch_norm: a helper for each step
def shaped(values, x):
    return np.reshape(values, (1, -1) + (1,) * (x.ndim - 2))


@Op
def batch_norm(x, weight, bias=None, *, eps=1e-5, statistics=None):
    mean, variance = channel_statistics(x) if statistics is None else statistics
    out = np.subtract(x, shaped(mean, x))
    np.divide(out, shaped(np.sqrt(variance + eps), x), out=out)
    if weight is not None:
        np.multiply(out, shaped(weight, x), out=out)
    if bias is not None:
        np.add(out, shaped(bias, x), out=out)
    return out

# %% batch_norm_gradient: a shift and two factors a channel
@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    mean, variance = channel_statistics(x) if statistics is None else statistics
    n = x[:, 0].size
    inverse = (variance + eps) ** -0.5
    normal = (x - along_channels(mean, x)) * along_channels(inverse, x)
    sums = channel_sum(grad), channel_sum(grad, normal)
    scale = inverse if weight is None else inverse * weight
    back = along_channels(scale, x) * grad
    back = back - along_channels(scale * sums[0] / n, x) - normal * along_channels(scale * sums[1] / n, x)
    return back, sums[1], sums[0]

# %% BatchNorm: asks in another order
- if self.training or self.running_mean is None:
-     count = x.data.size // self.num_features
-     if count < 2:
-         raise ValueError(f"{self}: one value a channel has no variance, input {x.shape}")
-     statistics = channel_statistics(x.data)
-     if self.training and self.running_mean is not None:
-         self.update(*statistics, count)
-     return batch_norm(x, self.weight, self.bias, eps=self.eps, statistics=statistics)
+ has_buffers = self.running_var is not None
+ if self.training or not has_buffers:
+     shape = tuple(x.shape)
+     many = math.prod(shape[:1] + shape[2:])
+     if not many > 1:
+         raise ValueError(f"more than one value a channel, please, not {shape}")
+     mean, variance = channel_statistics(x.data)
+     if self.training and has_buffers:
+         self.update(mean, variance, many)
+     return batch_norm(x, self.weight, self.bias, eps=self.eps, statistics=(mean, variance))

# %% group_norm: weight and bias as ones and zeros
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    channels = x.shape[1]
    if channels % num_groups > 0:
        raise ValueError(f"num_groups={num_groups} and {channels} channels")
    weight = ones(channels, dtype=x.dtype) if weight is None else weight
    bias = zeros(channels, dtype=x.dtype) if bias is None else bias
    normal = batch_norm(x.reshape(1, x.shape[0] * num_groups, -1), None, None, eps=eps).reshape(*x.shape)
    return normal * along_channels(weight, x) + along_channels(bias, x)

# %% ResidualBlock: the branch is a method
  self.shortcut = Sequential()
- if stride != 1 or in_channels != out_channels:
-     project = Conv2d(in_channels, out_channels, 1, stride, bias=False)
-     self.shortcut = Sequential(project, BatchNorm2d(out_channels))
+ fits = stride == 1 and in_channels == out_channels
+ if not fits:
+     parts = Conv2d(in_channels, out_channels, (1, 1), (stride, stride), bias=False), BatchNorm2d(out_channels)
+     self.shortcut = Sequential(*parts)

# %% GlobalAvgPool2d: the sum, divided
class GlobalAvgPool2d(Module):
    def forward(self, x):
        height, width = x.shape[-2:]
        return x.sum(axis=(-1, -2)) / (height * width)

# %% ResNet: a helper makes a stage
def make_stage(many, channels, stride):
    first = ResidualBlock(channels // stride, channels, stride)
    return [first] + [ResidualBlock(channels, channels) for _ in range(many - 1)]


class ResNet(Module):
    def __init__(self, blocks_per_stage, num_classes=10, *, in_channels=3, width=16, zero_init=False):
        super().__init__()
        self.conv1, self.bn1 = Conv2d(in_channels, width, 3, padding=1, bias=False), BatchNorm2d(width)
        stages = [make_stage(blocks_per_stage, width << k, 1 + (k > 0)) for k in range(3)]
        self.blocks = Sequential(*[block for stage in stages for block in stage])
        self.pool = GlobalAvgPool2d()
        self.fc = Linear(width << 2, num_classes)
        if zero_init:
            for block in self.blocks:
                block.bn2.weight.data[:] = 0.0

    def forward(self, x):
        return self.fc(self.pool(self.blocks(relu(self.bn1(self.conv1(x))))))

# %% fold_batch_norm: a copy of the settings by name
  bias = -norm.running_mean.numpy() if conv.bias is None else conv.bias.numpy() - norm.running_mean.numpy()
- folded = Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
- folded.kernels = conv.kernels
+ how = {name: getattr(conv, name) for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding")}
+ folded = Conv2d(**how)
+ setattr(folded, "kernels", conv.kernels)

# %% SeparableBlock: two halves
- x = relu(self.bn1(self.depthwise(x)))
- return relu(self.bn2(self.pointwise(x)))
+ inner = self.depthwise(x)
+ inner = relu(self.bn1(inner))
+ outer = self.pointwise(inner)
+ return relu(self.bn2(outer))
