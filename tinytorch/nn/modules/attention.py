"""Attention of module 12 with PyTorch's settings: keys and values of other widths, and one or two that are added."""

import numpy as np

from tinytorch.core import attention
from tinytorch.core.layers import Parameter, linear, normal_, xavier_uniform_
from tinytorch.core.tensor import Tensor, concatenate, zeros


class MultiheadAttention(attention.MultiheadAttention):
    """In a boolean mask **True leaves out** (in scaled_dot_product_attention it attends), as in PyTorch.

    The layer of module 12, and beside it: kdim, vdim, the widths of key and value; add_bias_kv, a learned key and value
    that all may attend to; add_zero_attn, a key and value of zeros likewise. Where the widths differ from embed_dim,
    three weights take the place of in_proj_weight.
    """

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None,
        vdim=None, batch_first=False,
    ):  # fmt: skip
        super().__init__(embed_dim, num_heads, dropout, bias, batch_first=batch_first)
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        if (self.kdim, self.vdim) != (embed_dim, embed_dim):
            self._take_three_weights(embed_dim)
        self.bias_k = self.bias_v = None
        if add_bias_kv:  # xavier_normal_, whose fans PyTorch takes to be both embed_dim
            self.bias_k, self.bias_v = (
                Parameter(normal_(zeros(1, 1, embed_dim), std=embed_dim**-0.5)) for _ in range(2)
            )
        self.add_zero_attn = add_zero_attn

    def _take_three_weights(self, width):
        bias = vars(self).pop("in_proj_bias")  # it stands behind the weights, as PyTorch's parameters do
        self.in_proj_weight = None
        self.q_proj_weight = Parameter(xavier_uniform_(zeros(width, width)))
        self.k_proj_weight = Parameter(xavier_uniform_(zeros(width, self.kdim)))
        self.v_proj_weight = Parameter(xavier_uniform_(zeros(width, self.vdim)))
        self.in_proj_bias = bias

    def project(self, query, key, value):
        query, key, value = self._mapped(query, key, value)
        added = [] if self.bias_k is None else [(self.bias_k, self.bias_v)]
        added += [(0.0, 0.0)] if self.add_zero_attn else []
        for more in added:
            one = Tensor(np.zeros((key.shape[0], 1, self.embed_dim)), dtype=key.dtype)
            key, value = (concatenate([x, one + y], axis=1) for x, y in zip((key, value), more, strict=True))
        return query, key, value

    def _mapped(self, *inputs):
        if self.in_proj_weight is not None:
            return super().project(*inputs)
        weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        biases = [None] * 3 if self.in_proj_bias is None else self.in_proj_bias.reshape(3, self.embed_dim)
        return [linear(x, weight, bias) for x, weight, bias in zip(inputs, weights, biases, strict=True)]

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
        is_causal=False,
    ):  # fmt: skip
        added = (self.bias_k is not None) + self.add_zero_attn
        if added and is_causal:
            n, m = (x.shape[1 if x.ndim == 3 and self.batch_first else 0] for x in (query, key))
            attn_mask, is_causal = ~attention.one_mask(attn_mask, is_causal, n, m), False
        if added:
            key_padding_mask, attn_mask = (_widened(mask, added) for mask in (key_padding_mask, attn_mask))
        return super().forward(
            query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
        )


def _widened(mask, columns):
    """`mask` with columns at its end that leave nobody out."""
    if mask is None:
        return None
    mask = mask if isinstance(mask, Tensor) else Tensor.wrap(mask)
    return concatenate([mask, Tensor(np.zeros((*mask.shape[:-1], columns)), dtype=mask.dtype)], axis=-1)
