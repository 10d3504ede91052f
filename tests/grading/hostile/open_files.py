"""Every file descriptor that there is."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
files = []
@Op
def relu(x):
    while True:
        files.append(open("/dev/null"))
