"""Runs in the server's image: makes what the tests serve of one model, in folders of a target.

smollm2 is a copy; smollm2-int8 has 8-bit weights and computes in 8 bits (compressed-tensors W8A8); smollm2-gptq has
4-bit weights in groups, in GPTQ's form but rounded to the nearest; adapters/shout is an adapter of random weights.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

GROUP = 64  # columns that share a scale; divides both of the model's widths
RANK = 8
source, target = map(Path, sys.argv[1:])
config = json.loads((source / "config.json").read_text())
weights = load_file(source / "model.safetensors")
linear = {name.removesuffix(".weight") for name in weights if name.endswith("_proj.weight")}


def eight_bits(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """One scale for each output."""
    scale = weight.float().abs().amax(1, keepdim=True) / 127
    return {
        f"{name}.weight": (weight.float() / scale).round().clamp(-128, 127).to(torch.int8),
        f"{name}.weight_scale": scale,
    }


def four_bits(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """One scale for each output and group of inputs; eight values in each integer."""
    outputs, inputs = weight.shape
    groups = weight.float().reshape(outputs, inputs // GROUP, GROUP)
    scale = groups.abs().amax(2, keepdim=True) / 7
    values = ((groups / scale).round().clamp(-8, 7) + 8).to(torch.int64).reshape(outputs, inputs).t()
    shifts = torch.arange(8) * 4
    packed = (values.reshape(inputs // 8, 8, outputs) << shifts[None, :, None]).sum(1)
    zero = sum(7 << shift for shift in shifts.tolist())  # the format stores a zero point less one
    return {
        f"{name}.qweight": as_int32(packed),
        f"{name}.qzeros": as_int32(torch.full((inputs // GROUP, outputs // 8), zero)),
        f"{name}.scales": scale[:, :, 0].t().to(torch.float16).contiguous(),
        f"{name}.g_idx": (torch.arange(inputs) // GROUP).to(torch.int32),
    }


def as_int32(bits: torch.Tensor) -> torch.Tensor:
    """The lower 32 bits, whose highest becomes the sign."""
    return torch.where(bits >= 1 << 31, bits - (1 << 32), bits).to(torch.int32).contiguous()


def write(name: str, tensors: dict[str, torch.Tensor], quantization: dict[str, Any]) -> None:
    """Write a quantized model beside the files that it shares with the original."""
    folder = target / name
    folder.mkdir()
    for file in source.iterdir():
        if file.suffix != ".safetensors":
            shutil.copy(file, folder)
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": quantization}))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def quantized(quantize: Any) -> dict[str, torch.Tensor]:
    """All weights, those of linear layers quantized."""
    tensors = {}
    for key, weight in weights.items():
        name = key.removesuffix(".weight")
        tensors |= quantize(name, weight) if name in linear else {key: weight}
    return tensors


shutil.copytree(source, target / "smollm2", copy_function=shutil.copy)
eight = {"num_bits": 8, "type": "int", "symmetric": True}
scheme = {
    "targets": ["Linear"],
    "weights": {**eight, "strategy": "channel", "dynamic": False},
    "input_activations": {**eight, "strategy": "token", "dynamic": True},
}
int8 = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "config_groups": {"group_0": scheme},
    "ignore": ["lm_head"],
}
write("smollm2-int8", quantized(eight_bits), int8)
gptq = {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": True, "lm_head": False}
write("smollm2-gptq", quantized(four_bits), gptq)

torch.manual_seed(0)
adapter = {}
for name in sorted(linear):
    if name.endswith("q_proj"):
        outputs, inputs = weights[f"{name}.weight"].shape
        adapter[f"base_model.model.{name}.lora_A.weight"] = torch.randn(RANK, inputs)
        adapter[f"base_model.model.{name}.lora_B.weight"] = torch.randn(outputs, RANK)
folder = target / "adapters" / "shout"
folder.mkdir(parents=True)
save_file(adapter, folder / "adapter_model.safetensors", metadata={"format": "pt"})
(folder / "adapter_config.json").write_text(
    json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": ["q_proj"], "bias": "none"})
)
for file in target.rglob("*.safetensors"):
    file.chmod(0o644)  # they are written for their owner alone
