"""Layers of module 03, whose input is called `input` as in PyTorch."""

from tinytorch.core import layers


class Linear(layers.Linear):
    __doc__ = layers.Linear.__doc__

    def forward(self, input):
        return super().forward(input)


class Dropout(layers.Dropout):
    __doc__ = layers.Dropout.__doc__

    def forward(self, input):
        return super().forward(input)


class Sequential(layers.Sequential):
    __doc__ = layers.Sequential.__doc__

    def forward(self, input):
        return super().forward(input)
