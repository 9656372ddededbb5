"""Floating-point operations of training and evaluating a model, counted on the model itself without its weights.

torch's FlopCounterMode watches forward and backward of the real architecture, LoRA matrices and whole modules included,
on the meta device: shapes are computed, numbers are not. A multiply and an add are two operations; element-wise work is
not counted, as usual. Attention is counted over the full square of positions, so kernels that skip its upper half do
a little less.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from recipes.tuning.model import AdapterPlan

_MISTRAL = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    # From the models' own config.json on the hub; parameter counts as their cards give them are held by a test.
    "mistralai/Mistral-7B-v0.1": ("mistral", _MISTRAL),
    "meta-llama/Meta-Llama-3-8B": ("llama", {**_MISTRAL, "vocab_size": 128256}),
    "google/gemma-2b": (
        "gemma",
        {
            "vocab_size": 256000,
            "hidden_size": 2048,
            "intermediate_size": 16384,
            "num_hidden_layers": 18,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
            "head_dim": 256,
        },
    ),
    "demo:gemma-3-270m": (
        "gemma3_text",
        {
            "vocab_size": 262144,
            "hidden_size": 640,
            "intermediate_size": 2048,
            "num_hidden_layers": 18,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 256,
        },
    ),
}
"""Models whose sizes are public, for machines that cannot reach their configuration."""


@dataclass(frozen=True)
class Operations:
    """Operations of a row of T tokens, K of them with loss (training) or read (inference): aT + bT^2 + hK.

    Attributes:
        token: a, operations a token outside attention's products.
        square: b, operations a pair of positions.
        head: h, operations a position whose logits are taken.
    """

    token: float
    square: float
    head: float

    def of(self, tokens: float, squares: float, heads: float) -> float:
        """Operations of many rows: sums of lengths, of squared lengths and of positions with logits."""
        return self.token * tokens + self.square * squares + self.head * heads


def model_config(name: str) -> PretrainedConfig:
    """A model's configuration: of a local folder, of the table above, or else of the hub.

    Raises:
        CrossinError: nothing is there.
    """
    from transformers import AutoConfig

    from recipes.tuning.model import load_config
    from recipes.tuning.options import ModelOptions

    if not Path(name).expanduser().is_dir() and name in ARCHITECTURES:
        kind, sizes = ARCHITECTURES[name]
        return AutoConfig.for_model(kind, **sizes)
    if name.startswith("demo:"):
        raise CrossinError(f"{name}: its sizes are not in the table; give a model folder instead")
    return load_config(name, ModelOptions(model_name_or_path=name))


def training_operations(
    config: PretrainedConfig, plan: AdapterPlan, *, checkpointing: bool, recompute_head: bool
) -> Operations:
    """Forward and backward of the adapted model, a second forward included where activations are recomputed.

    Args:
        plan: what is trained, from `recipes.tuning.model.plan_adapter`.
        checkpointing: gradient checkpointing.
        recompute_head: the fused output head computes its logits a second time in the backward pass, as TRL's does.
    """
    lora = plan.config
    key = (
        config.to_json_string(),
        lora.r,
        tuple(sorted(lora.target_modules or [])),
        tuple(lora.modules_to_save or ()),
        bool(lora.ensure_weight_tying),
        checkpointing,
    )
    counted = _counted(key, _Lazy(config, plan))
    again = 2.0 * _text(config).hidden_size * _text(config).vocab_size if recompute_head else 0.0
    return Operations(counted.token, counted.square, counted.head + again)


def inference_operations(config: PretrainedConfig) -> Operations:
    """Forward of the model as it is (or merged), without a cache."""
    return _counted((config.to_json_string(),), _Lazy(config, None))


class _Lazy:
    """Arguments that the cache must not hash."""

    def __init__(self, config: Any, plan: Any) -> None:
        self.config, self.plan = config, plan

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Lazy)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _counted(key: tuple[Any, ...], what: _Lazy) -> Operations:
    """Count three shapes on models of two and of three layers: all further layers are as the third."""
    import numpy as np

    backward = what.plan is not None
    checkpointing = backward and bool(key[-1])
    points = [(64, 32), (128, 32), (128, 64)]
    shallow, deeper = (
        np.array([count_row(model, tokens, heads, backward=backward) for tokens, heads in points], dtype=np.float64)
        for model in (meta_model(what.config, what.plan, checkpointing=checkpointing, layers=n) for n in (2, 3))
    )
    measured = shallow + (_text(what.config).num_hidden_layers - 2) * (deeper - shallow)
    matrix = np.array([(tokens, tokens**2, heads) for tokens, heads in points], dtype=np.float64)
    token, square, head = np.linalg.solve(matrix, measured)
    return Operations(float(token), float(square), float(head))


def count_row(model: Any, tokens: int, heads: int, *, backward: bool) -> int:
    """Operations of one row of `tokens` positions with the logits of the last `heads` of them, as counted."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.zeros(1, tokens, dtype=torch.long, device="meta")
    # A mask of four dimensions is taken as it is; transformers would look at the values of any other.
    mask = torch.zeros(1, 1, tokens, tokens, dtype=torch.bfloat16, device="meta")
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=heads).logits
        if backward:
            logits.sum().backward()
    return counter.get_total_flops()


def meta_model(config: Any, plan: Any, *, checkpointing: bool, layers: int | None = None) -> Any:
    """The model with its adapter and without numbers, for counting; `layers`: that many of its decoder layers."""
    import copy
    import warnings

    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(config)
    if layers is not None:
        text = _text(config)
        text.num_hidden_layers = layers
        if getattr(text, "layer_types", None):
            text.layer_types = list(text.layer_types)[:layers]
    config._attn_implementation = "eager"  # fused kernels of the meta device are not counted alike everywhere
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        model.tie_weights()
        if plan is None:
            return model.eval()
        lora = copy.deepcopy(plan.config)
        lora.trainable_token_indices = None  # a few rows of the embedding: no products
        model = get_peft_model(model, lora, autocast_adapter_dtype=False)
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    return model


def _text(config: Any) -> Any:
    return config.get_text_config()
