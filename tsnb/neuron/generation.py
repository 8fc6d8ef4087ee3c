"""Generation where shapes are fixed: encoder and decoder traced apart. Taught in notebook 05.

AWS's MarianMT tutorial for Inf1 goes the same way (aws-neuron-sdk,
src/examples/pytorch/transformers-marianmt.ipynb): no cache that grows, inputs padded to one length,
and only the current step's hidden state in front of the output layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import ForcedEOSTokenLogitsProcessor, LogitsProcessorList, NoBadWordsLogitsProcessor

from tsnb.base.errors import InputError
from tsnb.tracing.inputs import checked_tensors, in_forward_order, positive_int
from tsnb.tracing.trace import trace

if TYPE_CHECKING:
    from transformers import GenerationConfig, MarianMTModel

    from tsnb.tracing.traced import Traced


class Encoder(nn.Module):
    """What runs once: the encoder of a model, with one tensor as its output."""

    def __init__(self, model: MarianMTModel) -> None:
        super().__init__()
        self.training = model.training  # which train() would pass on to the model
        self.config, self.encoder = model.config, model.get_encoder()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return one vector a token, `(batch, source length, hidden size)`."""
        (hidden, *_) = self.encoder(input_ids, attention_mask=attention_mask, return_dict=False)
        return hidden  # type: ignore[no-any-return]


class DecoderStep(nn.Module):
    """What runs once a token: decoder and output layer, for one step of a padded text.

    The decoder makes its causal mask itself, so that what stands after the current step, padding
    included, changes nothing.
    """

    def __init__(self, model: MarianMTModel) -> None:
        super().__init__()
        self.training = model.training
        self.config, self.decoder = model.config, model.get_decoder()
        self.output, self.bias = model.get_output_embeddings(), model.final_logits_bias

    def forward(
        self,
        decoder_input_ids: torch.Tensor,
        step_mask: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor,
    ) -> torch.Tensor:
        """Return the scores of the token after the current step, `(batch, vocabulary size)`.

        Parameters
        ----------
        decoder_input_ids
            The text so far, padded: int64 `(batch, max length)`.
        step_mask
            1 at the current step and 0 elsewhere, int64 `(batch, max length)`. A product and a sum
            pick its hidden state, because AWS found that efficient on Inf1.
        encoder_hidden_states
            What the encoder returned, `(batch, source length, hidden size)`.
        attention_mask
            The encoder's, int64 `(batch, source length)`.
        """
        encoded = {"encoder_hidden_states": encoder_hidden_states, "encoder_attention_mask": attention_mask}
        decoded, *_ = self.decoder(decoder_input_ids, **encoded, use_cache=False, return_dict=False)
        current = (decoded * step_mask.unsqueeze(-1)).sum(1)
        return self.output(current) + self.bias  # type: ignore[no-any-return]


@dataclass(frozen=True)
class TracedSeq2Seq:
    """A translation model as two traces of fixed shapes. Taught in notebook 05.

    Save the parts with `tsnb.save`; put loaded ones together with the same configuration.

    Attributes
    ----------
    encoder, decoder
        A `Traced` with its contract each: of `Encoder` and of `DecoderStep`.
    config
        Start, padding and end tokens, bad words, forced end: the model's `generation_config`.
    """

    encoder: Traced
    decoder: Traced
    config: GenerationConfig

    def generate(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Generate greedily: the encoder once, then the decoder once a token.

        Gives the tokens of `model.generate(…, num_beams=1, do_sample=False, max_length=…)`, where
        `max_length` is the decoder's. There are no beams and no sampling.

        Parameters
        ----------
        input_ids, attention_mask
            int64, of exactly the traced shape: pad with
            `tokenizer(texts, padding="max_length", max_length=…)`.

        Returns
        -------
        Tensor
            Token ids, int64 `(batch, tokens)`, the start token first. It ends where every row has
            ended, or at the decoder's length; rows that ended earlier are padded.

        Raises
        ------
        InputError
            No tensors, or another shape or dtype.
        """
        named = {"input_ids": input_ids, "attention_mask": attention_mask}
        expected = self.encoder.contract.batch_size, self.encoder.contract.length
        for name, tensor in checked_tensors(named).items():
            if tuple(tensor.shape) != expected:
                why = f"The input {name} has the shape {tuple(tensor.shape)}; the trace takes {expected}."
                todo = f'padding="max_length", max_length={expected[1]}, truncation=True'
                raise InputError(f"{why} Pad and cut to it: {todo}.")
        (hidden,) = self.encoder(**named).values()
        longest, config = self.decoder.contract.length or 1, self.config
        inputs = _first_step(config, hidden, attention_mask, longest)
        rules = LogitsProcessorList()  # what Marian's configurations ask for beyond the largest score
        if config.bad_words_ids:
            rules.append(NoBadWordsLogitsProcessor(config.bad_words_ids, config.eos_token_id))
        if config.forced_eos_token_id is not None:
            rules.append(ForcedEOSTokenLogitsProcessor(longest, config.forced_eos_token_id))
        ids = inputs["decoder_input_ids"]
        unfinished = torch.ones(len(ids), dtype=torch.bool)
        for end in range(1, longest):
            (scores,) = self.decoder(**inputs).values()
            best = rules(ids[:, :end], scores).argmax(-1)
            ids[unfinished, end] = best[unfinished]
            unfinished &= ~torch.isin(best, torch.tensor(config.eos_token_id))
            if not unfinished.any():
                return ids[:, : end + 1]
            inputs["step_mask"] = inputs["step_mask"].roll(1, dims=1)
        return ids


def trace_seq2seq(
    model: MarianMTModel,
    inputs: Mapping[str, torch.Tensor],
    max_length: int = 32,
    trace: Callable[[nn.Module, dict[str, torch.Tensor]], Traced] = trace,
) -> TracedSeq2Seq:
    """Trace a translation model's encoder and decoder apart, each for one shape.

    Parameters
    ----------
    model
        A `MarianMTModel` in eval mode.
    inputs
        `input_ids` and `attention_mask`, int64 `(batch, source length)`. Their shape is the only
        one that `generate` accepts.
    max_length
        Longest text to generate, in tokens, start and end included. Every step computes all of it,
        so keep it short.
    trace
        What traces a part. With the Neuron SDK for Inf2: `tsnb.neuron.convert`.

    Returns
    -------
    TracedSeq2Seq
        Its `generate` runs both parts.

    Raises
    ------
    InputError
        Another model, inputs that are missing, no tensors or not of one shape, or a length that is
        too short or over the position limit.
    TraceError
        As `tsnb.trace`.

    Examples
    --------
    >>> from transformers import MarianConfig, MarianMTModel
    >>> sizes = {"d_model": 8, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    >>> tokens = {"vocab_size": 20, "pad_token_id": 19, "decoder_start_token_id": 19}
    >>> model = MarianMTModel(MarianConfig(**sizes, **tokens)).eval()
    >>> ids = torch.tensor([[5, 6, 7, 0]])
    >>> inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    >>> traced = trace_seq2seq(model, inputs, max_length=6)
    >>> eager = model.generate(**inputs, num_beams=1, do_sample=False, max_length=6)
    >>> torch.equal(traced.generate(**inputs), eager)
    True

    Taught in notebook 05.
    """
    if getattr(getattr(model, "config", None), "model_type", "") != "marian":
        raise InputError(f"Expected a MarianMTModel; got {type(model).__name__}.")
    encoder, config, limit = Encoder(model), model.generation_config, model.config.max_position_embeddings
    ordered = in_forward_order(encoder, checked_tensors(inputs))
    ids, mask = ordered.values()
    if ids.ndim != 2 or mask.shape != ids.shape:  # noqa: PLR2004
        shapes = f"{tuple(ids.shape)} and {tuple(mask.shape)}"
        raise InputError(f"Expected input_ids and attention_mask of one shape, batch × length; got {shapes}.")
    longest = max(ids.shape[-1], positive_int("max_length", max_length))
    if longest > limit:
        raise InputError(f"{longest} tokens are over the position limit of the model, which is {limit}.")
    first = trace(encoder, ordered)
    with torch.no_grad():
        hidden = encoder(**ordered)
    step = _first_step(config, hidden, mask, max_length)
    return TracedSeq2Seq(first, trace(DecoderStep(model), step), config)


def _first_step(
    config: GenerationConfig, hidden: torch.Tensor, attention_mask: torch.Tensor, length: int
) -> dict[str, torch.Tensor]:
    """Make the decoder's inputs for the token after the start token."""
    ids = torch.full((len(hidden), length), config.pad_token_id)
    ids[:, 0] = config.decoder_start_token_id
    step_mask = torch.zeros_like(ids)
    step_mask[:, 0] = 1
    text = {"decoder_input_ids": ids, "step_mask": step_mask}
    return {**text, "encoder_hidden_states": hidden, "attention_mask": attention_mask}
