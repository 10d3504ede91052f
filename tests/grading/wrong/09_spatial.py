# %% conv_output_size: rounds up, as if half a window counted
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + 2 * padding - kernel_size
    if room < 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels with padding")
    return -(-room // stride) + 1

# %% conv_output_size: counts the steps, not the places
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + 2 * padding - kernel_size
    if room < 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels with padding")
    return room // stride

# %% conv_output_size: padding on one end only
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + padding - kernel_size
    if room < 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels with padding")
    return room // stride + 1

# %% conv_output_size: no error where nothing fits
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + 2 * padding - kernel_size
    if room < -stride * 1000:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels with padding")
    return room // stride + 1

# %% conv_output_size: refuses a kernel as large as the image
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + 2 * padding - kernel_size
    if room <= 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels with padding")
    return room // stride + 1

# %% conv_output_size: divides before it adds one, as a float
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + 2 * padding - kernel_size
    if room < 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels with padding")
    return (room + stride) / stride

# %% conv_output_size: the message leaves the padding out
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + 2 * padding - kernel_size
    if room < 0:
        raise ValueError(f"a kernel of size {kernel_size} does not fit into {size} pixels")
    return room // stride + 1

# %% conv_output_size: returns 0 where nothing fits
def conv_output_size(size, kernel_size, stride=1, padding=0):
    """The number of places of a window along one axis. Raises ValueError where it does not fit even once."""
    room = size + 2 * padding - kernel_size
    if room < 0:
        return 0
    return room // stride + 1

# %% correlate: flips the kernel
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    kernel = kernel[::-1, ::-1]
    kh, kw = kernel.shape
    out = np.zeros((conv_output_size(image.shape[0], kh), conv_output_size(image.shape[1], kw)), image.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
    return out

# %% correlate: kernel transposed
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    kh, kw = kernel.shape
    out = np.zeros((conv_output_size(image.shape[0], kh), conv_output_size(image.shape[1], kw)), image.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel.T.reshape(kh, kw)).sum()
    return out

# %% correlate: the mean of the products
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    kh, kw = kernel.shape
    out = np.zeros((conv_output_size(image.shape[0], kh), conv_output_size(image.shape[1], kw)), image.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel).mean()
    return out

# %% correlate: leaves the last row of windows out
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    kh, kw = kernel.shape
    out = np.zeros((conv_output_size(image.shape[0], kh), conv_output_size(image.shape[1], kw)), image.dtype)
    for i in range(out.shape[0] - 1):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
    return out

# %% correlate: an output as large as the image
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    kh, kw = kernel.shape
    out = np.zeros(image.shape, image.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
    return out

# %% correlate: height for width
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    kh, kw = kernel.shape
    out = np.zeros((conv_output_size(image.shape[0], kh), conv_output_size(image.shape[0], kw)), image.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
    return out

# %% conv2d_naive: the stride's height and width exchanged
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride[::-1]
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: the bias is added for every channel of the input
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0
                    for c in range(n_in):
                        total += 0.0 if bias is None else bias[o]
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: no bias
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: fails without a bias
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: kernels flipped
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, kh - 1 - u, kw - 1 - v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: looks at the first channel only
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, 0, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: every image of the batch is the first
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[0, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: no padding, but the size of the padded one
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = np.pad(x, [(0, 0), (0, 0), (0, 2 * padding[0]), (0, 2 * padding[1])])
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: the padding's height and width exchanged, square images would not tell
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = np.pad(pad(x, padding[::-1]), [(0, 0), (0, 0), (0, 9), (0, 9)])
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: stride only for the height
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    x = np.pad(x, [(0, 0), (0, 0), (0, 0), (0, 99)])[..., : x.shape[3]]
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = np.pad(pad(x, padding), [(0, 0), (0, 0), (0, 99), (0, 99)])
    out = np.zeros((n_images, n_out, height, width), x.dtype)
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sh + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% conv2d_naive: makes float64 of everything
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
    height, width = output_shape(x.shape, (kh, kw), stride, padding)
    padded = pad(x, padding)
    out = np.zeros((n_images, n_out, height, width))
    for n in range(n_images):
        for o in range(n_out):
            for i in range(height):
                for j in range(width):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(n_in):
                        for u in range(kh):
                            for v in range(kw):
                                total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
                    out[n, o, i, j] = total
    return out

# %% max_pool2d_naive: padded with zeros
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    (kh, kw), (sh, sw) = kernel_size, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], height, width), x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
    return out

# %% max_pool2d_naive: the mean of the window
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    (kh, kw), (sh, sw) = kernel_size, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], height, width), x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out

# %% max_pool2d_naive: windows at stride 1
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    (kh, kw), (sh, sw) = kernel_size, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], height, width), x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, c, i : i + kh, j : j + kw].max()
    return out

# %% max_pool2d_naive: window's height and width exchanged
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    (kh, kw), (sh, sw) = kernel_size, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], height, width), x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, c, i * sh : i * sh + kw, j * sw : j * sw + kh].max()
    return out

# %% max_pool2d_naive: the largest of all channels
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    (kh, kw), (sh, sw) = kernel_size, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], height, width), x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
    return out

# %% max_pool2d_naive: the stride is taken for the window's size
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    (kh, kw), (sh, sw) = stride, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], height, width), x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
    return out

# %% max_pool2d_naive: the smallest of the window
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    (kh, kw), (sh, sw) = kernel_size, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], height, width), x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].min()
    return out

# %% max_pool2d_naive: makes float64 of everything
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    (kh, kw), (sh, sw) = kernel_size, stride
    height, width = output_shape(x.shape, kernel_size, stride, padding)
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], height, width))
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(height):
                for j in range(width):
                    out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
    return out

# %% conv2d_weight_gradient_naive: no stride
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i : i + kh, j : j + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_weight, for_bias

# %% conv2d_weight_gradient_naive: the last window only
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] = grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_weight, for_bias

# %% conv2d_weight_gradient_naive: mean over the batch
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_weight / max(len(x), 1), for_bias / max(len(x), 1)

# %% conv2d_weight_gradient_naive: bias counts the windows
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += 1
    return for_weight, for_bias

# %% conv2d_weight_gradient_naive: no padding of the image
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = np.pad(x, [(0, 0), (0, 0), (0, 2 * padding[0]), (0, 2 * padding[1])])
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_weight, for_bias

# %% conv2d_weight_gradient_naive: the order of the two exchanged
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_bias, for_weight

# %% conv2d_weight_gradient_naive: bias with one entry for all channels
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_weight, for_bias.sum(keepdims=True)

# %% conv2d_weight_gradient_naive: kernel turned around
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_weight[:, :, ::-1, ::-1], for_bias

# %% conv2d_weight_gradient_naive: bias gets the mean over pixels
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    for_weight = np.zeros((grad.shape[1], x.shape[1], kh, kw), x.dtype)
    for_bias = np.zeros(grad.shape[1], x.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for_weight[o] += grad[n, o, i, j] * window
        for_bias[o] += grad[n, o, i, j]
    return for_weight, grad.mean(axis=(2, 3)).sum(axis=0)

# %% conv2d_input_gradient_naive: overlapping windows overwrite each other
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] = grad[n, o, i, j] * weight[o]
    return padded[:, :, ph : ph + height, pw : pw + width]

# %% conv2d_input_gradient_naive: the padding stays
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o]
    return padded

# %% conv2d_input_gradient_naive: cuts the padding off at one end only
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o]
    return padded[:, :, :height, :width]

# %% conv2d_input_gradient_naive: kernel turned around
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o, :, ::-1, ::-1]
    return padded[:, :, ph : ph + height, pw : pw + width]

# %% conv2d_input_gradient_naive: no stride
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i : i + kh, j : j + kw] += grad[n, o, i, j] * weight[o]
    return padded[:, :, ph : ph + height, pw : pw + width]

# %% conv2d_input_gradient_naive: the same for every channel of the input
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o].mean(axis=0)
    return padded[:, :, ph : ph + height, pw : pw + width]

# %% conv2d_input_gradient_naive: zeros of the right shape
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    (_, _, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, padding
    n_images, channels, height, width = x_shape
    padded = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, o, i, j in np.ndindex(grad.shape):
        padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += 0
    return padded[:, :, ph : ph + height, pw : pw + width]

# %% max_pool2d_gradient_naive: equal entries share
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, fill=-np.inf)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] * (window == window.max()) / (window == window.max()).sum()
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_gradient_naive: every one of the equal entries gets it all
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, fill=-np.inf)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] * (window == window.max())
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_gradient_naive: a pixel that wins twice keeps the last one
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, fill=-np.inf)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        u, v = np.unravel_index(window.argmax(), (kh, kw))
        back[n, c, i * sh + u, j * sw + v] = grad[n, c, i, j]
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_gradient_naive: padded with zeros
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        u, v = np.unravel_index(window.argmax(), (kh, kw))
        back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_gradient_naive: the last of equal entries wins
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, fill=-np.inf)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        u, v = np.unravel_index(window.size - 1 - window[::-1, ::-1].argmax(), (kh, kw))
        back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_gradient_naive: the number of the entry taken apart the wrong way
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, fill=-np.inf)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        u, v = np.unravel_index(window.argmax(), (kh, kw), order="F")
        back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_gradient_naive: all entries of the window get it
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, fill=-np.inf)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j]
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_gradient_naive: the padding stays
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, fill=-np.inf)
    back = np.zeros(padded.shape, grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        window = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        u, v = np.unravel_index(window.argmax(), (kh, kw))
        back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
    return back

# %% avg_pool2d_naive: padding is not counted
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    ones = pad(np.ones_like(x), padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].sum() / max(ones[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].sum(), 1)
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (kh * kw)
    return back[:, :, ph : ph + height, pw : pw + width]

# %% avg_pool2d_naive: the sum, not the mean
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].sum()
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (kh * kw)
    return back[:, :, ph : ph + height, pw : pw + width]

# %% avg_pool2d_naive: the gradient undivided
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j]
    return back[:, :, ph : ph + height, pw : pw + width]

# %% avg_pool2d_naive: the gradient overwrites where windows overlap
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] = grad[n, c, i, j] / (kh * kw)
    return back[:, :, ph : ph + height, pw : pw + width]

# %% avg_pool2d_naive: the gradient's window is square
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kh] += grad[n, c, i, j] / (kh * kw)
    return back[:, :, ph : ph + height, pw : pw + width]

# %% avg_pool2d_naive: the gradient divided by the number of windows
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (grad.shape[2] * grad.shape[3])
    return back[:, :, ph : ph + height, pw : pw + width]

# %% avg_pool2d_naive: the gradient keeps the padding
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (kh * kw)
    return back

# %% avg_pool2d_naive: padded with -inf, as max pooling is
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding, fill=-np.inf)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (kh * kw)
    return back[:, :, ph : ph + height, pw : pw + width]

# %% avg_pool2d_naive: divided by the stride's area
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    (kh, kw), (sh, sw) = kernel_size, stride
    padded = pad(x, padding)
    out = np.empty((*x.shape[:2], *output_shape(x.shape, kernel_size, stride, padding)), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
    return out


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    n_images, channels, height, width = x_shape
    back = np.zeros((n_images, channels, height + 2 * ph, width + 2 * pw), grad.dtype)
    for n, c, i, j in np.ndindex(grad.shape):
        back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (sh * sw)
    return back[:, :, ph : ph + height, pw : pw + width]

# %% im2col: channels inside the window
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.transpose(0, 2, 3, 4, 5, 1).reshape(n * oh * ow, c * kh * kw)

# %% im2col: the images come last instead of first
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.transpose(2, 3, 0, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)

# %% im2col: columns instead of rows
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw).T

# %% im2col: no axes moved, only reshaped
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.reshape(n * oh * ow, c * kh * kw)

# %% im2col: places column by column
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.transpose(0, 3, 2, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)

# %% im2col: window column by column
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.transpose(0, 2, 3, 1, 5, 4).reshape(n * oh * ow, c * kh * kw)

# %% im2col: stride on the wrong axes
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, :: sh][:, :, :oh, :ow]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)

# %% im2col: fails on an empty batch
def im2col(x, kernel_size, stride=(1, 1), padding=(0, 0)):
    """The pixels under each window of x (N, C, H, W) as a row: shape (N · OH · OW, C · kh · kw)."""
    (n, c, _, _), (kh, kw), (sh, sw) = x.shape, kernel_size, stride
    oh, ow = output_shape(x.shape, kernel_size, stride, padding)
    windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, -1)

# %% conv2d_product: reshaped where the axes should move
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, _, kh, kw = weight.shape
    pixels = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, -1).T
    if bias is not None:
        pixels += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return pixels.reshape(len(x), o, *shape)

# %% conv2d_product: no bias
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, _, kh, kw = weight.shape
    pixels = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, -1).T
    if bias is not None:
        pass
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return pixels.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)

# %% conv2d_product: weight reshaped instead of transposed
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, _, kh, kw = weight.shape
    pixels = im2col(x, (kh, kw), stride, padding) @ weight.reshape(-1, o)
    if bias is not None:
        pixels += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return pixels.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)

# %% conv2d_product: rows and columns exchanged
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, _, kh, kw = weight.shape
    pixels = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, -1).T
    if bias is not None:
        pixels += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return pixels.reshape(len(x), *shape, o).transpose(0, 3, 2, 1)

# %% conv2d_product: forgets the padding
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, _, kh, kw = weight.shape
    pixels = im2col(x, (kh, kw), stride) @ weight.reshape(o, -1).T
    if bias is not None:
        pixels += bias
    shape = output_shape(x.shape, (kh, kw), stride, (0, 0))
    return pixels.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)

# %% conv2d_product: kernels flipped
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, _, kh, kw = weight.shape
    pixels = im2col(x, (kh, kw), stride, padding) @ weight[:, :, ::-1, ::-1].reshape(o, -1).T
    if bias is not None:
        pixels += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return pixels.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)

# %% conv2d_product: computes in float64
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, _, kh, kw = weight.shape
    pixels = im2col(x.astype(np.float64), (kh, kw), stride, padding) @ weight.reshape(o, -1).T
    if bias is not None:
        pixels += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return pixels.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)

# %% conv2d_product: channels stay last
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    o, _, kh, kw = weight.shape
    pixels = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, -1).T
    if bias is not None:
        pixels += bias
    shape = output_shape(x.shape, (kh, kw), stride, padding)
    return pixels.reshape(len(x), *shape, o)

# %% conv2d_product_gradients: grad reshaped without moving the channels
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, pixels.sum(axis=0)

# %% conv2d_product_gradients: windows overwrite each other
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] = columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, pixels.sum(axis=0)

# %% conv2d_product_gradients: the padding stays
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += columns[:, :, u, v]
    return padded, for_weight, pixels.sum(axis=0)

# %% conv2d_product_gradients: mean for the bias
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, pixels.mean(axis=0)

# %% conv2d_product_gradients: bias summed over the wrong axis
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, pixels.sum(axis=1)

# %% conv2d_product_gradients: weight and bias exchanged
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], pixels.sum(axis=0), for_weight

# %% conv2d_product_gradients: the gradient of the weight with its kernels flipped
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight[:, :, ::-1, ::-1], pixels.sum(axis=0)

# %% conv2d_product_gradients: makes float64 of float32
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw))
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, pixels.sum(axis=0)

# %% conv2d_product_gradients: adds the columns at stride 1
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    (n, c, h, w), (o, _, kh, kw), (sh, sw), (ph, pw) = x.shape, weight.shape, stride, padding
    oh, ow = grad.shape[2:]
    pixels = grad.transpose(0, 2, 3, 1).reshape(-1, o)
    for_weight = (pixels.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
    columns = (pixels @ weight.reshape(o, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for u in range(kh):
        for v in range(kw):
            padded[:, :, u : u + oh, v : v + ow] += columns[:, :, u, v]
    return padded[:, :, ph : ph + h, pw : pw + w], for_weight, pixels.sum(axis=0)

# %% max_pool2d_views: padded with zeros
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_views: the gradient padded with zeros
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_views: a pixel that wins twice gets one gradient
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    back[n, c, i * sh + winner // kw, j * sw + winner % kw] += grad
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_views: divides by the window's height
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    np.add.at(back, (n, c, i * sh + winner // kh, j * sw + winner % kh), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_views: no stride in the gradient's places
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    np.add.at(back, (n, c, i + winner // kw, j + winner % kw), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_views: stride of the rows for both
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[0]].max(axis=(4, 5))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_views: largest of each row of the window
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=5)[..., 0]


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_views: the last of equal entries wins
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw)[..., ::-1].argmax(axis=-1)
    winner = kh * kw - 1 - winner
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape, grad.dtype)
    np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% max_pool2d_views: the gradient in float64
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    padded = pad(x, padding, -np.inf)
    windows = sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::sh, ::sw]
    winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
    n, c, i, j = np.indices(winner.shape)
    back = np.zeros(padded.shape)
    np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
    return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]

# %% Conv2d: fan-out for fan-in
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(out_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: fan-in without the window
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: variance for standard deviation
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = 2 / max(in_channels * kh * kw, 1)
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: 1 over fan-in, as for tanh
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(1 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: bias starts at 1
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels) + 1) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: always a bias
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels))

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: Tensors instead of Parameters
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = normal_(zeros(out_channels, in_channels, kh, kw), std=std)
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: weight with the channels of the input first
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(in_channels, out_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: window's height and width exchanged
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kw, kh), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: ignores the stride
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=(1, 1), padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: no bias in forward
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, None, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: a single image keeps the axis of the batch
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: drops every axis of size 1
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze()

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: no check of the channels
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4):
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: no check of the axes
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim >= 3 and x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: looks for the channels in the second axis, also of a single image
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[1] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: the message leaves the weight out
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: does not ask check_fit
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        pass
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: always the fast kernels of a detached weight
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight.data, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% Conv2d: always the fast kernels
class Conv2d(Module):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in, kh, kw) and bias (out,).

    kernel_size, stride, padding: integers or pairs (height, width). Weights start normal with standard deviation
    √(2 / fan_in) (He et al. 2015), biases at 0. `kernels` says whose code runs: "fast", "product" or "loops". Raises
    ValueError naming the layer and both shapes for an input that does not fit.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        self.has_bias, self.kernels = bool(bias), "fast"
        check_settings(self, self.kernel_size, self.stride, self.padding)
        check_channels(self, in_channels, out_channels)
        kh, kw = self.kernel_size
        std = math.sqrt(2 / max(in_channels * kh * kw, 1))
        self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
        self.bias = Parameter(zeros(out_channels)) if bias else None

    def forward(self, x):
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
        images = x if x.ndim == 4 else x.unsqueeze(0)
        check_fit(self, images.shape, self.kernel_size, self.stride, self.padding)
        out = convolve(
            images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels="fast"
        )
        return out if x.ndim == 4 else out.squeeze(0)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        return text + ("" if self.has_bias else ", bias=False")

# %% conv_cost: products of one output channel only
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + weights + out_channels * out_size**2
    return weights // out_channels * out_size**2, 4 * numbers

# %% conv_cost: the input's pixels counted instead of the output's
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + weights + out_channels * out_size**2
    return weights * size**2, 4 * numbers

# %% conv_cost: numbers instead of bytes
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + weights + out_channels * out_size**2
    return weights * out_size**2, numbers

# %% conv_cost: multiplications and additions counted apart
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + weights + out_channels * out_size**2
    return 2 * weights * out_size**2, 4 * numbers

# %% conv_cost: float64
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + weights + out_channels * out_size**2
    return weights * out_size**2, 8 * numbers

# %% conv_cost: forgets the weights
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + out_channels * out_size**2
    return weights * out_size**2, 4 * numbers

# %% conv_cost: stride ignored
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, 1, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * size**2 + weights + out_channels * out_size**2
    return weights * out_size**2, 4 * numbers

# %% conv_cost: each pixel read again for each window
def conv_cost(in_channels, out_channels, kernel_size, size, stride=1, padding=0):
    """(multiply-adds, least float32 bytes moved) of a convolution of one square image, without bias."""
    out_size = conv_output_size(size, kernel_size, stride, padding)
    weights = out_channels * in_channels * kernel_size**2
    numbers = in_channels * kernel_size**2 * out_size**2 + weights + out_channels * out_size**2
    return weights * out_size**2, 4 * numbers
