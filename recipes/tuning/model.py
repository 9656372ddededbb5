"""Tokenizer, model and adapter of a tuning run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError, did_you_mean
from recipes.tuning.frames import prompt_ids, set_frame
from recipes.tuning.options import ModelOptions, RunOptions, TrainOptions

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json", "vocab.txt")

# Tokens for padding, or that no text contains, tried in this order if a tokenizer has no pad token. Nothing is added to
# the vocabulary: that would resize the embedding.
PAD_CANDIDATES = (
    "<pad>",
    "[PAD]",
    "<|pad|>",
    "<|finetune_right_pad_id|>",
    "<|fim_pad|>",
    "<|reserved_special_token_0|>",
    "<unk>",
)


def model_path(name: str) -> str:
    """The folder or hub id of a model; `demo:NAME` is a small real model, created on first use."""
    if name.startswith("demo:"):
        from crossin_metrics.demo_model import MODELS, demo_model

        short = name.removeprefix("demo:")
        if short not in MODELS:
            raise CrossinError(f"unknown model {name!r}: choose demo:{' or demo:'.join(sorted(MODELS))}")
        return str(demo_model(short))
    looks_local = name.startswith((".", "/", "~")) or name.count("/") > 1
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path.absolute())  # merging and evaluation may run in another folder
    if looks_local or path.exists():
        raise CrossinError(f"model folder {name} not found")
    return name


def load_config(path: str, options: ModelOptions, *, trust_remote_code: bool = False) -> PretrainedConfig:
    """The model's configuration; of a hub model, `options.model_revision` then is the commit it comes from.

    Raises:
        CrossinError: transformers cannot read it.
    """
    from transformers import AutoConfig

    trust = trust_remote_code
    try:
        if not Path(path).is_dir():  # a branch may move between this and the loading of the weights
            options.model_revision = commit_of(path, options.model_revision) or options.model_revision
        config = AutoConfig.from_pretrained(path, revision=options.model_revision, trust_remote_code=trust)
    except (OSError, ValueError, KeyError) as error:
        raise CrossinError(f"cannot read model {path}: {_first_line(error)}") from error
    if not Path(path).is_dir():
        config._commit_hash = options.model_revision
    return config


def commit_of(path: str, revision: str | None) -> str | None:
    """The commit of a hub model's revision, from the hub or its cache; None where neither has it."""
    from transformers.utils.hub import cached_file, extract_commit_hash

    try:
        return extract_commit_hash(cached_file(path, "config.json", revision=revision or "main"), None)
    except (OSError, ValueError):
        return None


def load_tokenizer(
    path: str, frame_name: str | None, *, revision: str = "main", trust_remote_code: bool = False
) -> Any:
    """The model's tokenizer, with a pad token that is not EOS and a chat template that renders the run's frame.

    `frame_name` None leaves the chat template as it is.

    Raises:
        CrossinError: the folder has no tokenizer; it has no EOS token; `set_frame` refuses.
    """
    from transformers import AutoTokenizer

    # Checked first: without these files transformers may build an empty tokenizer from config.json.
    if Path(path).is_dir() and not any((Path(path) / name).is_file() for name in TOKENIZER_FILES):
        raise CrossinError(
            f"model folder {path} has no tokenizer ({', '.join(TOKENIZER_FILES[:3])}): copy the base model's files"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise CrossinError(f"cannot load the tokenizer of {path}: {_first_line(error)}") from error
    if tokenizer.eos_token_id is None:
        raise CrossinError(f"tokenizer of {path} has no eos_token: set one in its tokenizer_config.json")
    if frame_name is not None:
        set_frame(tokenizer, frame_name)
    set_pad_token(tokenizer)
    tokenizer.padding_side = "right"
    return tokenizer


def set_pad_token(tokenizer: PreTrainedTokenizerBase, n_embeddings: int | None = None) -> None:
    """Choose a pad token other than EOS: with pad = EOS, many collators mask the real EOS and models never stop.

    It is EOS where the vocabulary has nothing else, as GPT-2's: masks of ours do not go by the pad token.

    Args:
        tokenizer: is changed.
        n_embeddings: rows of the model's embedding; a pad token beyond them is replaced.
    """
    limit = n_embeddings or 2**62
    if tokenizer.pad_token_id not in (None, tokenizer.eos_token_id) and tokenizer.pad_token_id < limit:
        return
    vocabulary = tokenizer.get_vocab()
    names = [name for name in PAD_CANDIDATES if name in vocabulary]
    names += [name for name in (tokenizer.unk_token, tokenizer.bos_token) if name is not None]
    usable = [name for name in names if vocabulary.get(name, limit) < limit and name != tokenizer.eos_token]
    tokenizer.pad_token = usable[0] if usable else tokenizer.eos_token


@dataclass(frozen=True)
class AdapterPlan:
    """The trained parameters, counted on a model without weights.

    Attributes:
        n_base: parameters of the base model, tied ones once.
        n_lora, n_saved, n_tokens: trained parameters in LoRA matrices, whole modules, single embeddings.
        stored: parameters in the adapter file (tied matrices are trained once, stored twice).
        tied: the base model ties embedding and output head.
        config: peft's configuration.
    """

    n_base: int
    n_lora: int
    n_saved: int
    n_tokens: int
    stored: int
    tied: bool
    config: LoraConfig

    @property
    def n_trained(self) -> int:
        """All trained parameters."""
        return self.n_lora + self.n_saved + self.n_tokens

    def lines(self) -> list[str]:
        """Lines for the terminal."""
        gib = self.stored * 4 / 2**30
        size = f"{gib:.2f} GiB" if gib >= 0.1 else f"{gib * 1024:.1f} MiB"
        return [
            f"{self.n_trained:,} of {self.n_base:,} parameters trained ({self.n_lora:,} LoRA, {self.n_saved:,} whole "
            f"modules, {self.n_tokens:,} single embeddings); adapter file about {size}"
        ]


def plan_adapter(
    config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase, tune: RunOptions, options: ModelOptions
) -> AdapterPlan:
    """Build the model without weights, check every module name against it, and count.

    Raises:
        CrossinError: a LoRA target or a module to save matches no module, the output head is a LoRA target, or the
            tokenizer has tokens that the model has no embedding for.
    """
    import torch
    from peft import LoraConfig
    from peft.utils.constants import EMBEDDING_LAYER_NAMES
    from transformers import AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D  # GPT-2's linear layers

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except ValueError as error:
        raise CrossinError(f"{config.model_type} is not a causal language model: {_first_line(error)}") from error
    model.tie_weights()
    if tokenizer is not None:  # an estimate needs none
        _check_embeddings(tokenizer, model.get_input_embeddings().weight.shape[0])
    linear = {name: module for name, module in model.named_modules() if isinstance(module, (torch.nn.Linear, Conv1D))}
    head = next((name for name, module in linear.items() if module is model.get_output_embeddings()), None)
    targets = list(options.lora_target_modules or [])
    n_lora = 0
    for target in targets:
        hits = [module for name, module in linear.items() if _matches(name, target)]
        if not hits:
            raise CrossinError(_no_match("lora_target_modules", target, linear, config.model_type))
        if head is not None and _matches(head, target):
            raise CrossinError(
                f"lora_target_modules: {target!r} is the output head, whose weight TRL uses directly, so a LoRA matrix "
                "would never be trained: use lora_modules_to_save"
            )
    for name, module in linear.items():
        if any(_matches(name, target) for target in targets):
            n_lora += options.lora_r * sum(module.weight.shape)
            n_lora += module.weight.shape[isinstance(module, Conv1D)] if options.use_dora else 0  # features that go out
    saved = list(options.lora_modules_to_save or [])
    if saved and tune.trainable_tokens:
        raise CrossinError("trainable_tokens and lora_modules_to_save both train embeddings: set one of them to []")
    modules = dict(model.named_modules())
    tied = bool(config.get_text_config().tie_word_embeddings)
    if tied and saved and not tune.untied and _embedding_name(model) not in EMBEDDING_LAYER_NAMES:
        raise CrossinError(
            f"lora_modules_to_save: the embedding {_embedding_name(model)!r} of this {config.model_type} model is tied "
            "to its output head, and PEFT would train two copies: add --untied true, or train LoRA only ([])"
        )
    seen: dict[int, int] = {}
    stored = 0
    for target in saved:
        hits = [module for name, module in modules.items() if _matches(name, target)]
        if not hits:
            raise CrossinError(_no_match("lora_modules_to_save", target, modules, config.model_type))
        for module in hits:
            for parameter in module.parameters():
                key = id(parameter) if not tune.untied else len(seen)
                seen[key] = parameter.numel()
                stored += parameter.numel()
    token_ids = trained_token_ids(tokenizer, tune.trainable_tokens)
    width = model.get_input_embeddings().weight.shape[1]
    n_tokens = len(token_ids) * width
    n_base = sum(parameter.numel() for parameter in model.parameters())
    config_ = LoraConfig(
        r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=targets,
        modules_to_save=saved or None,
        trainable_token_indices={_embedding_name(model): token_ids} if token_ids else None,
        # Without it PEFT trains two copies of a tied matrix, which diverge (peft issues 1750, 2777).
        ensure_weight_tying=tied and not tune.untied and bool(saved),
        use_rslora=options.use_rslora,
        use_dora=options.use_dora,
        bias="none",
        task_type="CAUSAL_LM",
    )
    return AdapterPlan(n_base, n_lora, sum(seen.values()), n_tokens, n_lora + stored + n_tokens, tied, config_)


def _check_embeddings(tokenizer: PreTrainedTokenizerBase, n: int) -> None:
    """Tokens can be added to a tokenizer and not to its model; a pad token is replaced, others are refused."""
    set_pad_token(tokenizer, n)
    used = {tokenizer.eos_token_id, tokenizer.pad_token_id, *prompt_ids(tokenizer, "a")}
    beyond = [tokenizer.convert_ids_to_tokens(token) for token in used if token >= n]
    if beyond:
        raise CrossinError(
            f"tokenizer {tokenizer.name_or_path}: the model has no embedding for {beyond[0]!r} ({n:,} rows): use the "
            "tokenizer of this model, or another frame"
        )


def trained_token_ids(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[int]:
    """The ids of all tokens of the texts, each once, in ascending order."""
    ids: set[int] = set()
    for text in texts:
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        if not found:
            raise CrossinError(f"trainable_tokens: {text!r} has no tokens")
        ids.update(found)
    return sorted(ids)


def load_model(path: str, plan: AdapterPlan, options: ModelOptions, train: TrainOptions) -> Any:
    """The base model with a new adapter: frozen weights in `dtype`, trained ones in float32.

    Raises:
        CrossinError: the weights cannot be read, or quantization needs a GPU.
    """
    import torch
    from peft import get_peft_model
    from peft.tuners.tuners_utils import BaseTunerLayer
    from transformers import AutoModelForCausalLM
    from trl import get_quantization_config

    quantized = options.load_in_4bit or options.load_in_8bit
    kwargs: dict[str, Any] = dict(train.model_init_kwargs or {})  # type: ignore[arg-type]
    kwargs.setdefault("dtype", options.dtype if options.dtype in (None, "auto") else getattr(torch, options.dtype))
    if options.attn_implementation is not None:
        kwargs.setdefault("attn_implementation", options.attn_implementation)
    if quantized:
        try:
            kwargs["quantization_config"] = get_quantization_config(options)
            kwargs["device_map"] = {"": train.device}
        except ImportError as error:
            raise CrossinError("load_in_4bit and load_in_8bit need bitsandbytes: pip install bitsandbytes") from error
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            path, revision=options.model_revision, trust_remote_code=train.trust_remote_code, **kwargs
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise CrossinError(f"cannot load model {path}: {_first_line(error)}") from error
    model.config.use_cache = False
    zero3 = train.deepspeed_plugin is not None and train.deepspeed_plugin.zero_stage == 3
    plan.config.revision = None if Path(path).is_dir() else options.model_revision
    # ZeRO-3 gathers parameters of one dtype only (deepspeed issue 8072), so the adapter keeps the base's there.
    model = get_peft_model(model, plan.config, autocast_adapter_dtype=not (zero3 and not quantized))
    if (train.bf16 or train.fp16) and not options.use_dora:
        # autocast casts to 16 bits what PEFT first casts to float32: the same numbers, a tenth of a small model's step
        for module in model.modules():
            if isinstance(module, BaseTunerLayer):
                module.cast_input_dtype_enabled = False  # type: ignore[attr-defined]
    if train.use_cpu:  # autocast leaves layer_norm alone there, and its kernel takes no float32 input in 16 bits
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.float()
    if not zero3:
        # peft casts LoRA matrices to float32 but leaves whole modules in the base's dtype; bfloat16 would round away
        # an update of 1e-4 of a weight.
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
                parameter.data = parameter.data.float()
    return model


def _matches(name: str, target: str) -> bool:
    """As peft matches a list of names: the full path or its last components."""
    return name == target or name.endswith("." + target)


def _no_match(option: str, target: str, modules: dict[str, Any], model_type: str) -> str:
    names = sorted({name.rsplit(".", 1)[-1] for name in modules if name and not name.rsplit(".", 1)[-1].isdigit()})
    hint, listed = did_you_mean(target, names), ", ".join(names[:24])
    return f"{option}: {target!r} matches no module of this {model_type} model{hint} (modules: {listed})"


def _embedding_name(model: Any) -> str:
    embedding = model.get_input_embeddings()
    return next(name for name, module in model.named_modules() if module is embedding).rsplit(".", 1)[-1]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
