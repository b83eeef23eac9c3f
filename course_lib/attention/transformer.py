"""The Transformer: an encoder that reads the source, a decoder that writes the target one symbol at a time."""

import math

from torch import nn

from course_lib.attention.blocks import TransformerBlock
from course_lib.attention.dot_product import causal_mask, padding_mask, positional_encoding


class Transformer(nn.Module):
    """Encoder and decoder of pre-norm blocks (Vaswani et al., 2017, with the normalisation first).

    Parameters
    ----------
    symbols : int
        ``V``: source and target share one alphabet.
    d, heads, hidden, layers : int
        Width, heads, width inside a block's small network, and blocks in the encoder as in the decoder.
    longest : int
        Positions that are encoded.
    pad : int
        The symbol that stands for nothing.
    Block : class
        What a block is made of; takes ``(d, heads, hidden, cross)``.
    """

    def __init__(self, symbols, d=96, heads=4, hidden=384, layers=2, longest=40, pad=0, Block=TransformerBlock):
        super().__init__()
        self.pad, self.d = pad, d
        self.embed = nn.Embedding(symbols, d)
        nn.init.normal_(self.embed.weight, std=d**-0.5)
        self.register_buffer("positions", positional_encoding(longest, d))
        self.encoder = nn.ModuleList(Block(d, heads, hidden) for _ in range(layers))
        self.decoder = nn.ModuleList(Block(d, heads, hidden, cross=True) for _ in range(layers))
        self.norm_source, self.norm_target = nn.LayerNorm(d), nn.LayerNorm(d)
        self.scores = nn.Linear(d, symbols)

    def place(self, tokens):
        """Symbols and their positions as vectors: (N, T) becomes (N, T, d)."""
        if tokens.shape[1] > len(self.positions):
            raise ValueError(f"a text of {tokens.shape[1]} symbols is too long; longest={len(self.positions)}")
        return math.sqrt(self.d) * self.embed(tokens) + self.positions[: tokens.shape[1]]

    def encode(self, source):
        """The source (N, S) as memory (N, S, d)."""
        x, mask = self.place(source), padding_mask(source, self.pad)
        for block in self.encoder:
            x = block(x, mask)
        return self.norm_source(x)

    def decode(self, target, memory, source):
        """Scores (N, T, V): those at position ``t`` are for the symbol after ``target[:, t]``."""
        x, mask = self.place(target), causal_mask(target.shape[1], target.device)
        for block in self.decoder:
            x = block(x, mask, memory, padding_mask(source, self.pad))
        return self.scores(self.norm_target(x))

    def forward(self, source, target):
        """Scores for every position at once: what training needs (teacher forcing)."""
        return self.decode(target, self.encode(source), source)
