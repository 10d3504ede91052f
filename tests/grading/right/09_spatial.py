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

# %% conv_output_size: rounds down with divmod
- return room // stride + 1
+ steps, _ = divmod(room, stride)
+ return steps + 1

# %% conv_output_size: walks over the places
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    end, start, places = size + 2 * padding, 0, 0
    while start + kernel_size <= end:
        start, places = start + stride, places + 1
    if not places:
        raise ValueError(f"only {end} pixels, padding included: too few for {kernel_size}")
    return places

# %% correlate: one sum for each weight and each place
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    kh, kw = kernel.shape
    high, wide = conv_output_size(image.shape[0], kh), conv_output_size(image.shape[1], kw)
    rows = [[sum(image[i + u, j + v] * kernel[u, v] for u in range(kh) for v in range(kw)) for j in range(wide)]
            for i in range(high)]
    return np.array(rows, image.dtype)

# %% correlate: tensordot of each window
- out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
+ out[i, j] = np.tensordot(image[i : i + kh, j : j + kw], kernel)

# %% conv2d_naive: channel by channel, by the cell before
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (sh, sw), image = stride, pad(x, padding)
    out = np.zeros((len(x), len(weight), *output_shape(x.shape, weight.shape[2:], stride, padding)), x.dtype)
    for n in range(len(x)):
        for o in range(len(weight)):
            for c in range(x.shape[1]):
                out[n, o] += correlate(image[n, c], weight[o, c])[::sh, ::sw]
            out[n, o] += 0 if bias is None else bias[o]
    return out

# %% conv2d_naive: four loops, and a sum over the window
- total = 0.0 if bias is None else bias[o]
- for c in range(n_in):
-     for u in range(kh):
-         for v in range(kw):
-             total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
- out[n, o, i, j] = total
+ window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
+ out[n, o, i, j] = (window * weight[o]).sum() + (0 if bias is None else bias[o])

# %% max_pool2d_naive: Python's max over the entries
- out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
+ out[n, c, i, j] = max(padded[n, c, i * sh + u, j * sw + v] for u in range(kh) for v in range(kw))

# %% max_pool2d_naive: grows the maximum, starting from the lowest number there is
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    image = pad(x, padding, -np.inf)
    out = image[:, :, : height * stride[0] : stride[0], : width * stride[1] : stride[1]].copy()
    for u in range(kernel_size[0]):
        for v in range(kernel_size[1]):
            for i in range(height):
                for j in range(width):
                    other = image[:, :, i * stride[0] + u, j * stride[1] + v]
                    out[:, :, i, j] = np.maximum(out[:, :, i, j], other)
    return out

# %% conv2d_weight_gradient_naive: an outer product at each place
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    image, (kh, kw) = pad(x, padding), kernel_size
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), grad.dtype)
    for i in range(grad.shape[2]):
        for j in range(grad.shape[3]):
            top, left = i * stride[0], j * stride[1]
            for_weight += np.tensordot(grad[:, :, i, j], image[:, :, top : top + kh, left : left + kw], axes=(0, 0))
    return for_weight, grad.sum(axis=(0, 2, 3))

# %% conv2d_weight_gradient_naive: the bias by itself
- for_bias = np.zeros(grad.shape[1], x.dtype)
+ for_bias = np.array([grad[:, o].sum() for o in range(grad.shape[1])], x.dtype)

- for_bias[o] += grad[n, o, i, j]

# %% conv2d_input_gradient_naive: asks each pixel who saw it
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    answer = np.zeros(x_shape, grad.dtype)
    for row in range(x_shape[2]):
        for column in range(x_shape[3]):
            for u in range(weight.shape[2]):
                for v in range(weight.shape[3]):
                    i, skipped = divmod(row + padding[0] - u, stride[0])
                    j, missed = divmod(column + padding[1] - v, stride[1])
                    if skipped or missed or not (0 <= i < grad.shape[2] and 0 <= j < grad.shape[3]):
                        continue
                    answer[:, :, row, column] += grad[:, :, i, j] @ weight[:, :, u, v]
    return answer

# %% conv2d_input_gradient_naive: cuts the padding off only where there is some
- return padded[:, :, ph : ph + height, pw : pw + width]
+ rows = slice(ph, -ph) if ph else slice(None)
+ columns = slice(pw, -pw) if pw else slice(None)
+ return padded[:, :, rows, columns]

# %% max_pool2d_gradient_naive: the first place that equals the maximum
- u, v = np.unravel_index(window.argmax(), (kh, kw))
- back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
+ u, v = next((u, v) for u in range(kh) for v in range(kw) if window[u, v] == window.max())
+ back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]

# %% max_pool2d_gradient_naive: a window of the gradient, flattened
- u, v = np.unravel_index(window.argmax(), (kh, kw))
- back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
+ share = np.zeros(kh * kw, grad.dtype)
+ share[np.argmax(window)] = grad[n, c, i, j]
+ back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += share.reshape(kh, kw)

# %% avg_pool2d_naive: a sum of shifted images, and shares made once
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    image, (kh, kw), (sh, sw) = pad(x, padding), kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    views = [image[:, :, u::sh, v::sw][:, :, :oh, :ow] for u in range(kh) for v in range(kw)]
    return sum(views[1:], views[0]) / x.dtype.type(kh * kw)


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw), (oh, ow) = kernel_size, stride, padding, grad.shape[2:]
    back = np.zeros((*x_shape[:2], x_shape[2] + 2 * ph, x_shape[3] + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            back[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += grad
    return back[:, :, ph : ph + x_shape[2], pw : pw + x_shape[3]] / grad.dtype.type(kh * kw)

# %% avg_pool2d_naive: by the mean's own name, and a share as an array
- out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
+ out[n, c, i, j] = np.average(padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw])

- back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (kh * kw)
+ share = np.full((kh, kw), grad[n, c, i, j] / (kh * kw))
+ back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += share

# %% im2col: a plane for each position in the window
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c), (kh, kw), (sh, sw), image = x.shape[:2], kernel_size, stride, pad(x, padding)
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    table = np.empty((n, oh, ow, c, kh, kw), x.dtype)
    for u in range(kh):
        for v in range(kw):
            seen = image[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw]
            table[..., u, v] = np.moveaxis(seen, 1, -1)
    return table.reshape(n * oh * ow, c * kh * kw)

# %% im2col: moves the channels, and gathers with einsum
- return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)
+ return np.einsum("ncijuv->nijcuv", windows).reshape((n * oh * ow, c * kh * kw))

# %% conv2d_product: einsum over the table
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, c, kh, kw = weight.shape
    table = im2col(x, (kh, kw), stride, padding)
    oh, ow = output_shape(x.shape, (kh, kw), stride, padding)
    table = table.reshape(x.shape[0], oh, ow, c * kh * kw)
    result = np.einsum("nijk,ok->noij", table, weight.reshape(o, c * kh * kw))
    return result if bias is None else result + bias[:, None, None]

# %% conv2d_product: a column of ones for the bias
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    rows, matrix = im2col(x, weight.shape[2:], stride, padding), weight.reshape(len(weight), weight[0].size)
    if bias is not None:
        rows = np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)
        matrix = np.concatenate([matrix, bias[:, None]], axis=1)
    shape = output_shape(x.shape, weight.shape[2:], stride, padding)
    return np.moveaxis((rows @ matrix.T).reshape(x.shape[0], *shape, len(weight)), -1, 1)

# %% conv2d_product_gradients: tensordot on all images at once
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (oh, ow), (kh, kw), (sh, sw), (ph, pw) = grad.shape[2:], weight.shape[2:], stride, padding
    image = pad(x, padding)
    back, for_weight = np.zeros(image.shape, grad.dtype), np.zeros(weight.shape, grad.dtype)
    for u in range(kh):
        for v in range(kw):
            place = slice(None), slice(None), slice(u, u + sh * oh, sh), slice(v, v + sw * ow, sw)
            for_weight[:, :, u, v] = np.tensordot(grad, image[place], axes=((0, 2, 3), (0, 2, 3)))
            back[place] += np.tensordot(grad, weight[:, :, u, v], axes=(1, 0)).transpose(0, 3, 1, 2)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]], for_weight, grad.sum((0, 2, 3))

# %% conv2d_product_gradients: the table's numbers are added by their places
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (ph, pw) = x.shape, weight.shape, padding
    flat = np.moveaxis(grad, 1, -1).reshape(grad.size // o, o)
    table = im2col(x, (kh, kw), stride, padding)
    high, wide = h + 2 * ph, w + 2 * pw
    numbers = np.arange(c * high * wide, dtype=np.float64).reshape(1, c, high, wide)
    places = im2col(numbers, (kh, kw), stride).astype(int).ravel()  # whence each number of one image's table came
    back = np.zeros((n, c * high * wide), grad.dtype)
    shares = (flat @ weight.reshape(o, c * kh * kw)).reshape(n, len(places))
    for image in range(n):
        np.add.at(back[image], places, shares[image])
    back = back.reshape(n, c, high, wide)[:, :, ph : ph + h, pw : pw + w]
    return back, np.dot(flat.T, table).reshape(weight.shape), flat.sum(axis=0)

# %% max_pool2d_views: the largest of each row, then of the rows; bincount hands out
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows.max(axis=5).max(axis=4)[:, :, :: stride[0], :: stride[1]]


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    image = pad(x, padding, -np.inf)
    windows = sliding_window_view(image, kernel_size, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    winner = windows.reshape(*grad.shape, kernel_size[0] * kernel_size[1]).argmax(axis=-1)
    n, c, i, j = np.indices(grad.shape)
    row, column = i * stride[0] + winner // kernel_size[1], j * stride[1] + winner % kernel_size[1]
    places = np.ravel_multi_index((n, c, row, column), image.shape) if grad.size else np.zeros(0, int)
    back = np.bincount(places.ravel(), grad.ravel(), minlength=image.size).reshape(image.shape).astype(grad.dtype)
    return back[:, :, padding[0] : padding[0] + x.shape[2], padding[1] : padding[1] + x.shape[3]]

# %% max_pool2d_views: reduces the flattened windows
- return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))
+ windows = windows[:, :, :: stride[0], :: stride[1]]
+ return windows.reshape(*windows.shape[:4], kernel_size[0] * kernel_size[1]).max(axis=-1)

- np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
+ u, v = np.unravel_index(winner, (kh, kw))
+ np.add.at(back, (n, c, i * sh + u, j * sw + v), grad)

# %% Conv2d: fills a Parameter, and checks one thing after the other
- self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
- self.bias = Parameter(zeros(out_channels)) if bias else None
+ self.weight, self.bias = Parameter(zeros(out_channels, in_channels, kh, kw)), None
+ normal_(self.weight, std=std)
+ if bias:
+     self.bias = Parameter(zeros(out_channels))

- if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
-     raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
+ if not 3 <= x.ndim <= 4:
+     raise ValueError(f"{self} has a weight {self.weight.shape} and takes no {x.shape}")
+ if x.shape[-3] != self.weight.shape[1]:
+     raise ValueError(f"{self} has a weight {self.weight.shape}: {x.shape} has other channels")

# %% Conv2d: a helper for batches
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,)."""

    engines = convolve_engines

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        deviation = np.sqrt(2 / (in_channels * np.prod(self.kernel_size)))
        self.weight = Parameter(zeros(out_channels, in_channels, *self.kernel_size))
        normal_(self.weight, std=float(deviation))
        self.bias = Parameter(zeros(out_channels)) if self.has_bias else None

    def forward(self, x):
        if x.ndim == 3:
            return self.of_batch(x.reshape(1, *x.shape), x)[0]
        return self.of_batch(x, x)

    def of_batch(self, images, given):
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ValueError(f"{self}: {tuple(given.shape)} is no image for {tuple(self.weight.shape)}")
        how = {"stride": self.stride, "padding": self.padding}
        check_fit(self, images.shape, self.kernel_size, **how)
        return convolve(images, self.weight, self.bias, kernels=self.kernels, **how)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% conv_cost: counts the outputs first
- weights = out_channels * in_channels * kernel_size**2
- numbers = in_channels * size**2 + weights + out_channels * out_size**2
- return weights * out_size**2, 4 * numbers
+ outputs, each = out_channels * out_size * out_size, in_channels * kernel_size * kernel_size
+ return outputs * each, 4 * (in_channels * size * size + out_channels * each + outputs)

# %% conv_cost: by the sizes of arrays
- weights = out_channels * in_channels * kernel_size**2
- numbers = in_channels * size**2 + weights + out_channels * out_size**2
- return weights * out_size**2, 4 * numbers
+ weight = (out_channels, in_channels, kernel_size, kernel_size)
+ shapes = [(in_channels, size, size), weight, (out_channels, out_size, out_size)]
+ return math.prod(weight) * out_size * out_size, sum(4 * math.prod(shape) for shape in shapes)
