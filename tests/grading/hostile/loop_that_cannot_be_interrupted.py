"""An endless loop that catches every exception; a thread of it runs on."""

# /// attack
# module = "02"
# status = ["timeout"]
# loses = ["relu", "module"]
# cell_seconds = 1.5
# ///

# %% replace relu
import signal, threading
def forever():
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
@Op
def relu(x):
    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    threading.Thread(target=forever).start()
    forever()
