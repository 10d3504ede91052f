"""Every answer sleeps for ever: the time for the whole submission ends it."""

# /// attack
# module = "02"
# status = ["timeout"]
# earns = "nothing"
# cell_seconds = 2
# seconds = 6
# ///

# %% replace relu
def relu(*args, **settings):
    import time
    while True:
        time.sleep(1)

# %% replace sigmoid
def sigmoid(*args, **settings):
    import time
    while True:
        time.sleep(1)

# %% replace softmax_along
def softmax_along(*args, **settings):
    import time
    while True:
        time.sleep(1)

# %% replace in_blocks
def in_blocks(*args, **settings):
    import time
    while True:
        time.sleep(1)
