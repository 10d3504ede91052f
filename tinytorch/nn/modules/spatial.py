"""Convolution and pooling of module 09 with PyTorch's settings: padding="same", dilation, groups, another divisor."""

from tinytorch.core import spatial
from tinytorch.nn import functional


class Conv2d(spatial.Conv2d):
    """Convolution of images (N, C, H, W) or (C, H, W), with weight (out, in / groups, kh, kw) and bias (out,).

    kernel_size, stride, padding, dilation: integers or pairs (height, width); padding also "same" or "valid". groups:
    blocks of channels that do not see each other. Weights start as those of module 09. `kernels` says whose code runs.
    Raises ValueError naming the layer and both shapes for an input that does not fit.
    """

    dilation, groups = (1, 1), 1  # until __init__ has checked the rest

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        dilation, is_word = spatial.pair(dilation), isinstance(padding, str)
        functional.check_dilation_and_groups("Conv2d", dilation, groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"Conv2d: {in_channels} and {out_channels} channels are no multiples of groups={groups}")
        super().__init__(in_channels // groups, out_channels, kernel_size, stride, 0 if is_word else padding, bias)
        self.in_channels, self.dilation, self.groups = in_channels, dilation, groups
        if is_word:
            functional.padding_and_crop(padding, self.kernel_size, self.stride, dilation)
            self.padding = padding

    def forward(self, input):
        if self.dilation == (1, 1) and self.groups == 1 and not isinstance(self.padding, str):
            return super().forward(input)
        try:
            return functional.conv2d(
                input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups,
                kernels=self.kernels,
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(f"{self}: {error}") from None

    def extra_repr(self):
        bias = "" if self.has_bias else ", bias=False"
        text = super().extra_repr().removesuffix(bias)
        text += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        return text + (f", groups={self.groups}" if self.groups != 1 else "") + bias


class MaxPool2d(spatial.MaxPool2d):
    __doc__ = spatial.MaxPool2d.__doc__

    def forward(self, input):
        return super().forward(input)


class AvgPool2d(spatial.AvgPool2d):
    """The mean of each window, padded zeros included. divisor_override: what its sum is divided by instead."""

    def __init__(self, kernel_size, stride=None, padding=0, *, divisor_override=None):
        super().__init__(kernel_size, stride, padding)
        self.divisor_override = divisor_override

    def forward(self, input):
        out = super().forward(input)
        if self.divisor_override is None:
            return out
        return out * functional.window_factor(self.kernel_size, self.divisor_override)


class Flatten(spatial.Flatten):
    __doc__ = spatial.Flatten.__doc__

    def forward(self, input):
        return super().forward(input)
