"""Models in few bits, of module 15: `from tinytorch.quantization import quantize_model`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "quantization": (
            "QuantizedConv2d", "QuantizedLinear", "calibrate", "decibels", "dequantize", "fake_quantize", "file_bytes",
            "int8_matmul", "pack_groups", "quantization_range", "quantize", "quantize_channels", "quantize_model",
            "unpack_groups",
        ),
    },
)  # fmt: skip
