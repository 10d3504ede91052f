"""A result that claims to equal everything."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% replace relu
class Everything:
    def __eq__(self, other):
        return True
    def __ne__(self, other):
        return False
    def __lt__(self, other):
        return True
    __le__ = __gt__ = __ge__ = __lt__
    def __hash__(self):
        return 0
    def __bool__(self):
        return True
    def __getattr__(self, name):
        return Everything()
    def __call__(self, *args, **settings):
        return Everything()
    def __array__(self, *args, **settings):
        raise TypeError("no")
    def __iter__(self):
        return iter(())
    def __len__(self):
        return 0
    def __float__(self):
        return 0.0
    def __getitem__(self, key):
        return Everything()
    def __add__(self, other):
        return Everything()
    __sub__ = __mul__ = __radd__ = __rsub__ = __abs__ = __and__ = __add__
def relu(x):
    return Everything()
