# %% quantization_range: in NumPy
def quantization_range(low, high, bits=8, symmetric=True):
    top = largest_code(bits)
    if not np.isfinite([low, high]).all() or low > high:
        raise ValueError(f"low {low} and high {high} make no range")
    ends = np.array([low, high, 0], dtype=np.float64)
    if symmetric:
        step = np.abs(ends).max() / top
        return (float(step), 0) if step else (1.0, 0)
    step = np.ptp(ends) / (2 * top)
    return (float(step), int(np.rint(-top - ends.min() / step))) if step else (1.0, 0)

# %% quantization_range: by cases
def quantization_range(low, high, bits=8, symmetric=True):
    codes = largest_code(bits)
    if math.isnan(low) or math.isnan(high) or math.isinf(low) or math.isinf(high):
        raise ValueError(f"not finite: {low}, {high}")
    if high < low:
        raise ValueError(f"{low} lies above {high}")
    low, high = float(low), float(high)
    if low > 0:
        low = 0.0
    if high < 0:
        high = 0.0
    if low == high:
        return 1.0, 0
    if symmetric:
        return max(abs(low), abs(high)) / codes, 0
    scale = (high - low) / (codes + codes)
    return scale, int(round(codes - high / scale))

# %% quantization_range: a helper
def quantization_range(low, high, bits=8, symmetric=True):
    def reach():
        return (min(low, 0), max(high, 0))

    largest = largest_code(bits)
    if not (abs(low) < math.inf and abs(high) < math.inf and low <= high):
        raise ValueError("bad range {} .. {}".format(low, high))
    below, above = map(float, reach())
    if symmetric:
        below, above = -max(-below, above), max(-below, above)
    steps = 2 * largest
    scale = (above - below) / steps or 1.0
    zero = 0 if symmetric or above == below else int(np.rint(-largest - below / scale))
    return scale, zero

# %% quantize: minimum and maximum
def quantize(x, scale, zero_point=0, bits=8):
    top = largest_code(bits)
    x = np.asarray(x).astype(np.float32)
    if np.any(x != x):
        raise ValueError("a nan cannot be quantized")
    codes = zero_point + np.round(x / scale)
    return np.minimum(np.maximum(codes, -top), top).astype(np.int8)


def dequantize(codes, scale, zero_point=0):
    wide = np.asarray(codes).astype(np.int32) - np.asarray(zero_point)
    return (wide * scale).astype(np.float32)

# %% quantize: cuts off with different bounds before it shifts
def quantize(x, scale, zero_point=0, bits=8):
    largest = largest_code(bits)
    x = np.array(x, dtype=np.float32)
    if np.isnan(x).any():
        raise ValueError("nan")
    shift = np.asarray(zero_point)
    steps = np.clip(np.rint(x / scale), -largest - shift, largest - shift)
    return (steps + shift).astype(np.int8)


def dequantize(codes, scale, zero_point=0):
    return np.multiply(np.subtract(codes, zero_point, dtype=np.float32), scale, dtype=np.float32)

# %% quantize: a mask for what is too large
def quantize(x, scale, zero_point=0, bits=8):
    largest = largest_code(bits)
    x = np.asarray(x, np.float32)
    steps = np.rint(np.divide(x, scale)) + zero_point
    if np.isnan(np.sum(np.where(np.isinf(steps), 0, steps))):
        raise ValueError("there is a nan")
    steps = np.where(steps > largest, largest, np.where(steps < -largest, -largest, steps))
    return steps.astype("int8")


def dequantize(codes, scale, zero_point=0):
    codes = np.asarray(codes, dtype=np.float64)
    return ((codes - zero_point) * scale).astype("float32")

# %% quantize_channels: the axis first
def quantize_channels(weight, axis=0, bits=8):
    weight = np.asarray(weight, np.float32)
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    peaks = np.abs(rows).max(axis=1) if rows.shape[1] else np.zeros(len(rows))
    scales = (peaks / largest_code(bits)).astype(np.float32)
    scales = np.where(scales > 0, scales, np.float32(1))
    if np.isnan(peaks).any():
        raise ValueError("nan in a channel")
    shape = [1] * weight.ndim
    shape[axis] = -1
    scales = scales.reshape(shape)
    return quantize(weight, scales, 0, bits), scales

# %% quantize_channels: a loop over quantization_range
def quantize_channels(weight, axis=0, bits=8):
    weight = np.asarray(weight, np.float32)
    channels = np.moveaxis(weight, axis, 0)
    codes = np.zeros(channels.shape, np.int8)
    shape = [1] * weight.ndim
    shape[axis] = len(channels)
    scales = np.ones(len(channels), np.float32)
    for i, channel in enumerate(channels):
        if channel.size:
            scales[i] = np.float32(quantization_range(float(channel.min()), float(channel.max()), bits)[0]) or 1
            codes[i] = quantize(channel, scales[i], bits=bits)
    return np.moveaxis(codes, 0, axis), scales.reshape(shape)

# %% quantize_channels: largest and smallest
def quantize_channels(weight, axis=0, bits=8):
    weight = np.asarray(weight, np.float32)
    axes = list(range(weight.ndim))
    del axes[axis]
    axes = tuple(axes)
    high = np.max(weight, axis=axes, keepdims=True, initial=0.0)
    low = np.min(weight, axis=axes, keepdims=True, initial=0.0)
    scales = np.maximum(high, -low) / np.float32(largest_code(bits))
    scales = scales + (scales == 0)
    return quantize(weight, scales, bits=bits), scales.astype(np.float32)

# %% exact_length: counts by a shift
def exact_length(largest_a, largest_b):
    if min(largest_a, largest_b) < 1:
        raise ValueError(f"{largest_a} or {largest_b} is below 1")
    return int((1 << 24) // int(largest_a * largest_b))

# %% exact_length: floor of a quotient
def exact_length(largest_a, largest_b):
    for largest in (largest_a, largest_b):
        if not largest >= 1:
            raise ValueError("the largest integers are {} and {}".format(largest_a, largest_b))
    return math.floor(16777216 / (largest_a * largest_b))

# %% exact_length: divmod
def exact_length(largest_a, largest_b):
    worst = largest_a * largest_b
    if largest_a <= 0 or largest_b <= 0:
        raise ValueError(f"not positive: {largest_a}, {largest_b}")
    many, _ = divmod(2**24, worst)
    return many

# %% int8_matmul: looks how large the codes are
def int8_matmul(a, b, product=np.matmul):
    if a.dtype != np.int8:
        raise TypeError(f"a is {a.dtype}")
    if b.dtype != np.int8:
        raise TypeError(f"b is {b.dtype}")
    k = a.shape[-1]
    if len(b) != k:
        raise ValueError(f"{a.shape} and {b.shape}")
    peaks = [max(int(np.abs(x.astype(np.int16)).max(initial=0)), 1) for x in (a, b)]
    step = exact_length(*peaks)
    out = np.zeros((*a.shape[:-1], b.shape[1]), dtype=np.int32)
    for i in range(0, k, step):
        left, right = a[..., i : i + step].astype(np.float32), b[i : i + step].astype(np.float32)
        out = out + product(left, right).astype(np.int32)
    return out

# %% int8_matmul: while there is something left
def int8_matmul(a, b, product=np.matmul):
    if {a.dtype, b.dtype} != {np.dtype(np.int8)}:
        raise TypeError(f"codes are int8, and these are {a.dtype} and {b.dtype}")
    if a.shape[-1] != b.shape[0]:
        raise ValueError(f"a {a.shape}, b {b.shape}")
    sums, start = np.zeros(a.shape[:-1] + b.shape[1:], np.int64), 0
    while start < len(b):
        end = start + exact_length(128, 128)
        sums += product(np.float32(a[..., start:end]), np.float32(b[start:end])).astype(np.int64)
        start = end
    return sums.astype(np.int32)

# %% int8_matmul: splits both, a product each
def int8_matmul(a, b, product=np.matmul):
    wrong = [str(x.dtype) for x in (a, b) if x.dtype != np.dtype("int8")]
    if wrong:
        raise TypeError(", ".join(wrong))
    if a.shape[-1] != len(b):
        raise ValueError(f"no product of {a.shape} and {b.shape}")
    places = np.arange(1024, len(b), 1024)
    parts = zip(np.split(a, places, axis=-1), np.split(b, places), strict=True)
    blocks = [product(x.astype(np.float32), y.astype(np.float32)).astype(np.int32) for x, y in parts]
    return np.sum(blocks, axis=0, dtype=np.int32)

# %% calibrate: a table of methods
def calibrate(samples, method="extremes", bits=8):
    arrays = [np.ravel(np.asarray(sample)) for sample in samples]
    values = np.concatenate([*arrays, []]).astype(np.float32)
    if len(values) == 0:
        raise ValueError("calibrate needs numbers")
    if not np.isfinite(values).all():
        raise ValueError(f"calibrate: nan or inf among {len(values)} numbers")
    ends = np.array([values.min(), values.max()], dtype=np.float64)

    def error(share):
        settings = quantization_range(*(ends * share), bits, False)
        codes = quantize(values, *settings, bits)
        return np.square((values - dequantize(codes, *settings)).astype(np.float64)).sum()

    if method == "extremes":
        found = ends
    elif method == "percentile":
        found = np.percentile(values, (0.1, 99.9))
    elif method == "least_squares":
        found = ends * min((k / 20 for k in range(20, 0, -1)), key=error)
    else:
        raise ValueError(f"calibrate knows no {method}")
    return float(found[0]), float(found[1])

# %% calibrate: sorted numbers
def calibrate(samples, method="extremes", bits=8):
    if method not in ("extremes", "percentile", "least_squares"):
        raise ValueError(f"calibrate: no method {method}")
    values = []
    for sample in samples:
        values.extend(np.asarray(sample, np.float64).ravel().tolist())
    if not values:
        raise ValueError("calibrate: nothing")
    for value in values:
        if value != value or abs(value) == math.inf:
            raise ValueError(f"calibrate: {value} (nan or inf)")
    values = np.sort(values)
    if method == "percentile":
        ends = []
        for share in (0.001, 0.999):
            place = share * (len(values) - 1)
            below = int(place)
            above = min(below + 1, len(values) - 1)
            ends.append(float(values[below] + (place - below) * (values[above] - values[below])))
        return ends[0], ends[1]
    low, high = float(values[0]), float(values[-1])
    if method == "extremes":
        return low, high
    errors = []
    shares = [1 - i * 0.05 for i in range(20)]
    for share in shares:
        scale, zero = quantization_range(low * share, high * share, bits, symmetric=False)
        errors.append(((dequantize(quantize(values, scale, zero, bits), scale, zero) - values) ** 2).sum())
    best = shares[int(np.argmin(errors))]
    return low * best, high * best

# %% calibrate: sums batch by batch
def calibrate(samples, method="extremes", bits=8):
    kept = [np.asarray(sample, np.float32).flatten() for sample in samples]
    kept = [part for part in kept if part.size]
    if not kept:
        raise ValueError("calibrate: no sample with a number in it")
    low, high = float(min(part.min() for part in kept)), float(max(part.max() for part in kept))
    if any(np.isnan(part).any() or np.isinf(part).any() for part in kept):
        raise ValueError("calibrate: nan and inf are no numbers")
    if method == "extremes":
        return low, high
    if method == "percentile":
        return tuple(float(np.quantile(np.concatenate(kept), q)) for q in (0.001, 0.999))
    if method == "least_squares":
        tried = []
        for i in range(20):
            share = (20 - i) / 20
            at = quantization_range(share * low, share * high, bits=bits, symmetric=False)
            off = 0.0
            for part in kept:
                off += float(np.square(dequantize(quantize(part, *at, bits), *at) - part, dtype=np.float64).sum())
            tried.append((off, i, (share * low, share * high)))
        return min(tried)[2]
    raise ValueError(f"calibrate: {method}?")

# %% QuantizedLinear: dequantizes nothing, subtracts first
@Op
def quantized_linear(x, codes, scale, bias=None, *, input_range=None):
    factors = scale.reshape(-1)
    if input_range is None:
        sums = np.matmul(x.astype(np.float32), codes.astype(np.float32).T)
    else:
        input_scale, shift = input_range
        sums = int8_matmul(quantize(x, input_scale, shift), np.ascontiguousarray(codes.T)).astype(np.float64)
        sums = sums - shift * codes.astype(np.float64).sum(axis=1)
        factors = factors * input_scale
    out = (sums * factors).astype(np.float32)
    if bias is not None:
        out = out + bias
    return out


class QuantizedLinear(Module):
    def __init__(self, weight, bias=None, input_range=None, bits=8):
        super().__init__()
        self.register_buffer("bias", None)
        self.register_buffer("input_range", None)
        codes, scale = quantize_channels(np.asarray(weight), 0, bits)
        self.register_buffer("weight", Tensor(codes))
        self.register_buffer("scale", Tensor(scale))
        if bias is not None:
            self.bias = Tensor(np.array(bias), dtype=np.float32)
        if input_range is not None:
            self.input_range = Tensor(list(input_range), dtype=np.float32)

    def settings(self):
        if self.input_range is None:
            return None
        scale, zero_point = self.input_range.tolist()
        return scale, int(zero_point)

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.weight.shape[1]:
            raise ValueError(f"{self}: an input of {x.shape} does not fit a weight of {self.weight.shape}")
        return quantized_linear(x, self.weight, self.scale, self.bias, input_range=self.settings())

    def extra_repr(self):
        return f"{self.weight.shape}"

# %% QuantizedLinear: a row of ones finds the sum of the codes
- sums = int8_matmul(quantize(x, input_scale, zero_point), codes.T)
- sums -= int(zero_point) * codes.sum(axis=1, dtype=np.int32)
+ ones = np.ones((1, codes.shape[1]), np.int8)
+ sums = int8_matmul(quantize(x, input_scale, zero_point), codes.T)
+ sums = sums - int(zero_point) * int8_matmul(ones, codes.T)[0]

# %% QuantizedLinear: buffers in a loop
- codes, scale = quantize_channels(weight, bits=bits)
- self.register_buffer("weight", Tensor(codes))
- self.register_buffer("scale", Tensor(scale))
- self.register_buffer("bias", None if bias is None else Tensor(np.asarray(bias, np.float32)))
- known = None if input_range is None else Tensor(np.array(input_range, np.float32))
- self.register_buffer("input_range", known)
+ codes, scale = quantize_channels(weight, bits=bits)
+ bias = bias.numpy() if isinstance(bias, Tensor) else bias
+ parts = {"weight": (codes, np.int8), "scale": (scale, np.float32), "bias": (bias, np.float32)}
+ parts["input_range"] = input_range, np.float32
+ for name, (part, dtype) in parts.items():
+     self.register_buffer(name, part if part is None else Tensor(np.array(part), dtype=dtype))

# %% quantize_model: ranges first, then layers
def quantize_model(model, samples=None, method="extremes", bits=8):
    twin = copy_for_quantization(model)
    if len(linear_layers(twin)) == 0:
        raise ValueError(f"nothing to quantize in this {type(model).__name__}")
    ranges = {}
    if samples is not None:
        for path, arrays in inputs_of(twin, samples).items():
            low, high = calibrate(arrays, method=method)
            ranges[path] = quantization_range(low, high, 8, False)
    for path, layer in linear_layers(twin).items():
        twin = replace_layer(twin, layer, quantized_layer(layer, ranges.get(path), bits=bits))
    return twin

# %% quantize_model: two ways
def quantize_model(model, samples=None, method="extremes", bits=8):
    result = copy_for_quantization(model)
    found = linear_layers(result)
    if not found:
        raise ValueError(f"{type(model).__name__}: no layer")
    if samples is None:
        for layer in found.values():
            result = replace_layer(result, layer, quantized_layer(layer, None, bits))
        return result
    seen = inputs_of(result, samples)
    for path in found:
        at = quantization_range(*calibrate(seen[path], method), bits=8, symmetric=False)
        result = replace_layer(result, found[path], quantized_layer(found[path], at, bits))
    return result

# %% quantize_model: makes the layers itself
def quantize_model(model, samples=None, method="extremes", bits=8):
    name, model = type(model).__name__, copy_for_quantization(model)
    layers = list(linear_layers(model).items())
    if not layers:
        raise ValueError("no Linear or Conv2d in " + name)
    inputs = {} if samples is None else inputs_of(model, list(samples))
    for path, layer in layers:
        known = quantization_range(*calibrate(inputs[path], method), symmetric=False) if inputs else None
        if isinstance(layer, Conv2d):
            new = QuantizedConv2d(layer, known, bits)
        else:
            new = QuantizedLinear(layer.weight, layer.bias, known, bits)
        model = replace_layer(model, layer, new)
    return model

# %% fake_quantize: by its own arithmetic
- return dequantize(quantize(x, scale, zero_point, bits), scale, zero_point).astype(x.dtype)
+ top = largest_code(bits)
+ return ((np.clip(np.rint(x / scale) + zero_point, -top, top) - zero_point) * scale).astype(x.dtype)

# %% fake_quantize: a mask by where
- codes = np.rint(x / scale) + zero_point
- return grad * (np.abs(codes) <= largest_code(bits))
+ top, codes = largest_code(bits), np.rint(x / scale) + zero_point
+ return np.where((codes >= -top) & (codes <= top), grad, 0).astype(grad.dtype)

# %% fake_quantize: zeroes a copy
- codes = np.rint(x / scale) + zero_point
- return grad * (np.abs(codes) <= largest_code(bits))
+ back = grad.copy()
+ back[np.abs(np.rint(x / scale) + zero_point) > largest_code(bits)] = 0
+ return back

# %% pack_groups: pairs in two columns
- return (codes[::2] | codes[1::2] << 4).astype(np.uint8), scales
+ low, high = codes.astype(np.uint8).reshape(-1, 2).T
+ return low + 16 * high, scales

# %% pack_groups: divmod on the way back
- codes = np.stack([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
+ upper, lower = np.divmod(packed, 16)
+ codes = np.column_stack([lower, upper]).astype(np.float32) - 8

# %% pack_groups: repeats the scales
- rows = codes.reshape(len(scales), -1) * scales.astype(np.float32)[:, None]
- return rows.ravel()[: math.prod(shape)].reshape(shape)
+ flat = codes.ravel() * np.repeat(scales.astype(np.float32), 2 * len(packed) // max(len(scales), 1))
+ return flat[: math.prod(shape)].reshape(shape)
