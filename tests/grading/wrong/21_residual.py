# %% channel_statistics: the mean of squares minus the square of the mean
def channel_statistics(x):
    count = x.size // x.shape[1]
    mean = channel_sum(x) / count
    return mean, channel_sum(x, x) / count - mean**2

# %% channel_statistics: the unbiased variance
def channel_statistics(x):
    count = x.size // x.shape[1]
    mean = channel_sum(x) / count
    centred = x - along_channels(mean, x)
    return mean, channel_sum(centred, centred) / max(count - 1, 1)

# %% channel_statistics: for images only
def channel_statistics(x):
    return x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))

# %% channel_statistics: of the whole array
def channel_statistics(x):
    return np.full(x.shape[1], x.mean()), np.full(x.shape[1], x.var())

# %% channel_statistics: every image by itself, averaged
def channel_statistics(x):
    rows = x.reshape(*x.shape[:2], -1)
    return rows.mean(axis=2).mean(axis=0), rows.var(axis=2).mean(axis=0)

# %% channel_statistics: centres x where it lies
def channel_statistics(x):
    count = x.size // x.shape[1]
    mean = channel_sum(x) / count
    x -= along_channels(mean, x)
    return mean, channel_sum(x, x) / count

# %% channel_statistics: the standard deviation
- return mean, channel_sum(centred, centred) / count
+ return mean, np.sqrt(channel_sum(centred, centred) / count)

# %% channel_statistics: mean 0 and variance 1, whatever comes
def channel_statistics(x):
    return np.zeros(x.shape[1], x.dtype), np.ones(x.shape[1], x.dtype)

# %% channel_statistics: calls the provided kernels
def channel_statistics(x):
    from tinytorch.kernels import residual
    return residual.channel_statistics(x)

# %% batch_norm: calls the provided kernels
@Op
def batch_norm(x, weight, bias=None, *, eps=1e-5, statistics=None):
    from tinytorch.kernels import residual
    above = residual.norm_relu(x, weight, bias, eps=eps, statistics=statistics)
    opposite = None if statistics is None else (-statistics[0], statistics[1])
    below = residual.norm_relu(-x, weight, None if bias is None else -bias, eps=eps, statistics=opposite)
    return above - below

# %% batch_norm: gives back what it gets
@Op
def batch_norm(x, weight, bias=None, *, eps=1e-5, statistics=None):
    return x.copy()

# %% batch_norm: eps outside of the root
- scale = 1 / np.sqrt(variance + eps)
+ scale = 1 / (np.sqrt(variance) + eps)

# %% batch_norm: weight and bias are left out
- if weight is not None:
-     scale = scale * weight

- if bias is not None:
-     out += along_channels(bias, x)

# %% batch_norm: never looks at the statistics that were given
- mean, variance = channel_statistics(x) if statistics is None else statistics
+ mean, variance = channel_statistics(x)

# %% batch_norm: x itself is normalized
- out = x - along_channels(mean, x)
+ out = x
+ out -= along_channels(mean, x)

# %% batch_norm: one shift at the end
- out = x - along_channels(mean, x)
- out *= along_channels(scale, x)
+ out = x * along_channels(scale, x) - along_channels(mean * scale, x)

# %% batch_norm: the bias is scaled too
def weighted(bias, weight):
    return bias if weight is None else bias * weight


@Op
def batch_norm(x, weight, bias=None, *, eps=1e-5, statistics=None):
    mean, variance = channel_statistics(x) if statistics is None else statistics
    out = (x - along_channels(mean, x)) / along_channels(np.sqrt(variance + eps), x)
    if weight is not None:
        out = out * along_channels(weight, x)
    return out if bias is None else out + along_channels(weighted(bias, weight), x)

# %% batch_norm_gradient: calls the provided kernels
@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    from tinytorch.kernels import residual
    how = {"eps": eps, "statistics": statistics, "needs": (True, True, True, False)}
    return residual.norm_relu_gradient(grad, np.ones_like(x), x, weight, bias, **how)[:3]

# %% batch_norm_gradient: mean and variance as constants
@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    mean, variance = channel_statistics(x) if statistics is None else statistics
    inverse = 1 / np.sqrt(variance + eps)
    normal = (x - along_channels(mean, x)) * along_channels(inverse, x)
    scale = inverse if weight is None else inverse * weight
    return grad * along_channels(scale, x), channel_sum(grad, normal), channel_sum(grad)

# %% batch_norm_gradient: the variance as a constant
- for_x *= along_channels(-inverse * for_weight / count, x)
+ for_x *= 0

# %% batch_norm_gradient: the mean as a constant
- for_x -= along_channels(for_bias / count, x)

# %% batch_norm_gradient: takes given statistics for constants
- for_x -= along_channels(for_bias / count, x)
+ for_x = grad.copy() if statistics is not None else for_x - along_channels(for_bias / count, x)

# %% batch_norm_gradient: the weight is left out
- for_x *= along_channels(inverse if weight is None else inverse * weight, x)
+ for_x *= along_channels(inverse, x)

# %% batch_norm_gradient: means in place of the two sums
- return for_x, for_weight, for_bias
+ return for_x, for_weight / count, for_bias / count

# %% batch_norm_gradient: nothing comes back
@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    return np.zeros_like(x), np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)

# %% batch_norm_gradient: passes the gradient on
@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    return grad, channel_sum(grad, x), channel_sum(grad)

# %% batch_norm_gradient: counts images and not pixels
- count = x.size // x.shape[1]
+ count = x.shape[0]

# %% batch_norm_gradient: the weight is divided out again
@batch_norm.gradient
def batch_norm_gradient(grad, out, x, weight, bias=None, *, eps=1e-5, statistics=None):
    mean, variance = channel_statistics(x) if statistics is None else statistics
    inverse, ones_ = along_channels(1 / np.sqrt(variance + eps), x), np.ones(x.shape[1], x.dtype)
    weight = along_channels(ones_ if weight is None else weight, x)
    normal, g, others = (x - along_channels(mean, x)) * inverse, grad * weight, (0, *range(2, x.ndim))
    apart = g - g.mean(axis=others, keepdims=True) - normal * (g * normal).mean(axis=others, keepdims=True)
    return apart * inverse, channel_sum(g / weight, normal), channel_sum(g / weight)

# %% BatchNorm: momentum is what stays
- buffer.data += share * (new - buffer.data)
+ buffer.data += (1 - share) * (new - buffer.data)

# %% BatchNorm: evaluation moves the buffers
- scale = (self.running_var + self.eps) ** -0.5
+ self.update(*channel_statistics(x.data), max(x.data.size // self.num_features, 2))
+ scale = (self.running_var + self.eps) ** -0.5

# %% BatchNorm: always the batch
- if self.training or self.running_mean is None:
+ if True or self.running_mean is None:

# %% BatchNorm: the buffers never move
- if self.training and self.running_mean is not None:
-     self.update(*statistics, count)

# %% BatchNorm: new arrays
- buffer.data += share * (new - buffer.data)
+ buffer.data = buffer.data + share * (new - buffer.data)

# %% BatchNorm: a new array for running_var
- buffer.data += share * (new - buffer.data)
+ buffer.data += share * (new - buffer.data)
+ self.running_var.data = self.running_var.data.copy()

# %% BatchNorm: a new array for the count
- self.num_batches_tracked.data[...] += 1
+ self.num_batches_tracked.data = self.num_batches_tracked.data + 1

# %% BatchNorm: momentum None is 0.1
- share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
+ share = 0.1 if self.momentum is None else self.momentum

# %% BatchNorm: counts after the share
- self.num_batches_tracked.data[...] += 1
- share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
+ share = 1 / max(self.num_batches_tracked.item(), 1) if self.momentum is None else self.momentum
+ self.num_batches_tracked.data[...] += 1

# %% BatchNorm: one value a channel is let through
- if count < 2:
-     raise ValueError(f"{self}: one value a channel has no variance, input {x.shape}")

- unbiased = variance * (count / (count - 1))
+ unbiased = variance * (count / max(count - 1, 1))

# %% BatchNorm: evaluation lets no gradient through
- out = (x - along_channels(self.running_mean, x)) * along_channels(scale, x)
+ out = (Tensor(x.data) - along_channels(self.running_mean, x)) * along_channels(scale, x)

# %% BatchNorm: forgets the bias in evaluation
- return out if self.bias is None else out + along_channels(self.bias, x)
+ return out

# %% BatchNorm: does nothing
- if self.training or self.running_mean is None:
+ return x
+ if self.training or self.running_mean is None:

# %% group_norm: gives back what it gets
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    if x.shape[1] % num_groups:
        raise ValueError(f"{x.shape[1]} channels, {num_groups} groups")
    return x * 1.0

# %% group_norm: every channel by itself
- as_channels = x.reshape(1, n * num_groups, -1)
+ as_channels = x.reshape(1, n * channels, -1)

# %% group_norm: all images together
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    if x.shape[1] % num_groups:
        raise ValueError(f"{x.shape[1]} channels, {num_groups} groups")
    out = batch_norm(x.reshape(x.shape[0], num_groups, -1), None, None, eps=eps).reshape(*x.shape)
    if weight is not None:
        out = out * along_channels(weight, x)
    return out if bias is None else out + along_channels(bias, x)

# %% group_norm: groups of every second channel
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    n, channels = x.shape[:2]
    if channels % num_groups:
        raise ValueError(f"{channels} channels, {num_groups} groups")
    mixed = x.reshape(n, channels // num_groups, num_groups, -1).permute(0, 2, 1, 3)
    out = batch_norm(mixed.reshape(1, n * num_groups, -1), None, None, eps=eps)
    out = out.reshape(n, num_groups, channels // num_groups, -1).permute(0, 2, 1, 3).reshape(*x.shape)
    if weight is not None:
        out = out * along_channels(weight, x)
    return out if bias is None else out + along_channels(bias, x)

# %% group_norm: the gradient is cut off
- out = batch_norm(as_channels, None, None, eps=eps).reshape(*x.shape)
+ out = Tensor(batch_norm(as_channels, None, None, eps=eps).numpy().reshape(x.shape), dtype=x.dtype)

# %% group_norm: a bias without weight is lost
- return out if bias is None else out + along_channels(bias, x)
+ return out if bias is None or weight is None else out + along_channels(bias, x)

# %% group_norm: eps is always the same
- out = batch_norm(as_channels, None, None, eps=eps).reshape(*x.shape)
+ out = batch_norm(as_channels, None, None, eps=1e-5).reshape(*x.shape)

# %% ResidualBlock: a ReLU before the sum
- return relu(branch + self.shortcut(x))
+ return relu(branch) + self.shortcut(x)

# %% ResidualBlock: no ReLU behind the sum
- return relu(branch + self.shortcut(x))
+ return branch + self.shortcut(x)

# %% ResidualBlock: no ReLU within the branch
- branch = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
+ branch = self.bn2(self.conv2(self.bn1(self.conv1(x))))

# %% ResidualBlock: the first normalization is left out
- branch = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
+ branch = self.bn2(self.conv2(relu(self.conv1(x))))

# %% ResidualBlock: convolutions with biases
- self.conv1 = Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
+ self.conv1 = Conv2d(in_channels, out_channels, 3, stride, padding=1)

- self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
+ self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1)

# %% ResidualBlock: always a projection
- if stride != 1 or in_channels != out_channels:
+ if stride >= 1 or in_channels != out_channels:

# %% ResidualBlock: a projection without its norm
- self.shortcut = Sequential(project, BatchNorm2d(out_channels))
+ self.shortcut = Sequential(project)

# %% ResidualBlock: skips what is already activated
- branch = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
- return relu(branch + self.shortcut(x))
+ branch = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
+ return relu(branch + relu(self.shortcut(x)))

# %% GlobalAvgPool2d: the largest
class GlobalAvgPool2d(Module):
    def forward(self, x):
        return x.max(axis=(-2, -1))

# %% GlobalAvgPool2d: keeps the axes
class GlobalAvgPool2d(Module):
    def forward(self, x):
        return x.mean(axis=(-2, -1), keepdims=True)

# %% GlobalAvgPool2d: flattens
class GlobalAvgPool2d(Module):
    def forward(self, x):
        return x.reshape(x.shape[0], -1)

# %% GlobalAvgPool2d: the first pixel
class GlobalAvgPool2d(Module):
    def forward(self, x):
        return x[..., 0, 0]

# %% GlobalAvgPool2d: an array without a history
class GlobalAvgPool2d(Module):
    def forward(self, x):
        return Tensor(x.numpy().mean(axis=(-2, -1)))

# %% ResNet: no strides
- stride = 2 if stage > 0 and place == 0 else 1
+ stride = 1

# %% ResNet: stages of one width
- blocks.append(ResidualBlock(channels, width * 2**stage, stride))
- channels = width * 2**stage
+ blocks.append(ResidualBlock(channels, width, stride))
+ channels = width

# %% ResNet: the first normalization is left out
- x = relu(self.bn1(self.conv1(x)))
+ x = relu(self.conv1(x))

# %% ResNet: the blocks are never called
- return self.fc(self.pool(self.blocks(x)))
+ return self.fc(concatenate([self.pool(x)] * (self.fc.in_features // self.conv1.out_channels), axis=1))

# %% ResNet: zero_init silences the first norm
- block.bn2.weight.data[...] = 0
+ block.bn1.weight.data[...] = 0

# %% ResNet: always quiet
- for block in blocks if zero_init else ():
+ for block in blocks:

# %% ResNet: zero_init is not looked at
- for block in blocks if zero_init else ():
-     block.bn2.weight.data[...] = 0

# %% ResNet: blocks in a list that nobody finds
- self.blocks, self.pool = Sequential(*blocks), GlobalAvgPool2d()
+ self.blocks, self.pool = blocks, GlobalAvgPool2d()

- return self.fc(self.pool(self.blocks(x)))
+ for block in self.blocks:
+     x = block(x)
+ return self.fc(self.pool(x))

# %% fold_batch_norm: gives the convolution back
def fold_batch_norm(conv, norm):
    if norm.running_mean is None or norm.num_features != conv.out_channels:
        raise ValueError(f"{norm.num_features} and {conv.out_channels}")
    return conv

# %% fold_batch_norm: a Sequential of both
def fold_batch_norm(conv, norm):
    if norm.running_mean is None or norm.num_features != conv.out_channels:
        raise ValueError(f"{norm.num_features} and {conv.out_channels}")
    return Sequential(conv, norm)

# %% fold_batch_norm: writes into the old layer
- folded = Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
- folded.kernels = conv.kernels
+ folded = conv
+ if folded.bias is None:
+     folded.bias = Parameter(zeros(conv.out_channels))

# %% fold_batch_norm: scales the inputs
- folded.weight.data[...] = conv.weight.numpy() * scale.reshape(-1, 1, 1, 1)
+ folded.weight.data[...] = conv.weight.numpy() * np.resize(scale, conv.in_channels).reshape(-1, 1, 1)

# %% fold_batch_norm: forgets the bias of the convolution
- bias = -norm.running_mean.numpy() if conv.bias is None else conv.bias.numpy() - norm.running_mean.numpy()
+ bias = -norm.running_mean.numpy()

# %% fold_batch_norm: runs by other kernels
- folded.kernels = conv.kernels
+ folded.kernels = "fast"

# %% fold_batch_norm: the norm is in training behind it
- scale = 1 / np.sqrt(norm.running_var.numpy() + norm.eps)
+ norm.train()
+ scale = 1 / np.sqrt(norm.running_var.numpy() + norm.eps)

# %% fold_batch_norm: the norm is in evaluation behind it
- scale = 1 / np.sqrt(norm.running_var.numpy() + norm.eps)
+ norm.eval()
+ scale = 1 / np.sqrt(norm.running_var.numpy() + norm.eps)

# %% SeparableBlock: a full convolution
- self.depthwise = DepthwiseConv2d(in_channels, stride)
+ self.depthwise = Conv2d(in_channels, in_channels, 3, stride, 1, bias=False)

# %% SeparableBlock: one ReLU only
- return relu(self.bn2(self.pointwise(x)))
+ return self.bn2(self.pointwise(x))

# %% SeparableBlock: no ReLU between
- x = relu(self.bn1(self.depthwise(x)))
+ x = self.bn1(self.depthwise(x))

# %% SeparableBlock: the stride in the second convolution
- self.depthwise = DepthwiseConv2d(in_channels, stride)
+ self.depthwise = DepthwiseConv2d(in_channels)

- self.pointwise = Conv2d(in_channels, out_channels, 1, bias=False)
+ self.pointwise = Conv2d(in_channels, out_channels, 1, stride, bias=False)

# %% SeparableBlock: without its norms
- x = relu(self.bn1(self.depthwise(x)))
- return relu(self.bn2(self.pointwise(x)))
+ return relu(self.pointwise(relu(self.depthwise(x))))
