# %% conv_output_size
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    padded = size + padding + padding
    if kernel_size > padded:
        raise ValueError(f"kernel {kernel_size} is larger than the {padded} pixels")
    return len(range(0, padded - kernel_size + 1, stride))

# %% correlate
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    high = conv_output_size(image.shape[0], kernel.shape[0])
    wide = conv_output_size(image.shape[1], kernel.shape[1])
    result = np.zeros((high, wide), image.dtype)
    for u in range(kernel.shape[0]):
        for v in range(kernel.shape[1]):
            result += kernel[u, v] * image[u : u + high, v : v + wide]
    return result

# %% conv2d_naive
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    image = pad(x, padding)
    rows = conv_output_size(x.shape[2], weight.shape[2], stride[0], padding[0])
    columns = conv_output_size(x.shape[3], weight.shape[3], stride[1], padding[1])
    result = np.zeros((x.shape[0], weight.shape[0], rows, columns), dtype=x.dtype)
    for number in range(x.shape[0]):
        for row in range(rows):
            for column in range(columns):
                top, left = row * stride[0], column * stride[1]
                patch = image[number, :, top : top + weight.shape[2], left : left + weight.shape[3]]
                for k in range(weight.shape[0]):
                    result[number, k, row, column] = np.sum(patch * weight[k])
                    if bias is not None:
                        result[number, k, row, column] += bias[k]
    return result

# %% max_pool2d_naive
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    rows, columns = output_shape(x.shape, kernel_size, stride, padding)
    result = np.zeros((x.shape[0], x.shape[1], rows, columns), dtype=x.dtype)
    for row in range(rows):
        top = row * stride[0] - padding[0]
        for column in range(columns):
            left = column * stride[1] - padding[1]
            # only what lies inside the image takes part
            seen = x[:, :, max(top, 0) : top + kernel_size[0], max(left, 0) : left + kernel_size[1]]
            result[:, :, row, column] = np.amax(seen, axis=(-2, -1))
    return result

# %% conv2d_weight_gradient_naive
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    image = pad(x, padding)
    oh, ow = grad.shape[2], grad.shape[3]
    answer = np.zeros((grad.shape[1], x.shape[1]) + tuple(kernel_size), dtype=grad.dtype)
    for o in range(answer.shape[0]):
        for c in range(answer.shape[1]):
            for u in range(kernel_size[0]):
                for v in range(kernel_size[1]):
                    pixels = image[:, c, u::stride[0], v::stride[1]][:, :oh, :ow]
                    answer[o, c, u, v] = (grad[:, o] * pixels).sum()
    return answer, np.array([grad[:, o].sum() for o in range(grad.shape[1])], dtype=grad.dtype)

# %% conv2d_input_gradient_naive
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    bordered = pad(np.zeros(x_shape, dtype=grad.dtype), padding)
    for row in range(grad.shape[2]):
        for column in range(grad.shape[3]):
            top, left = row * stride[0], column * stride[1]
            for o in range(weight.shape[0]):
                share = grad[:, o, row, column].reshape(-1, 1, 1, 1) * weight[o]
                bordered[:, :, top : top + weight.shape[2], left : left + weight.shape[3]] += share
    bottom, right = padding[0] + x_shape[2], padding[1] + x_shape[3]
    return bordered[:, :, padding[0] : bottom, padding[1] : right]

# %% max_pool2d_gradient_naive
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    answer = np.zeros_like(x, dtype=grad.dtype)
    for n in range(grad.shape[0]):
        for c in range(grad.shape[1]):
            for row in range(grad.shape[2]):
                for column in range(grad.shape[3]):
                    best = None
                    for u in range(kernel_size[0]):
                        for v in range(kernel_size[1]):
                            i, j = row * stride[0] + u - padding[0], column * stride[1] + v - padding[1]
                            if not (0 <= i < x.shape[2] and 0 <= j < x.shape[3]):
                                continue
                            if best is None or x[n, c, i, j] > x[n, c, best[0], best[1]]:
                                best = i, j
                    answer[n, c, best[0], best[1]] += grad[n, c, row, column]
    return answer

# %% avg_pool2d_naive
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    rows, columns = output_shape(x.shape, kernel_size, stride, padding)
    image, count = pad(x, padding), kernel_size[0] * kernel_size[1]
    result = np.zeros((x.shape[0], x.shape[1], rows, columns), dtype=x.dtype)
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride[0], column * stride[1]
            seen = image[:, :, top : top + kernel_size[0], left : left + kernel_size[1]]
            result[:, :, row, column] = seen.sum(axis=(2, 3)) / count
    return result


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    bordered = pad(np.zeros(x_shape, dtype=grad.dtype), padding)
    shares = grad / (kernel_size[0] * kernel_size[1])
    for row in range(grad.shape[2]):
        for column in range(grad.shape[3]):
            for u in range(kernel_size[0]):
                for v in range(kernel_size[1]):
                    bordered[:, :, row * stride[0] + u, column * stride[1] + v] += shares[:, :, row, column]
    return bordered[:, :, padding[0] : padding[0] + x_shape[2], padding[1] : padding[1] + x_shape[3]]

# %% im2col
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    rows, columns = output_shape(x.shape, kernel_size, stride, padding)
    image = pad(x, padding)
    down = stride[0] * np.arange(rows)[:, None, None, None] + np.arange(kernel_size[0])[:, None]
    right = stride[1] * np.arange(columns)[:, None, None] + np.arange(kernel_size[1])
    picked = image[:, :, down, right]  # (N, C, OH, OW, kh, kw)
    picked = np.moveaxis(picked, 1, 3)
    return picked.reshape(x.shape[0] * rows * columns, x.shape[1] * kernel_size[0] * kernel_size[1])

# %% conv2d_product
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    rows, columns = output_shape(x.shape, weight.shape[2:], stride, padding)
    flat = np.dot(weight.reshape(weight.shape[0], -1), im2col(x, weight.shape[2:], stride, padding).T)
    result = flat.reshape(weight.shape[0], x.shape[0], rows, columns).swapaxes(0, 1)
    return result if bias is None else result + bias.reshape(-1, 1, 1)

# %% conv2d_product_gradients
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    count, kernel_size = weight.shape[0], weight.shape[2:]
    flat = np.swapaxes(grad, 0, 1).reshape(count, grad.size // count)  # (O, N · OH · OW)
    for_weight = np.dot(flat, im2col(x, kernel_size, stride, padding)).reshape(weight.shape)
    bordered = pad(np.zeros(x.shape, dtype=grad.dtype), padding)
    for u in range(kernel_size[0]):
        rows = u + stride[0] * np.arange(grad.shape[2])
        for v in range(kernel_size[1]):
            columns = v + stride[1] * np.arange(grad.shape[3])
            sent = np.einsum("noij,oc->ncij", grad, weight[:, :, u, v])
            bordered[:, :, rows[:, None], columns] += sent
    (top, left), (high, wide) = padding, x.shape[2:]
    return bordered[:, :, top : top + high, left : left + wide], for_weight, flat.sum(axis=1)

# %% max_pool2d_views
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    image = pad(x, padding, fill=-math.inf)
    views = sliding_window_view(image, tuple(kernel_size), axis=(-2, -1))
    return np.amax(views[..., ::stride[0], ::stride[1], :, :], axis=(-1, -2))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    image = pad(x, padding, fill=-math.inf)
    answer, taken = np.zeros(image.shape, dtype=grad.dtype), np.zeros(grad.shape, dtype=bool)
    largest = max_pool2d_views(x, kernel_size, stride, padding)
    high, wide = stride[0] * grad.shape[2], stride[1] * grad.shape[3]
    for u in range(kernel_size[0]):
        for v in range(kernel_size[1]):
            rows, columns = slice(u, u + high, stride[0]), slice(v, v + wide, stride[1])
            wins = (image[:, :, rows, columns][:, :, : grad.shape[2], : grad.shape[3]] == largest) & ~taken
            answer[:, :, rows, columns][:, :, : grad.shape[2], : grad.shape[3]] += np.where(wins, grad, 0)
            taken |= wins
    (top, left), (rows, columns) = padding, x.shape[2:]
    return answer[:, :, top : top + rows, left : left + columns]

# %% Conv2d
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    engines = convolve_engines

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        shape = (out_channels, in_channels) + self.kernel_size
        fan_in = math.prod(shape[1:])
        self.weight = Parameter(zeros(*shape))
        normal_(self.weight, std=(2 / fan_in) ** 0.5)
        self.bias = None
        if bias:
            self.bias = Parameter(zeros(out_channels))

    def forward(self, x):
        single = x.ndim == 3
        batch = x.reshape(1, *x.shape) if single else x
        if batch.ndim != 4 or batch.shape[1] != self.in_channels:
            raise ValueError(f"{self} with a weight of {self.weight.shape} cannot take {x.shape}")
        check_fit(self, batch.shape, self.kernel_size, self.stride, self.padding)
        settings = {"stride": self.stride, "padding": self.padding, "kernels": self.kernels}
        result = convolve(batch, self.weight, self.bias, **settings)
        return result.reshape(result.shape[1:]) if single else result

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% conv_cost
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    side = conv_output_size(size, kernel_size, stride, padding)
    results = out_channels * side * side
    products = in_channels * kernel_size * kernel_size
    bytes_read = 4 * in_channels * size * size + 4 * out_channels * products
    return results * products, bytes_read + 4 * results
