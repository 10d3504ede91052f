# %% conv_output_size: rounds up, as if half a window counted
- return room // stride + 1
+ return -(-room // stride) + 1

# %% conv_output_size: no error where nothing fits
- if room < 0:
+ if room < -stride * 1000:

# %% conv_output_size: divides before it adds one, as a float
- return room // stride + 1
+ return (room + stride) / stride

# %% conv_output_size: the message leaves the padding out
- raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels")
+ raise ValueError(f"a kernel of size {kernel_size} does not fit into {size} pixels")

# %% conv_output_size: returns 0 where nothing fits
- raise ValueError(f"a kernel of size {kernel_size} does not fit into {room + kernel_size} pixels")
+ return 0

# %% correlate: flips the kernel
+ kernel = kernel[::-1, ::-1]
  kh, kw = kernel.shape

# %% correlate: kernel transposed
- out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
+ out[i, j] = (image[i : i + kh, j : j + kw] * kernel.T.reshape(kh, kw)).sum()

# %% correlate: an output as large as the image
- out = np.zeros((conv_output_size(image.shape[0], kh), conv_output_size(image.shape[1], kw)), image.dtype)
+ out = np.zeros(image.shape, image.dtype)

# %% correlate: adds up before it multiplies
- out[i, j] = (image[i : i + kh, j : j + kw] * kernel).sum()
+ out[i, j] = image[i : i + kh, j : j + kw].sum() * kernel.sum()

# %% conv2d_naive: the stride's height and width exchanged
- (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
+ (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride[::-1]

# %% conv2d_naive: the bias is added for every channel of the input
- total = 0.0 if bias is None else bias[o]
+ total = 0.0

  for c in range(n_in):
+     total += 0.0 if bias is None else bias[o]

# %% conv2d_naive: no bias
- total = 0.0 if bias is None else bias[o]
+ total = 0.0

# %% conv2d_naive: fails without a bias
- total = 0.0 if bias is None else bias[o]
+ total = bias[o]

# %% conv2d_naive: kernels flipped
- total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
+ total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, kh - 1 - u, kw - 1 - v]

# %% conv2d_naive: looks at the first channel only
- total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
+ total += padded[n, 0, i * sh + u, j * sw + v] * weight[o, c, u, v]

# %% conv2d_naive: every image of the batch is the first
- total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
+ total += padded[0, c, i * sh + u, j * sw + v] * weight[o, c, u, v]

# %% conv2d_naive: no padding, but the size of the padded one
- padded = pad(x, padding)
+ padded = np.pad(x, [(0, 0), (0, 0), (0, 2 * padding[0]), (0, 2 * padding[1])])

# %% conv2d_naive: the padding's height and width exchanged, square images would not tell
- padded = pad(x, padding)
+ padded = np.pad(pad(x, padding[::-1]), [(0, 0), (0, 0), (0, 9), (0, 9)])

# %% conv2d_naive: stride only for the height
  (n_images, n_in, _, _), (n_out, _, kh, kw), (sh, sw) = x.shape, weight.shape, stride
+ x = np.pad(x, [(0, 0), (0, 0), (0, 0), (0, 99)])[..., : x.shape[3]]

- padded = pad(x, padding)
+ padded = np.pad(pad(x, padding), [(0, 0), (0, 0), (0, 99), (0, 99)])

- total += padded[n, c, i * sh + u, j * sw + v] * weight[o, c, u, v]
+ total += padded[n, c, i * sh + u, j * sh + v] * weight[o, c, u, v]

# %% max_pool2d_naive: the mean of the window
- out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
+ out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()

# %% max_pool2d_naive: windows at stride 1
- out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
+ out[n, c, i, j] = padded[n, c, i : i + kh, j : j + kw].max()

# %% max_pool2d_naive: window's height and width exchanged
- out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
+ out[n, c, i, j] = padded[n, c, i * sh : i * sh + kw, j * sw : j * sw + kh].max()

# %% max_pool2d_naive: the largest of all channels
- out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].max()
+ out[n, c, i, j] = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw].max()

# %% conv2d_weight_gradient_naive: no stride
- window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
+ window = padded[n, :, i : i + kh, j : j + kw]

# %% conv2d_weight_gradient_naive: mean over the batch
- return for_weight, for_bias
+ return for_weight / max(len(x), 1), for_bias / max(len(x), 1)

# %% conv2d_weight_gradient_naive: bias counts the windows
- for_bias[o] += grad[n, o, i, j]
+ for_bias[o] += 1

# %% conv2d_weight_gradient_naive: no padding of the image
- padded = pad(x, padding)
+ padded = np.pad(x, [(0, 0), (0, 0), (0, 2 * padding[0]), (0, 2 * padding[1])])

# %% conv2d_weight_gradient_naive: bias with one entry for all channels
- return for_weight, for_bias
+ return for_weight, for_bias.sum(keepdims=True)

# %% conv2d_weight_gradient_naive: kernel turned around
- return for_weight, for_bias
+ return for_weight[:, :, ::-1, ::-1], for_bias

# %% conv2d_weight_gradient_naive: bias gets the mean over pixels
- return for_weight, for_bias
+ return for_weight, grad.mean(axis=(2, 3)).sum(axis=0)

# %% conv2d_input_gradient_naive: the padding stays
- return padded[:, :, ph : ph + height, pw : pw + width]
+ return padded

# %% conv2d_input_gradient_naive: cuts the padding off at one end only
- return padded[:, :, ph : ph + height, pw : pw + width]
+ return padded[:, :, :height, :width]

# %% conv2d_input_gradient_naive: kernel turned around
- padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o]
+ padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o, :, ::-1, ::-1]

# %% conv2d_input_gradient_naive: no stride
- padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o]
+ padded[n, :, i : i + kh, j : j + kw] += grad[n, o, i, j] * weight[o]

# %% conv2d_input_gradient_naive: the same for every channel of the input
- padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o]
+ padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o].mean(axis=0)

# %% conv2d_input_gradient_naive: zeros of the right shape
- padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, o, i, j] * weight[o]
+ padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += 0

# %% max_pool2d_gradient_naive: equal entries share
- u, v = np.unravel_index(window.argmax(), (kh, kw))
- back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
+ back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] * (window == window.max()) / (window == window.max()).sum()

# %% max_pool2d_gradient_naive: every one of the equal entries gets it all
- u, v = np.unravel_index(window.argmax(), (kh, kw))
- back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
+ back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] * (window == window.max())

# %% max_pool2d_gradient_naive: the last of equal entries wins
- u, v = np.unravel_index(window.argmax(), (kh, kw))
+ u, v = np.unravel_index(window.size - 1 - window[::-1, ::-1].argmax(), (kh, kw))

# %% max_pool2d_gradient_naive: the number of the entry taken apart the wrong way
- u, v = np.unravel_index(window.argmax(), (kh, kw))
+ u, v = np.unravel_index(window.argmax(), (kh, kw), order="F")

# %% max_pool2d_gradient_naive: all entries of the window get it
- u, v = np.unravel_index(window.argmax(), (kh, kw))
- back[n, c, i * sh + u, j * sw + v] += grad[n, c, i, j]
+ back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j]

# %% max_pool2d_gradient_naive: the padding stays
- return back[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]
+ return back

# %% avg_pool2d_naive: padding is not counted
  padded = pad(x, padding)
+ ones = pad(np.ones_like(x), padding)

- out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].mean()
+ out[n, c, i, j] = padded[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].sum() / max(ones[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw].sum(), 1)

# %% avg_pool2d_naive: the gradient divided by the number of windows
- back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (kh * kw)
+ back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (grad.shape[2] * grad.shape[3])

# %% avg_pool2d_naive: the gradient keeps the padding
- return back[:, :, ph : ph + height, pw : pw + width]
+ return back

# %% avg_pool2d_naive: padded with -inf, as max pooling is
- padded = pad(x, padding)
+ padded = pad(x, padding, fill=-np.inf)

# %% avg_pool2d_naive: divided by the stride's area
- back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (kh * kw)
+ back[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw] += grad[n, c, i, j] / (sh * sw)

# %% im2col: channels inside the window
- return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)
+ return windows.transpose(0, 2, 3, 4, 5, 1).reshape(n * oh * ow, c * kh * kw)

# %% im2col: the images come last instead of first
- return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)
+ return windows.transpose(2, 3, 0, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)

# %% im2col: columns instead of rows
- return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)
+ return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw).T

# %% im2col: stride on the wrong axes
- windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
+ windows = sliding_window_view(pad(x, padding), (kh, kw), axis=(2, 3))[:, :, :: sh][:, :, :oh, :ow]

# %% im2col: fails on an empty batch
- return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)
+ return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, -1)

# %% conv2d_product: reshaped where the axes should move
- return out.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)
+ return out.reshape(len(x), o, *shape)

# %% conv2d_product: weight reshaped instead of transposed
- out = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, c * kh * kw).T
+ out = im2col(x, (kh, kw), stride, padding) @ weight.reshape(c * kh * kw, o)

# %% conv2d_product: forgets the padding
- out = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, c * kh * kw).T
+ out = im2col(x, (kh, kw), stride) @ weight.reshape(o, c * kh * kw).T

- shape = output_shape(x.shape, (kh, kw), stride, padding)
+ shape = output_shape(x.shape, (kh, kw), stride, (0, 0))

# %% conv2d_product: kernels flipped
- out = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, c * kh * kw).T
+ out = im2col(x, (kh, kw), stride, padding) @ weight[:, :, ::-1, ::-1].reshape(o, c * kh * kw).T

# %% conv2d_product: computes in float64
- out = im2col(x, (kh, kw), stride, padding) @ weight.reshape(o, c * kh * kw).T
+ out = im2col(x.astype(np.float64), (kh, kw), stride, padding) @ weight.reshape(o, c * kh * kw).T

# %% conv2d_product_gradients: the padding stays
- return padded[:, :, ph : ph + h, pw : pw + w], for_weight, grad_rows.sum(axis=0)
+ return padded, for_weight, grad_rows.sum(axis=0)

# %% conv2d_product_gradients: the gradient of the weight with its kernels flipped
- return padded[:, :, ph : ph + h, pw : pw + w], for_weight, grad_rows.sum(axis=0)
+ return padded[:, :, ph : ph + h, pw : pw + w], for_weight[:, :, ::-1, ::-1], grad_rows.sum(axis=0)

# %% conv2d_product_gradients: adds the columns at stride 1
- padded[:, :, u : u + sh * oh : sh, v : v + sw * ow : sw] += planes[:, :, u, v]
+ padded[:, :, u : u + oh, v : v + ow] += planes[:, :, u, v]

# %% conv2d_product_gradients: the weight's axes are taken in another order than the columns'
- planes = for_rows.reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
+ planes = for_rows.reshape(n, oh, ow, kh, kw, c).transpose(0, 5, 3, 4, 1, 2)

# %% max_pool2d_views: padded with zeros
- windows = sliding_window_view(pad(x, padding, -np.inf), kernel_size, axis=(2, 3))
+ windows = sliding_window_view(pad(x, padding), kernel_size, axis=(2, 3))

# %% max_pool2d_views: the gradient padded with zeros
- padded = pad(x, padding, -np.inf)
+ padded = pad(x, padding)

# %% max_pool2d_views: a pixel that wins twice gets one gradient
- np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
+ back[n, c, i * sh + winner // kw, j * sw + winner % kw] += grad

# %% max_pool2d_views: divides by the window's height
- np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
+ np.add.at(back, (n, c, i * sh + winner // kh, j * sw + winner % kh), grad)

# %% max_pool2d_views: no stride in the gradient's places
- np.add.at(back, (n, c, i * sh + winner // kw, j * sw + winner % kw), grad)
+ np.add.at(back, (n, c, i + winner // kw, j + winner % kw), grad)

# %% max_pool2d_views: largest of each row of the window
- return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))
+ return windows[:, :, :: stride[0], :: stride[1]].max(axis=5)[..., 0]

# %% max_pool2d_views: the last of equal entries wins
- winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
+ winner = windows.reshape(*grad.shape, kh * kw)[..., ::-1].argmax(axis=-1)
+ winner = kh * kw - 1 - winner

# %% Conv2d: fan-in without the window
- std = math.sqrt(2 / (in_channels * kh * kw))
+ std = math.sqrt(2 / in_channels)

# %% Conv2d: bias starts at 1
- self.bias = Parameter(zeros(out_channels)) if bias else None
+ self.bias = Parameter(zeros(out_channels) + 1) if bias else None

# %% Conv2d: always a bias
- self.bias = Parameter(zeros(out_channels)) if bias else None
+ self.bias = Parameter(zeros(out_channels))

# %% Conv2d: Tensors instead of Parameters
- self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
+ self.weight = normal_(zeros(out_channels, in_channels, kh, kw), std=std)

# %% Conv2d: ignores the stride
- images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
+ images, self.weight, self.bias, stride=(1, 1), padding=self.padding, kernels=self.kernels

# %% Conv2d: no bias in forward
- images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
+ images, self.weight, None, stride=self.stride, padding=self.padding, kernels=self.kernels

# %% Conv2d: a single image keeps the axis of the batch
- return out if x.ndim == 4 else out.squeeze(0)
+ return out

# %% Conv2d: drops every axis of size 1
- return out if x.ndim == 4 else out.squeeze(0)
+ return out if x.ndim == 4 else out.squeeze()

# %% Conv2d: no check of the axes
- if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
+ if x.ndim >= 3 and x.shape[-3] != self.in_channels:

# %% Conv2d: the message leaves the weight out
- raise ValueError(f"{self}: an input {x.shape} does not fit the weight {self.weight.shape}")
+ raise ValueError(f"{self}: an input {x.shape} does not fit")

# %% Conv2d: always the fast kernels of a detached weight
- images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
+ images, self.weight.data, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels

# %% Conv2d: always the fast kernels
- images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels=self.kernels
+ images, self.weight, self.bias, stride=self.stride, padding=self.padding, kernels="fast"

# %% conv_cost: products of one output channel only
- return weights * out_size**2, 4 * numbers
+ return weights // out_channels * out_size**2, 4 * numbers

# %% conv_cost: the input's pixels counted instead of the output's
- return weights * out_size**2, 4 * numbers
+ return weights * size**2, 4 * numbers

# %% conv_cost: multiplications and additions counted apart
- return weights * out_size**2, 4 * numbers
+ return 2 * weights * out_size**2, 4 * numbers

# %% conv_cost: float64
- return weights * out_size**2, 4 * numbers
+ return weights * out_size**2, 8 * numbers

# %% conv_cost: stride ignored
- out_size = conv_output_size(size, kernel_size, stride, padding)
+ out_size = conv_output_size(size, kernel_size, 1, padding)

# %% conv_cost: each pixel read again for each window
- numbers = in_channels * size**2 + weights + out_channels * out_size**2
+ numbers = in_channels * kernel_size**2 * out_size**2 + weights + out_channels * out_size**2
# %% correlate: calls the provided kernels
def correlate(image, kernel):
    """Slide `kernel` (kh, kw) over `image` (H, W): the sums of products, shape (H - kh + 1, W - kw + 1)."""
    from tinytorch.kernels.spatial import convolve as provided
    return provided(image[None, None], kernel[None, None].astype(image.dtype), stride=(1, 1), padding=(0, 0))[0, 0]

# %% conv2d_naive: calls the provided kernels
def conv2d_naive(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) and bias (O,) or None, by loops: (N, O, OH, OW)."""
    from tinytorch.kernels import spatial
    return spatial.convolve(x, weight.astype(x.dtype), bias, stride=stride, padding=padding)

# %% max_pool2d_naive: calls the provided kernels
def max_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), by loops: (N, C, OH, OW). Padding never wins."""
    from tinytorch.kernels import spatial
    return spatial.pool_max(x, kernel_size=kernel_size, stride=stride, padding=padding)

# %% conv2d_weight_gradient_naive: calls the provided kernels
def conv2d_weight_gradient_naive(grad, x, kernel_size, stride, padding):
    """The gradients (O, C, kh, kw) of the weight and (O,) of the bias, from grad (N, O, OH, OW) and x (N, C, H, W)."""
    from tinytorch.kernels import spatial
    weight = np.zeros((grad.shape[1], x.shape[1], *kernel_size), x.dtype)
    settings = {"stride": stride, "padding": padding, "needs": (False, True, True)}
    return spatial.convolve_gradient(grad, None, x, weight, None, **settings)[1:]

# %% conv2d_input_gradient_naive: calls the provided kernels
def conv2d_input_gradient_naive(grad, weight, x_shape, stride, padding):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, O, OH, OW) and weight (O, C, kh, kw)."""
    from tinytorch.kernels import spatial
    settings = {"stride": stride, "padding": padding, "needs": (True, False, False)}
    return spatial.convolve_gradient(grad, None, np.zeros(x_shape, grad.dtype), weight, None, **settings)[0]

# %% max_pool2d_gradient_naive: calls the provided kernels
def max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W) from grad (N, C, OH, OW): to the first largest entry of each window."""
    from tinytorch.kernels import spatial
    settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return spatial.pool_max_gradient(grad, spatial.pool_max(x, **settings), x, **settings)

# %% avg_pool2d_naive: calls the provided kernels
def avg_pool2d_naive(x, kernel_size, stride, padding=(0, 0)):
    """The mean of each window of x (N, C, H, W), padded zeros included, by loops: (N, C, OH, OW)."""
    from tinytorch.kernels import spatial
    return spatial.pool_avg(x, kernel_size=kernel_size, stride=stride, padding=padding)


def avg_pool2d_gradient_naive(grad, x_shape, kernel_size, stride, padding=(0, 0)):
    """The gradient of x, which has `x_shape` (N, C, H, W), from grad (N, C, OH, OW): equal shares."""
    from tinytorch.kernels import spatial
    settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return spatial.pool_avg_gradient(grad, None, np.zeros(x_shape, grad.dtype), **settings)

# %% conv2d_product: calls the provided kernels
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    from tinytorch.kernels import spatial
    return spatial.convolve(x, weight, bias, stride=stride, padding=padding)

# %% conv2d_product: asks the operation for its fast engine
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    return convolve(x, weight, bias, stride=stride, padding=padding, kernels="fast")

# %% conv2d_product_gradients: calls the provided kernels
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    from tinytorch.kernels import spatial
    settings = {"stride": stride, "padding": padding, "needs": (True, True, True)}
    return spatial.convolve_gradient(grad, None, x, weight, None, **settings)

# %% max_pool2d_views: calls the provided kernels
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    from tinytorch.kernels import spatial
    return spatial.pool_max(x, kernel_size=kernel_size, stride=stride, padding=padding)


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    from tinytorch.kernels import spatial
    settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return spatial.pool_max_gradient(grad, spatial.pool_max(x, **settings), x, **settings)

# %% conv2d_product: is the loops under another name
conv2d_product = conv2d_naive

# %% conv2d_product: calls the loops
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    return conv2d_naive(x, weight, bias, stride, padding)

# %% conv2d_product: asks the operation for its loops
def conv2d_product(x, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    """The convolution of x (N, C, H, W) with weight (O, C, kh, kw) as one matrix product: (N, O, OH, OW)."""
    return convolve_engines["loops"].forward(x, weight, bias, stride, padding)

# %% conv2d_product: leaves the number of kernels of an empty batch to NumPy
- return out.reshape(len(x), *shape, o).transpose(0, 3, 1, 2)
+ return out.reshape(len(x), *shape, -1).transpose(0, 3, 1, 2)

# %% conv2d_product_gradients: calls the loops
def conv2d_product_gradients(grad, x, weight, stride, padding):
    """The gradients of x (N, C, H, W), weight (O, C, kh, kw) and bias (O,), from grad (N, O, OH, OW)."""
    for_x = conv2d_input_gradient_naive(grad, weight, x.shape, stride, padding)
    return for_x, *conv2d_weight_gradient_naive(grad, x, weight.shape[2:], stride, padding)

# %% conv2d_product_gradients: takes the rows of the forward for those of grad
- for_weight = (grad_rows.T @ im2col(x, (kh, kw), stride, padding)).reshape(weight.shape)
- for_rows = grad_rows @ weight.reshape(o, c * kh * kw)
+ rows = im2col(x, (kh, kw), stride, padding)
+ for_weight = (grad_rows.T @ rows).reshape(weight.shape)
+ for_rows = (rows @ weight.reshape(o, c * kh * kw).T) @ weight.reshape(o, c * kh * kw)

# %% max_pool2d_views: calls the loops
def max_pool2d_views(x, kernel_size, stride, padding=(0, 0)):
    """The largest value in each window of x (N, C, H, W), without a loop: (N, C, OH, OW)."""
    return max_pool2d_naive(x, kernel_size, stride, padding)


def max_pool2d_views_gradient(grad, x, kernel_size, stride, padding=(0, 0)):
    """The gradient of x (N, C, H, W): each window's grad to the first of its largest entries."""
    return max_pool2d_gradient_naive(grad, x, kernel_size, stride, padding)

# %% max_pool2d_views: leaves the window of an empty batch to NumPy
- winner = windows.reshape(*grad.shape, kh * kw).argmax(axis=-1)
+ winner = windows.reshape(*grad.shape, -1).argmax(axis=-1)

# %% conv2d_input_gradient_naive: cuts from ph to -ph, which is nothing without padding
- return padded[:, :, ph : ph + height, pw : pw + width]
+ return padded[:, :, ph : -ph, pw : -pw]

# %% Conv2d: the same weights in every layer, whatever the seed
- self.weight = Parameter(normal_(zeros(out_channels, in_channels, kh, kw), std=std))
+ drawn = np.random.default_rng(0).standard_normal((out_channels, in_channels, kh, kw))
+ self.weight = Parameter(zeros(out_channels, in_channels, kh, kw) + (drawn * std).astype(np.float32))
