"""Chapter 12: attention and the Transformer. Everything that the notebook builds, in the order in which it builds it.

===============  =====================================================================================
``dot_product``  soft lookup, scaled dot-product attention, masks, positions
``blocks``       layer normalisation, several heads, the Transformer block
``transformer``  encoder and decoder
``decoding``     greedy decoding and beam search
``recurrent``    sequence to sequence with GRUs, through one vector or with additive attention
``training``     teacher forcing, exact match, translators of dates
``captions``     attention over the regions of an image
===============  =====================================================================================
"""

from course_lib.attention.blocks import MultiHeadAttention, TransformerBlock, layer_norm
from course_lib.attention.decoding import beam_search, greedy_decode
from course_lib.attention.dot_product import (
    causal_mask,
    padding_mask,
    positional_encoding,
    scaled_dot_product_attention,
    soft_lookup,
)
from course_lib.attention.recurrent import AdditiveAttention, RecurrentTranslator
from course_lib.attention.transformer import Transformer

__all__ = [
    "AdditiveAttention", "MultiHeadAttention", "RecurrentTranslator", "Transformer", "TransformerBlock", "beam_search",
    "causal_mask", "greedy_decode", "layer_norm", "padding_mask", "positional_encoding",
    "scaled_dot_product_attention", "soft_lookup",
]  # fmt: skip
