"""Every frame, object and source file, searched for the text of tests."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% first
import gc, inspect, linecache, sys
seen = set()
def look():
    for frame in sys._current_frames().values():
        while frame is not None:
            for name, value in [*frame.f_locals.items(), *frame.f_globals.items()]:
                if isinstance(value, str) and "assert" in value:
                    seen.add(value)
            try:
                seen.add(inspect.getsource(frame.f_code))
            except (OSError, TypeError):
                pass
            frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, (list, tuple)):
            seen.update(one for one in thing if isinstance(one, str) and "assert" in one)
        elif isinstance(thing, dict):
            seen.update(one for one in list(thing.values()) if isinstance(one, str) and "assert" in one)
    for entry in linecache.cache.values():
        seen.update(entry[2] if len(entry) > 2 else ())
look()

# %% after in_blocks
look()

# %% last
look()
print("\n".join(one[:200] for one in seen if "HIDDEN" in one or "default_rng" in one))

# %% after relu
look()
print("\n".join(one[:200] for one in seen if "HIDDEN" in one or "default_rng" in one))

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
