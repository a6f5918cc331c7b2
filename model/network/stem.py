"""What text passes before the layers: a bidirectional LSTM over its words."""

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from model.config import StemConfig


class TextStem(nn.Module):
    """Gives each word's feature its context.

    Padding is never read: a sentence's vectors do not depend on the batch beside it.

    Source: ``Text_ar_lstm`` of the published code, which reads zero padding as words; a mask
    that is all true repeats that.
    """

    def __init__(self, in_dim: int, config: StemConfig) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            in_dim, config.dim // 2, config.layers, bidirectional=True, batch_first=True
        )

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """Return ``[B, T, dim]`` for ``words`` ``[B, T, F]``; zero where ``mask`` is false."""
        lengths = mask.sum(1).clamp(min=1).cpu()
        packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        context, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=words.shape[1]
        )
        return context
