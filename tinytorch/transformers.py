"""The GPT of module 13, what makes it write, and the caches of 17: `from tinytorch.transformers import GPT`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(
    __name__,
    {
        "transformers": (
            "GPT", "TransformerBlock", "attention_maps", "from_nanogpt", "generate", "initialize", "next_token_loss",
            "overfit_batch", "sample", "train_language_model",
        ),
        "memoization": (
            "KVCache", "PrefixCache", "cache_for", "cached_attention", "forward_cached", "generate_cached",
        ),
    },
)  # fmt: skip
