"""Bidirectional cross-attention between image and text tokens, with the short side projected."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.models.utils.vlfuse_helper import MAX_CLAMP_VALUE, BiMultiHeadAttention, SingleScaleBiAttentionBlock
from torch import Tensor


class ShortSideBiAttention(BiMultiHeadAttention):
    """MMDetection's ``BiMultiHeadAttention`` with its matrix products re-associated.

    The original projects every image token into the ``embed_dim``-wide space and back (three products
    of P x v_dim x embed_dim). As a text is short, the same result is reached by taking the *text*
    through both matrices: with V (P, v_dim) image and L (S, l_dim) text tokens, per head

    * scores ``(V Wv + bv) K^T = V (Wv K^T) + bv K^T`` with ``K = L Wl + bl``
    * image update ``A (L Wx + bx) Wo = A [(L Wx + bx) Wo]``
    * text update ``A' (V Wy + by) = (A' V) Wy + rowsum(A') by``

    Parameters, their names and the result are MMDetection's; only the cost differs. Each of the three costs
    ``P * v_dim * num_heads * S`` here and ``P * embed_dim * (v_dim + S)`` as the original has it, which is
    what a text long enough for that takes.
    """

    def projects_text(self, tokens: int) -> bool:
        """Whether texts of so many tokens are better taken through the matrices than the image."""
        if torch.compiler.is_exporting():  # a graph for texts of any length has one form; both are right
            return True
        return self.v_dim * self.num_heads * tokens <= self.embed_dim * (self.v_dim + tokens)

    def forward(
        self,
        vision: Tensor,
        lang: Tensor,
        text_padding: Tensor | None = None,
        update_image: bool = True,
        update_text: bool = True,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Attend in both directions, or one, over one score matrix.

        Args:
            vision: (N, P, v_dim) image tokens, with their positions where these are to be read.
            lang: (N, S, l_dim) text tokens.
            text_padding: (N, S) bool, True = padding; None = all tokens are real.
            update_image, update_text: directions to compute.

        Returns:
            updates of the image (N, P, v_dim) and of the text (N, S, l_dim) tokens, None for what is not updated.
            Updates of padding tokens are finite and meaningless.
        """
        scores = self._scores(vision, lang)
        delta_lang = self._text_update(scores, vision) if update_text else None
        return self._image_update(scores, lang, text_padding) if update_image else None, delta_lang

    def _scores(self, vision: Tensor, lang: Tensor) -> Tensor:
        """(N, P, heads, S)."""
        n, s, _ = lang.shape
        heads, dim = self.num_heads, self.head_dim
        key = self.l_proj(lang).view(n, s, heads, dim)
        if self.projects_text(s):
            query_weight = self.v_proj.weight.view(heads, dim, self.v_dim)
            # (N, heads, S, v_dim): what an image token is multiplied with to get its score.
            probe = torch.einsum('nshd,hdv->nhsv', key, query_weight) * self.scale
            offset = torch.einsum('nshd,hd->nhs', key, self.v_proj.bias.view(heads, dim)) * self.scale
            scores = torch.matmul(vision, probe.flatten(1, 2).transpose(1, 2))  # (N, P, heads * S)
            scores = scores.unflatten(-1, (heads, s)) + offset[:, None]
        else:
            query = self.v_proj(vision).unflatten(-1, (heads, dim)) * self.scale
            scores = torch.einsum('nphd,nshd->nphs', query, key)
        # fp16 overflows to inf here, and inf - inf in the softmax is NaN.
        return scores.clamp(-MAX_CLAMP_VALUE, MAX_CLAMP_VALUE)

    def _image_update(self, scores: Tensor, lang: Tensor, text_padding: Tensor | None) -> Tensor:
        n, s, _ = lang.shape
        heads, dim = self.num_heads, self.head_dim
        if text_padding is not None:
            scores = scores.masked_fill(text_padding[:, None, None], float('-inf'))
        to_image = scores.float().softmax(dim=-1).to(scores.dtype)  # each image token over the real text tokens
        to_image = F.dropout(to_image, self.dropout, self.training)
        value = self.values_l_proj(lang).view(n, s, heads, dim)
        if not self.projects_text(s):
            return self.out_v_proj(torch.einsum('nphs,nshd->nphd', to_image, value).flatten(2))
        out_weight = self.out_v_proj.weight.view(self.v_dim, heads, dim)
        message = torch.einsum('nshd,vhd->nhsv', value, out_weight).flatten(1, 2)  # (N, heads * S, v_dim)
        return torch.matmul(to_image.flatten(2), message) + self.out_v_proj.bias

    def _text_update(self, scores: Tensor, vision: Tensor) -> Tensor:
        n, _, heads, s = scores.shape
        to_text = scores.float().softmax(dim=1).to(scores.dtype)  # each text token over all image tokens
        to_text = F.dropout(to_text, self.dropout, self.training)
        if self.projects_text(s):
            gathered = torch.matmul(to_text.flatten(2).transpose(1, 2), vision)  # (N, heads * S, v_dim)
            value_weight = self.values_v_proj.weight.view(heads, self.head_dim, self.v_dim)
            value = torch.einsum('nhsv,hdv->nshd', gathered.view(n, heads, s, -1), value_weight)
            # The weights sum to one, except under dropout.
            total = to_text.sum(1).transpose(1, 2)[..., None]
            value = value + total * self.values_v_proj.bias.view(heads, self.head_dim)
        else:
            value_vision = self.values_v_proj(vision).unflatten(-1, (heads, self.head_dim))
            value = torch.einsum('nphs,nphd->nshd', to_text, value_vision)
        return self.out_l_proj(value.flatten(2))


class FusionBlock(SingleScaleBiAttentionBlock):
    """Pre-norm residual block around :class:`ShortSideBiAttention`, parameter names as in MMDetection.

    Args:
        v_dim, l_dim: widths of image and text tokens.
        embed_dim: width of the space in which they are compared.
        num_heads: attention heads.
        dropout: on attention weights.
        drop_path: stochastic depth.
        init_values: initial layer scale. Grounding DINO's 1e-4 gives the text almost no influence at
            step 0; models trained from scratch start at 1.
        update_image: image tokens are updated from the text (ablation: False).
        update_text: text tokens are updated from the image (ablation: False). Parameters of a direction that is
            off keep their names and take no gradient.
        with_positions: the text compares and gathers image tokens together with their positional embedding, so that
            "on the left" finds a side of the image. Grounding DINO, and so the default, gives positions to the
            deformable attention only, whose values do not carry them.
    """

    def __init__(
        self,
        v_dim: int,
        l_dim: int,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.1,
        drop_path: float = 0.0,
        init_values: float = 1e-4,
        update_image: bool = True,
        update_text: bool = True,
        with_positions: bool = False,
    ) -> None:
        super().__init__(v_dim, l_dim, embed_dim, num_heads, dropout, drop_path, init_values)
        self.with_positions = with_positions
        self.attn = ShortSideBiAttention(v_dim, l_dim, embed_dim, num_heads, dropout)
        self.update_image, self.update_text = update_image, update_text
        unused = [] if update_image or update_text else [self.attn.v_proj, self.attn.l_proj]
        unused += [] if update_image else [self.attn.values_l_proj, self.attn.out_v_proj, self.gamma_v]
        unused += [] if update_text else [self.attn.values_v_proj, self.attn.out_l_proj, self.gamma_l]
        for part in unused:
            part.requires_grad_(False)

    def forward(
        self, vision: Tensor, lang: Tensor, text_padding: Tensor | None = None, vision_pos: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Shapes as :meth:`ShortSideBiAttention.forward`; ``vision_pos`` (1 or N, P, v_dim) is for ``with_positions``.

        Returns:
            the updated tokens.
        """
        vision, lang = self.layer_norm_v(vision), self.layer_norm_l(lang)
        if not (self.update_image or self.update_text):
            return vision, lang
        placed = vision
        if self.with_positions:
            if vision_pos is None:
                raise ValueError('with_positions=True and no vision_pos; give the positional embedding of the tokens')
            placed = vision + vision_pos
        delta_vision, delta_lang = self.attn(placed, lang, text_padding, self.update_image, self.update_text)
        if delta_vision is not None:
            vision = vision + self.drop_path(self.gamma_v * delta_vision)
        if delta_lang is not None:
            lang = lang + self.drop_path(self.gamma_l * delta_lang)
        return vision, lang
