"""Models: one module per paper, and the dual encoders they share."""

from fbu.models.encoders import load_dual_encoder, parameter_counts, tokenizer_for
from fbu.models.queues import MultiQueue

__all__ = ["MultiQueue", "load_dual_encoder", "parameter_counts", "tokenizer_for"]
