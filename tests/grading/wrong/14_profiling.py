# %% product_flops: nothing is ever computed
def product_flops(name, arrays, out, settings):
    return 0

# %% product_flops: additions are left out
def product_flops(name, arrays, out, settings):
    if name not in PRODUCTS:
        raise ValueError(f"product_flops: {name}")
    first, second = arrays[:2]
    if name == "attention":
        return second.shape[-2] * (first.size + out.size)
    if name == "convolve":
        return out.size * math.prod(second.shape[1:])
    return out.size * first.shape[-1]

# %% product_flops: any other operation costs nothing
- raise ValueError(f"product_flops: {name} is none of {', '.join(PRODUCTS)}")
+ return 0

# %% product_flops: matrices only, batches forgotten
- return 2 * out.size * first.shape[-1]
+ return 2 * math.prod(first.shape[-2:]) * math.prod(out.shape[-1:])

# %% product_flops: the length of the sum from the weight's first axis
- return 2 * out.size * first.shape[-1]
+ return 2 * out.size * second.shape[0]

# %% product_flops: counts the bias
- return 2 * out.size * first.shape[-1]
+ bias = out.size if name == "linear" and len(arrays) > 2 and arrays[2] is not None else 0
+ return 2 * out.size * first.shape[-1] + bias

# %% flops_of: nothing is ever computed
def flops_of(name, arrays, out, settings, backward=False):
    return 0

# %% flops_of: what nobody has counted is free
- raise ValueError(f"flops_of: nobody has counted {name}; add it to COSTS")
+ return 0

# %% flops_of: everything by its result
- entries = arrays[0].size if unit == "in" else out.size
+ entries = out.size

# %% flops_of: the way back costs what the way there does
- return entries * (back if backward else forward)
+ return entries * forward

# %% flops_of: a product has one on the way back
- return (product_gradient_flops if backward else product_flops)(name, arrays, out, settings)
+ return product_flops(name, arrays, out, settings)

# %% flops_of: windows are not looked into
- entries *= math.prod(settings["kernel_size"])
+ entries *= 1

# %% flops_of: windows are as many entries as the input has
- entries = arrays[0].size if unit == "in" else out.size
- if unit == "window":
-     entries *= math.prod(settings["kernel_size"])
+ entries = out.size if unit == "out" else arrays[0].size

# %% flops_of: every window is a square
- entries *= math.prod(settings["kernel_size"])
+ entries *= settings["kernel_size"][0] ** 2

# %% flops_of: on the way back everything by its result
- entries = arrays[0].size if unit == "in" else out.size
+ entries = arrays[0].size if unit == "in" and not backward else out.size

# %% bytes_of: nothing ever moves
def bytes_of(inputs, outputs):
    return 0

# %% bytes_of: x * x reads x twice
- read = list({id(x): x for x in inputs if isinstance(x, np.ndarray)}.values())
+ read = [x for x in inputs if isinstance(x, np.ndarray)]

# %% bytes_of: views are written
- written = [out for out in outputs if not any(np.may_share_memory(out, x) for x in read)]
+ written = outputs

# %% bytes_of: entries, not bytes
- return sum(x.nbytes for x in read + written)
+ return sum(x.size for x in read + written)

# %% bytes_of: a view is read
- if outputs and not written:
-     return 0
+ pass

# %% bytes_of: a view is what has an input as its base
- written = [out for out in outputs if not any(np.may_share_memory(out, x) for x in read)]
+ written = [out for out in outputs if not any(out is x or out.base is x for x in read)]

# %% bytes_of: a view beside its array is not read
- read = list({id(x): x for x in inputs if isinstance(x, np.ndarray)}.values())
+ read = []
+ for x in inputs:
+     if isinstance(x, np.ndarray) and not any(np.may_share_memory(x, other) for other in read):
+         read.append(x)

# %% bytes_of: a new output is written as often as it is listed
- outputs = list({id(x): x for x in outputs if isinstance(x, np.ndarray)}.values())
+ outputs = [x for x in outputs if isinstance(x, np.ndarray)]

# %% held_bytes: nothing is held
def held_bytes(tensor):
    return 0

# %% held_bytes: only the Tensor's own array
def held_bytes(tensor):
    return tensor.data.nbytes

# %% held_bytes: arrays count as often as they are met
- owners[id(array)] = array
+ owners[len(owners)] = array

# %% held_bytes: settings are not looked at
- held += [*node.arrays, *node.settings.values()]
+ held += node.arrays

# %% held_bytes: only the last operation
- for node_or_leaf in topological_order(tensor):
+ for node_or_leaf in [tensor]:

# %% held_bytes: gradients count, too
- held, node = [node_or_leaf.data], node_or_leaf.node
+ held, node = [node_or_leaf.data, node_or_leaf.grad], node_or_leaf.node

# %% measure: runs nothing, and says one second
def measure(function, clock=time.perf_counter, warmup=1, repeats=7):
    return Timing(1.0, 1.0, 1.0, (1.0,) * repeats)

# %% measure: the mean
- return Timing(median, lower, upper, tuple(runs))
+ return Timing(sum(runs) / len(runs), lower, upper, tuple(runs))

# %% measure: the warm-up counts
- for _ in range(warmup):
-     function()
- runs = []
- for _ in range(repeats):
+ runs = []
+ for _ in range(warmup + repeats):

# %% measure: no warm-up
- for _ in range(warmup):
-     function()
- runs = []
+ runs = []

# %% measure: a clock of its own
- start = clock()
- function()
- runs.append(float(clock() - start))
+ start = time.perf_counter()
+ function()
+ runs.append(time.perf_counter() - start)

# %% measure: runs in order of length
- return Timing(median, lower, upper, tuple(runs))
+ return Timing(median, lower, upper, tuple(sorted(runs)))

# %% measure: extremes for quartiles
- lower, median, upper = np.quantile(runs, [0.25, 0.5, 0.75]).tolist()
+ lower, median, upper = np.quantile(runs, [0.0, 0.5, 1.0]).tolist()

# %% measure: one reading between two runs
- for _ in range(repeats):
-     start = clock()
-     function()
-     runs.append(float(clock() - start))
+ before = clock()
+ for _ in range(repeats):
+     function()
+     after = clock()
+     runs.append(float(after - before))
+     before = after

# %% growth: everything is quadratic
def growth(sizes, seconds):
    return 2.0

# %% growth: nothing grows
def growth(sizes, seconds):
    return 0.0

# %% growth: between the smallest and the largest
- u, v = np.log(np.asarray(sizes, float)), np.log(np.asarray(seconds, float))
- u -= u.mean()
- return float(u @ v / (u @ u))
+ u, v = np.log(np.asarray(sizes, float)), np.log(np.asarray(seconds, float))
+ low, high = u.argmin(), u.argmax()
+ return float((v[high] - v[low]) / (u[high] - u[low]))

# %% growth: a line through the points themselves
- u, v = np.log(np.asarray(sizes, float)), np.log(np.asarray(seconds, float))
- u -= u.mean()
+ u, v = np.asarray(sizes, float), np.asarray(seconds, float)
+ u -= u.mean()

# %% growth: through the origin
- u -= u.mean()
+ u -= 0.0

# %% growth: sizes over seconds
- return float(u @ v / (u @ u))
+ v -= v.mean()
+ return float(u @ v / (v @ v))

# %% growth: takes the logarithm of 0
- if not value > 0:
+ if value < 0:

# %% growth: takes the logarithm of nan
- if not value > 0:
+ if value <= 0:

# %% growth: equal sizes are two
- if len(set(map(float, sizes))) < 2:
+ if len(sizes) < 2:
