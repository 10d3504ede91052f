"""What is done to gradients between `backward` and the step: `nn.utils.clip_grad_norm_(model.parameters(), 1.0)`."""

from tinytorch._lazy import facade

__getattr__, __dir__, __all__ = facade(__name__, {"optimizers": ("clip_grad_norm_",)})
