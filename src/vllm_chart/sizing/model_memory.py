"""How much memory a model needs, from its config.json: weights, KV cache for each token, and how they split over GPUs.

Everything is in bytes unless a name says otherwise. The arithmetic is written down in docs/sizing.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vllm_chart.errors import InputError

Config = Mapping[str, Any]

GIB = 1024**3
#: Tokens of one batch that vLLM may have in flight: its default for servers, twice, as one step is prepared meanwhile.
BATCH_TOKENS = 8192
IN_FLIGHT_TOKENS = 2 * BATCH_TOKENS
#: Tokens of a block of the KV cache on GPUs, vLLM's default.
BLOCK = 16
#: What a server needs beside weights, activations and KV cache: the device's context, graphs, communication buffers.
CONTEXT_BYTES = 1.5 * GIB
#: Requests of one step for which scores of the whole vocabulary are computed, vLLM's default on large GPUs.
SCORED_REQUESTS = 1024

#: Bits of a quantized weight by method, with scales and zero points; whether only the experts of a mixture have them.
_BITS: dict[str, float] = {
    "awq": 4.156,
    "gptq": 4.156,
    "fp8": 8.002,
    "fbgemm_fp8": 8.002,
    "mxfp4": 4.25,
    "modelopt": 8.002,
}
_EXPERTS_ONLY = {"mxfp4"}


#: Fields of a config with which this reckons.
_NUMBERS = (
    *("hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers", "vocab_size", "head_dim"),
    *("num_attention_heads", "num_key_value_heads", "max_position_embeddings", "sliding_window"),
    *("num_experts", "n_routed_experts", "num_local_experts", "kv_lora_rank", "q_lora_rank"),
    *("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"),
)


@dataclass(frozen=True)
class Attention:
    """Layers that keep the same per token.

    Attributes:
        kind: full, sliding, latent (MLA), or state, which keeps a fixed amount for each request instead of tokens.
        layers: how many there are.
        window: tokens that a sliding layer keeps; 0 keeps all.
    """

    kind: str
    layers: int
    window: int = 0


@dataclass(frozen=True)
class Model:
    """What memory depends on.

    Attributes:
        linear: parameters of layers that a quantization method makes smaller.
        other: parameters that keep 16 bits: embeddings, norms, and what the method leaves out.
        weight_bits: bits of each linear parameter.
        heads, kv_heads, head_dim: of attention; latent layers keep `latent` values for each token instead.
        widest: the widest layer, as activations are as wide.
        stored: bytes of the checkpoint's tensors, where its index tells; 0 where the arithmetic must do.
    """

    layers: int
    hidden: int
    widest: int
    vocabulary: int
    heads: int
    kv_heads: int
    head_dim: int
    latent: int
    context: int
    linear: int
    other: int
    weight_bits: float
    method: str
    attention: tuple[Attention, ...]
    stored: float = 0

    @property
    def parameters(self) -> int:
        """All parameters, those of every expert included."""
        return self.linear + self.other

    @property
    def weights(self) -> float:
        """The weights in memory."""
        return self.stored or self.linear * self.weight_bits / 8 + self.other * 2

    def token(self, tensor: int = 1, cache_bytes: int = 2) -> float:
        """What one token takes in one layer on each device, where each layer is split over `tensor` devices."""
        if self.latent:
            return self.latent * cache_bytes  # every device keeps it
        return 2 * math.ceil(self.kv_heads / tensor) * self.head_dim * cache_bytes

    def request(self, tokens: int, tensor: int = 1, pipeline: int = 1, cache_bytes: int = 2) -> float:
        """What the KV cache of one request of so many tokens takes on each device.

        Where kinds of layers are mixed, vLLM gives them groups of one size, and the last group of a kind is filled up.
        """
        kinds = [item for item in self.attention if item.kind != "state"]
        size = min((item.layers for item in kinds), default=0)
        total = 0.0
        for item in kinds:
            kept = min(tokens, item.window - 1 + IN_FLIGHT_TOKENS) if item.window else tokens
            blocks = math.ceil(kept / BLOCK) + (1 if item.window else 0)
            layers = math.ceil(item.layers / size) * size / pipeline
            total += blocks * BLOCK * math.ceil(layers) * self.token(tensor, cache_bytes)
        return total

    def runtime(self, tensor: int = 1) -> float:
        """What a device needs beside weights and KV cache: activations of a batch, scores of words, the rest."""
        activations = BATCH_TOKENS * (4 * self.hidden + 2 * self.widest / tensor) * 2
        scores = SCORED_REQUESTS * self.vocabulary * 4
        return CONTEXT_BYTES + activations + scores

    def tensor_sizes(self, most: int) -> list[int]:
        """Over how many devices each layer can be split: heads must divide, and KV heads divide or be repeated."""
        return [
            size
            for size in range(1, most + 1)
            if self.heads % size == 0 and (self.latent or self.kv_heads % size == 0 or size % self.kv_heads == 0)
        ]


def read(config: Config, name: str, parameters: int | None = None) -> Model:
    """Return what a config.json says of a model; raises InputError where it is none of a language model.

    Args:
        config: the content of config.json.
        name: the model, for messages.
        parameters: the number of parameters, where it is known better than by the arithmetic.
    """
    text: Config = config.get("text_config") or config.get("llm_config") or config.get("language_config") or config
    for part in (config, text):
        for key, value in part.items() if isinstance(part, Mapping) else ():
            if key in _NUMBERS and not isinstance(value, int | None):
                raise InputError(f"{name}: {key} in the config is {value!r}, not a whole number.")
    try:
        return _read(config, text, name, parameters)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{name}: the config is not one of a supported language model ({type(error).__name__}: {error}). "
            "Name another with --config."
        ) from None


def _read(config: Config, text: Config, name: str, parameters: int | None) -> Model:
    missing = [
        key for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size") if not text.get(key)
    ]
    if missing:
        raise InputError(
            f"{name}: the config has no {', '.join(missing)}, as one of a supported language model has. "
            "Name another with --config."
        )
    hidden, layers, heads = text["hidden_size"], text["num_hidden_layers"], text["num_attention_heads"]
    head_dim = text.get("head_dim") or hidden // heads
    kv_heads = text.get("num_key_value_heads") or heads
    latent = text.get("kv_lora_rank", 0) + text.get("qk_rope_head_dim", 0) if text.get("kv_lora_rank") else 0
    quantization = config.get("quantization_config") or text.get("quantization_config") or {}
    method = quantization.get("quant_method", "")
    linear, experts, other = _count(text, head_dim, kv_heads)
    other += _vision(config.get("vision_config") or {}, hidden)
    if method in _EXPERTS_ONLY:
        linear, other = experts, other + linear - experts
    if parameters:
        # what is known better makes up for what the arithmetic missed
        linear = max(0, linear + parameters - (linear + other))
    return Model(
        layers=layers,
        hidden=hidden,
        widest=text.get("intermediate_size") or text.get("moe_intermediate_size") or 4 * hidden,
        vocabulary=text["vocab_size"],
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        latent=latent,
        context=_context(text),
        linear=linear,
        other=other,
        weight_bits=_bits(quantization),
        method=method,
        attention=_attention(text, latent),
    )


def _context(text: Config) -> int:
    scaling = text.get("rope_scaling") or {}
    length = int(text.get("max_position_embeddings") or text.get("model_max_length") or 0)
    if scaling.get("type", scaling.get("rope_type")) == "yarn" and "original_max_position_embeddings" in scaling:
        return max(length, int(scaling["original_max_position_embeddings"] * scaling.get("factor", 1)))
    return length


def _bits(quantization: Config) -> float:
    method = quantization.get("quant_method", "")
    if not method:
        return 16
    if method == "compressed-tensors":
        groups: Sequence[Config] = list((quantization.get("config_groups") or {}).values())
        bits = [(group.get("weights") or {}).get("num_bits", 16) for group in groups]
        return max(bits, default=16) * 1.039 if bits and max(bits) < 8 else float(max(bits, default=16))
    if method in ("awq", "gptq") and quantization.get("bits") and quantization["bits"] != 4:
        return float(quantization["bits"]) + 0.156
    if method == "modelopt" and "FP4" in str(quantization.get("quant_algo", "")):
        return 4.5
    if method == "bitsandbytes":
        return 4.127 if quantization.get("load_in_4bit") else 8.0
    return _BITS.get(method, 16)


def _attention(text: Config, latent: int) -> tuple[Attention, ...]:
    """The layers by what they keep, in the words of the config."""
    count, window = text["num_hidden_layers"], text.get("sliding_window") or 0
    if latent:
        return (Attention("latent", count),)
    kinds = list(text.get("layer_types") or ())
    if not kinds and (pattern := text.get("hybrid_override_pattern")):
        kinds = ["full_attention" if letter == "*" else "state" for letter in pattern]
    if not kinds and (period := text.get("attn_layer_period")):
        offset = text.get("attn_layer_offset", 0)
        kinds = ["full_attention" if index % period == offset else "state" for index in range(count)]
    if not kinds and (period := text.get("full_attention_interval")):
        kinds = ["full_attention" if (index + 1) % period == 0 else "linear_attention" for index in range(count)]
    if not kinds and window and (period := text.get("sliding_window_pattern") or _pattern(text)):
        kinds = ["sliding_attention" if (index + 1) % period else "full_attention" for index in range(count)]
    if not kinds:
        slides = window and text.get("use_sliding_window", True)
        kinds = ["sliding_attention" if slides else "full_attention"] * count
    chunk = text.get("attention_chunk_size") or 0
    found = {
        "full": sum(kind in ("full_attention", "attention", "global") for kind in kinds),
        "sliding": sum(kind in ("sliding_attention", "chunked_attention", "local") for kind in kinds),
    }
    found["state"] = len(kinds) - sum(found.values())
    return tuple(
        Attention(kind, layers, (window or chunk) if kind == "sliding" else 0)
        for kind, layers in found.items()
        if layers
    )


def _pattern(text: Config) -> int:
    """Each how many-eth layer is full where the config leaves that to the model's code."""
    kind = str(text.get("model_type", ""))
    return 6 if kind.startswith("gemma3") else 2 if kind in ("gemma2", "gpt_oss", "cohere2") else 0


def _count(text: Config, head_dim: int, kv_heads: int) -> tuple[int, int, int]:
    """Parameters of layers with weights to quantize, those of experts among them, and all others."""
    kind = str(text.get("model_type", ""))
    hidden, layers, heads = text["hidden_size"], text["num_hidden_layers"], text["num_attention_heads"]
    if rank := text.get("kv_lora_rank"):
        nope, rope, value = text["qk_nope_head_dim"], text["qk_rope_head_dim"], text["v_head_dim"]
        query = text.get("q_lora_rank")
        attention = (hidden * query + query * heads * (nope + rope)) if query else hidden * heads * (nope + rope)
        attention += hidden * (rank + rope) + rank * heads * (nope + value) + heads * value * hidden
        norms = rank + (query or 0)
    else:
        attention = 2 * hidden * heads * head_dim + 2 * hidden * kv_heads * head_dim
        biased = kind.startswith("qwen2") or text.get("attention_bias") or text.get("qkv_bias")
        norms = (heads + 2 * kv_heads) * head_dim if biased else 0
        norms += hidden if biased and not kind.startswith("qwen2") else 0
        norms += 2 * head_dim if kind.startswith(("qwen3", "gemma3")) else 0
        norms += heads if kind == "gpt_oss" else 0  # its attention sinks
    norms += hidden * (4 if kind.startswith(("gemma2", "gemma3")) else 2)
    dense = 3 * hidden * (text.get("intermediate_size") or 0)
    experts = int(text.get("n_routed_experts") or text.get("num_experts") or text.get("num_local_experts") or 0)
    mixtures = _mixture_layers(text) if experts else 0
    width = text.get("moe_intermediate_size") or text.get("intermediate_size") or 0
    routed = experts * 3 * hidden * width
    shared = 3 * hidden * (text.get("shared_expert_intermediate_size") or (text.get("n_shared_experts") or 0) * width)
    router = experts * hidden + (experts if rank or kind == "gpt_oss" else 0)
    if kind == "gpt_oss":
        router += experts * (2 * width + hidden)  # the experts' biases
    linear = layers * attention + (layers - mixtures) * dense + mixtures * (routed + shared)
    embeddings = text["vocab_size"] * hidden * (1 if _tied(text, kind) else 2)
    other = embeddings + layers * norms + mixtures * router + hidden
    return linear, mixtures * routed, other


def _tied(text: Config, kind: str) -> bool:
    """Return whether the last layer has the weights of the first; Gemma's configs leave it out and mean it."""
    return bool(text.get("tie_word_embeddings", kind.startswith("gemma")))


def _mixture_layers(text: Config) -> int:
    """How many layers have experts."""
    layers = range(text["num_hidden_layers"])
    first, dense = text.get("first_k_dense_replace", 0), set(text.get("mlp_only_layers") or ())
    step = text.get("decoder_sparse_step") or text.get("interleave_moe_layer_step") or 1
    frequency = text.get("moe_layer_freq", 1)
    step = frequency if isinstance(frequency, int) and frequency > 1 else step
    return sum(index >= first and index not in dense and (index + 1) % step == 0 for index in layers)


def _vision(vision: Config, hidden: int) -> int:
    """About the parameters of a tower for images: a transformer with two matrices in each feed-forward part."""
    width, layers = vision.get("hidden_size", 0), vision.get("num_hidden_layers") or vision.get("depth") or 0
    inner = vision.get("intermediate_size") or 4 * width
    patch = (vision.get("patch_size") or 14) ** 2 * 3
    positions = ((vision.get("image_size") or 448) // (vision.get("patch_size") or 14)) ** 2
    if not width:
        return 0
    return int(layers * (4 * width * width + 2 * width * inner) + width * (patch + positions) + width * hidden)
