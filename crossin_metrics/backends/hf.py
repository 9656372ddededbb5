"""`crossin-hf`: the harness's Hugging Face model, scoring options with one pass over the tokens that differ.

The stock model takes a log-softmax over the vocabulary at every position and prefills a passage once for every
question and every option. Here the prompts are packed so that each shared token is computed once (see `prefix`), and
logits are taken only where an option's token is predicted. Everything else is the stock model's: loading, tokens,
adapters, quantisation, generation, perplexity, processes started by `accelerate`.

Packing needs a decoder that mixes tokens through attention alone and honours a given mask and given positions. A
probe on a few tokens tells whether the loaded model does; if not, the stock model scores everything. It also scores
requests that cannot be packed (beyond the model's limit, empty context or continuation).
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils_hf import clear_torch_cache
from transformers import DynamicCache

from crossin_metrics.backends.attention import by_blocks, make_blocks
from crossin_metrics.backends.checks import check_adapter_folder, check_model_folder, one_line_errors
from crossin_metrics.backends.prefix import MIN_SHARED, Group, Pack, make_groups, pack_from, shared
from crossin_metrics.backends.stream import Streamed
from crossin_metrics.errors import waiting

logger = logging.getLogger(__name__)

Request = tuple[Any, list[int], list[int]]  # (cache key or None, context ids, continuation ids)

# New tokens in a pack. Attention inside a pack grows with its square, so a CPU, which is busy with a few hundred
# tokens, takes small ones (measured on Gemma-3-270M: tests/benchmarks/bench_backends.py --packs).
PACK_TOKENS = {"cpu": 1024}
PACK_TOKENS_OTHER = 4096
BLOCK = 64  # queries per piece of attention
PACK_ROWS = 256  # rows of logits a pack may need; 256 rows of a 262,144-word vocabulary are 268 MB in float32


class CrossinHF(Streamed, HFLM):
    """`lm_eval --model crossin-hf`: takes the arguments of `--model hf`, and

    pack_tokens: most new tokens in one forward pass (default: 1024 on a CPU, 4096 elsewhere; halved when memory runs
    out). `batch_size` applies to requests left to the stock model.

    An adapter (`peft=...`) computes in the model's dtype, as it did in mixed-precision training and does in vLLM; PEFT
    would load it in float32, which a CPU multiplies several times more slowly.

    Log-probabilities are computed in float32, from logits of the options in float32 (last hidden state x rows of the
    output head), unless `softmax_dtype` says otherwise; the stock model uses the model's own dtype, which for bfloat16
    cannot tell close options apart.

    Raises:
        CrossinError: model or adapter folder not found, or not loadable.
    """

    def __init__(self, pretrained: Any, *args: Any, pack_tokens: int | None = None, **kwargs: Any) -> None:
        if isinstance(pretrained, str):
            check_model_folder(pretrained, gguf=kwargs.get("gguf_file") is not None)
        if kwargs.get("peft"):
            check_adapter_folder(kwargs["peft"])
        loading = waiting("crossin: loading the model") if isinstance(pretrained, str) else nullcontext()
        with loading, one_line_errors(f"cannot load the model {pretrained!s:.200}"):
            super().__init__(pretrained, *args, **kwargs)
        if kwargs.get("peft"):
            _adapter_in_model_dtype(self._model)
        self._pack_tokens = int(pack_tokens or PACK_TOKENS.get(self.device.type, PACK_TOKENS_OTHER))
        self._block = BLOCK if self.device.type == "cpu" else 8 * BLOCK  # elsewhere starting a kernel costs more
        self._mask_form: str | None = None
        self._why_stock: str | None = "not tried yet"
        self._probed = False
        self._tail: tuple[list[Group], Pack | None, DynamicCache | None] = ([], None, None)

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Log-probabilities of continuations, for (context, continuation) pairs."""
        requests = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
        return [value for value, _ in self.loglikelihood(requests)]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Score continuations: (sum of log-probabilities, all tokens are the argmax) per request."""
        try:
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        finally:
            self._tail = [], None, None

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """Score continuations: (sum of log-probabilities, all tokens are the argmax) per request; see `HFLM`."""
        # a perplexity task reads the logits of every position: nothing to save
        if override_bs is not None or not requests or not self._packs_work():
            return super()._loglikelihood_tokens(requests, disable_tqdm=disable_tqdm, override_bs=override_bs)
        limit = self.max_length + 1  # the last token is predicted, never an input
        packed = [n for n, (_, c, o) in enumerate(requests) if c and o and len(c) + len(o) <= limit]
        answers: list[tuple[float, bool] | None] = [None] * len(requests)
        self._score_packed(requests, packed, answers)
        rest = [n for n, answer in enumerate(answers) if answer is None]
        if rest:
            stock = super()._loglikelihood_tokens([requests[n] for n in rest], disable_tqdm=disable_tqdm)
            for n, answer in zip(rest, stock, strict=True):
                answers[n] = answer
        return answers  # type: ignore[return-value]

    def _batch_scheduler(self, pos: int, n_reordered_requests: Any) -> int:
        """The stock model's, which divides by zero if it gets fewer requests than `auto:N` assumes (lm-eval 0.4.13)."""
        schedule: Any = self.batch_schedule  # type: ignore[has-type]
        self.batch_schedule = min(schedule, len(n_reordered_requests))
        try:
            return super()._batch_scheduler(pos, n_reordered_requests)
        finally:
            self.batch_schedule = schedule

    def _score_packed(
        self, requests: list[Request], numbers: list[int], answers: list[tuple[float, bool] | None]
    ) -> None:
        """Fill `answers[n]` for n in `numbers`, and keep the answers of each pack as it comes."""
        # what the last pack of the chunk before leaves: its last group, and keys and values to go on from
        tail, before, keys = self._tail if self._bar is not None else ([], None, None)
        groups = [*tail, *make_groups(requests, numbers, max_tokens=self._pack_tokens)]
        done = len(tail)
        past: DynamicCache | None = None
        while done < len(groups):
            pack = pack_from(groups, done, self._pack_tokens, PACK_ROWS, before if keys is not None else None)
            following = done + pack.groups
            last = following == len(groups)
            keep = self._bar is not None if last else _carries(groups[following - 1], groups[following])
            try:
                past = None if keys is None or not len(pack.past) else _select(keys, pack.past)
                with _head_inputs(self.model) as hidden:
                    logits, keys = self._forward(pack, past, keep)
                finished = self._read(pack, logits, hidden[-1][0] if hidden else None)
            except (torch.OutOfMemoryError, MemoryError):
                if self._pack_tokens <= 64:
                    raise
                self._pack_tokens = max(self._pack_tokens // 2, 64)
                logger.warning("out of memory: pack_tokens reduced to %d", self._pack_tokens)
                before, keys, past = None, None, None
                clear_torch_cache()
                continue
            for number, answer in finished.items():
                answers[number] = answer
            self._keep([(requests[number][0], answer) for number, answer in finished.items()])
            done, before = following, pack
        self._tail = groups[-1:], before, keys

    def _read(
        self, pack: Pack, logits: torch.Tensor, hidden: torch.Tensor | None = None
    ) -> dict[int, tuple[float, bool]]:
        """Answers of the requests a pack finishes, from its logits [K, vocabulary].

        With the last hidden states [K, width] the logits of the options are computed in float32. In bfloat16 a logit
        has 8 significant bits, and a tenth of a small model's questions ties exactly.
        """
        index = torch.tensor([[row, token] for _, row, token in pack.targets], device=logits.device)
        chosen, greedy = log_softmax_at(logits, index[:, 0], index[:, 1], self.softmax_dtype or torch.float32)
        if hidden is not None and logits.dtype in (torch.bfloat16, torch.float16) and self.softmax_dtype is None:
            rounded = logits[index[:, 0], index[:, 1]].float()
            chosen = chosen + self._exact_logits(hidden[index[:, 0]], index[:, 1], rounded) - rounded
        values = chosen.tolist()
        answers: dict[int, tuple[float, bool]] = {}
        for (number, _, _), value, likeliest in zip(pack.targets, values, greedy, strict=True):
            total, is_greedy = answers.get(number, (0.0, True))
            answers[number] = (total + value, is_greedy and likeliest)
        return answers

    def _exact_logits(self, hidden: torch.Tensor, tokens: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
        """Logits [T] of tokens after hidden states [T, width], in float32.

        Those given where a head does more than multiply by its rows and cap: then the two differ by more than rounding.
        """
        head = self.model.get_output_embeddings()
        weight = getattr(head, "weight", None)
        if weight is None or not weight.is_floating_point():
            return rounded
        with torch.no_grad(), torch.autocast(device_type=self.device.type, enabled=False):
            exact = (hidden.float() * weight[tokens].float()).sum(dim=-1)
            if getattr(head, "bias", None) is not None:
                exact = exact + head.bias[tokens].float()
            cap = getattr(self._decoder_config(), "final_logit_softcapping", None)
            if cap:
                exact = cap * torch.tanh(exact / cap)
        usable = (exact - rounded).abs() <= 0.02 * rounded.abs().clamp(min=1.0)
        return exact if bool(usable.all()) else rounded

    def _forward(self, pack: Pack, past: DynamicCache | None, keep: bool) -> tuple[torch.Tensor, DynamicCache | None]:
        """Run one pack. Returns the logits [K, vocabulary] and, if `keep`, the keys and values of all P + N tokens."""
        device = self.device
        # A cache without the config keeps every position; with it, sliding-window layers would drop old ones.
        cache = past if past is not None else (DynamicCache() if keep else None)
        config = self._decoder_config()
        mask = self._mask(pack)
        blocks = None
        if config._attn_implementation == "sdpa" and len(pack.tokens) > self._block:
            blocks = make_blocks(pack.visible, self._block, device)
        with (
            by_blocks(config, blocks),
            torch.no_grad(),
            torch.autocast(
                device_type=device.type,
                dtype=self.mixed_precision_dtype,
                enabled=self.mixed_precision_dtype is not None,
            ),
        ):
            out = self.model(
                input_ids=torch.from_numpy(pack.tokens)[None].to(device),
                position_ids=torch.from_numpy(pack.positions)[None].to(device),
                attention_mask=mask,
                use_cache=cache is not None,
                logits_to_keep=torch.from_numpy(pack.rows).to(device),
                **{self._cache_name: cache},
            )
        return out.logits[0], (cache if keep else None)

    def _mask(self, pack: Pack) -> Any:
        """The pack's mask in the form the model takes: one tensor [1, 1, N, P + N], or one per kind of layer."""
        config = self._decoder_config()
        window: Any = getattr(config, "sliding_window", None)

        def tensor(visible: Any) -> torch.Tensor:
            mask = torch.from_numpy(visible)[None, None].to(self.device)
            if config._attn_implementation == "sdpa":
                return mask
            dtype = self.mixed_precision_dtype or self.model.dtype
            return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)

        if self._mask_form == "by layer":
            return {"full_attention": tensor(pack.visible), "sliding_attention": tensor(pack.within(window))}
        return tensor(pack.within(window) if self._mask_form == "sliding" else pack.visible)

    def _decoder_config(self) -> Any:
        return self.model.config.get_text_config(decoder=True)

    def _packs_work(self) -> bool:
        """Whether the loaded model can be run on packs; checked once and logged if not."""
        if not self._probed:
            self._probed = True
            self._why_stock = self._objection() or self._probe()
            if self._why_stock:
                logger.warning("crossin-hf: using the stock scoring because %s", self._why_stock)
        return self._why_stock is None

    def _objection(self) -> str | None:
        """Why class or configuration rule out packs, or None."""
        if self.backend != "causal":
            return "the model is an encoder-decoder"
        if not self.logits_cache:
            return "logits_cache is off"
        model = self.model
        if hasattr(model, "get_base_model"):
            if model.active_peft_config.is_prompt_learning:
                return "the adapter adds virtual tokens"
            model = model.get_base_model()
        accepted = inspect.signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in accepted else "past_key_values"  # renamed by transformers 5.24
        missing = {"position_ids", "attention_mask", "logits_to_keep", self._cache_name} - set(accepted)
        if missing:
            return f"{type(model).__name__} does not accept {', '.join(sorted(missing))}"
        config = self._decoder_config()
        if config._attn_implementation not in ("sdpa", "eager"):
            return f"{config._attn_implementation} attention accepts no custom mask (use attn_implementation=sdpa)"
        kinds = set(getattr(config, "layer_types", None) or [])
        if not kinds <= {"full_attention", "sliding_attention"}:
            return f"it has layers of type {', '.join(sorted(kinds - {'full_attention', 'sliding_attention'}))}"
        rope = getattr(config, "rope_parameters", None) or {}
        scalings = {rope.get("rope_type")} | {v.get("rope_type") for v in rope.values() if isinstance(v, dict)}
        if scalings & {"dynamic", "longrope"}:
            return "its rotary positions depend on the length of the longest prompt beside them"
        if kinds == {"sliding_attention"} or (not kinds and getattr(config, "sliding_window", None)):
            self._mask_form = "sliding"
        else:
            self._mask_form = "by layer" if "sliding_attention" in kinds else "full"
        return None

    def _probe(self) -> str | None:
        """Compare a tiny tree, spread over two packs, with the plain prompts; None if they agree."""
        words = [token % self._decoder_config().vocab_size for token in range(5, 45)]
        stem, left, right = words[:12], words[12:15], words[15:20]
        requests: list[Request] = [
            (None, stem + left, words[20:22]),
            (None, stem + left, [words[20], words[22]]),
            (None, stem + right, [words[23]]),
        ]
        plan = make_groups(requests, range(3), max_tokens=1000)
        try:
            packs = [pack_from(plan[:1], 0, 1, 1, None), pack_from(plan, 0, 1000, 1000, None)]
            _, keys = self._forward(packs[0], None, keep=True)
            packs.append(pack_from(plan, 1, 1000, 1000, packs[0], min_shared=1))
            assert keys is not None
            tree = list(self._read(packs[1], self._forward(packs[1], None, keep=False)[0]).items())
            rest, _ = self._forward(packs[2], _select(keys, packs[2].past), keep=False)
            tree += self._read(packs[2], rest).items()
            plain = {n: self._plain(context + option, len(option)) for n, (_, context, option) in enumerate(requests)}
            allowed = 1e-3 if self.model.dtype == torch.float32 else 0.05
            for number, (value, _) in tree:
                if abs(value - plain[number]) > allowed * max(1.0, abs(plain[number])):
                    return f"its log-probabilities differ on packs ({value:.4f} instead of {plain[number]:.4f})"
        except (RuntimeError, TypeError, ValueError, AttributeError, LookupError) as error:
            return f"it does not run on packs ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        return None

    def _plain(self, tokens: list[int], scored: int) -> float:
        """Sum of the log-probabilities of the last `scored` of `tokens`, from the model's ordinary forward pass."""
        logits = self._model_call(torch.tensor([tokens[:-1]], device=self.device))[0, -scored:]
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        return float(logprobs.gather(1, torch.tensor(tokens[-scored:], device=self.device)[:, None]).sum())


def log_softmax_at(
    logits: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor, dtype: torch.dtype
) -> tuple[torch.Tensor, list[bool]]:
    """Log-softmax of logits [K, vocabulary] at (rows, tokens), each [T]; and whether the token is the row's argmax.

    On a CPU a few rows at a time go through two buffers that stay in its cache: a quarter of the time that the whole
    log-softmax takes, which first writes a float32 copy of all logits to memory; the numbers are the same.
    """
    picked = logits[rows, tokens]
    if logits.device.type == "cpu":
        chosen = torch.empty(len(rows), dtype=dtype)
        by_row = torch.argsort(rows, stable=True)
        bounds = torch.searchsorted(rows[by_row], torch.arange(len(logits) + 1)).tolist()
        step = torch.get_num_threads()
        copied, scored = (torch.empty((step, logits.shape[1]), dtype=dtype) for _ in range(2))
        for start in range(0, len(logits), step):
            size = min(step, len(logits) - start)
            copied[:size].copy_(logits[start : start + size])
            torch.log_softmax(copied[:size], dim=-1, out=scored[:size])
            at = by_row[bounds[start] : bounds[start + size]]
            chosen[at] = scored[rows[at] - start, tokens[at]]
    else:
        chosen = torch.log_softmax(logits, dim=-1, dtype=dtype)[rows, tokens]
    highest = picked == logits.amax(dim=-1)[rows]
    first: dict[tuple[int, int], bool] = {}  # of equal logits only the first is the argmax, which is slower to find
    for row, token in zip(rows[highest].tolist(), tokens[highest].tolist(), strict=True):
        if (row, token) not in first:
            first[row, token] = not bool((logits[row, :token] == logits[row, token]).any())
    greedy = [first.get(pair, False) for pair in zip(rows.tolist(), tokens.tolist(), strict=True)]
    return chosen, greedy


@contextmanager
def _head_inputs(model: Any) -> Iterator[list[torch.Tensor]]:
    """Meanwhile, collect what the output head of a model is given: hidden states [1, K, width]."""
    found: list[torch.Tensor] = []
    head = model.get_output_embeddings()
    if head is None:
        yield found
        return
    handle = head.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].detach()))
    try:
        yield found
    finally:
        handle.remove()


def _adapter_in_model_dtype(model: Any) -> None:
    dtype = model.get_base_model().dtype
    for name, parameter in model.named_parameters():
        if "lora_" in name and parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)


def _carries(left: Group, right: Group) -> bool:
    return shared(left.context, right.context) >= MIN_SHARED


def _select(cache: DynamicCache, slots: Any) -> DynamicCache:
    """The keys and values at `slots` of a cache, as a new cache."""
    layers = []
    layer: Any
    for layer in cache.layers:
        index = torch.as_tensor(slots, device=layer.keys.device)
        layers.append((layer.keys.index_select(2, index), layer.values.index_select(2, index)))
    return DynamicCache(layers)
