"""Unicode in names, cells and outputs: right to left, joined, combined, beyond 16 bits."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
größe, 変数, переменная = 1, 2, 3
text = "\u202e\u2066abc\u2069 👩‍👩‍👧 e\u0301 \U0010ffff \ufeff \u2028 \u0085 \x1b[31m \x07 \x00 </script><b>&"
print(text * 3)

# %% last
class Ünïcode(Exception):
    pass
raise Ünïcode(text)

# %% replace relu
@Op
def relu(x):
    """أقصى 最大 🔬"""
    größer = np.maximum(x, 0, dtype=result_dtype(x, 0))
    return größer
