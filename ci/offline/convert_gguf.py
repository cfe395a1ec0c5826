"""Turns a GGUF file into a Hugging Face folder of bfloat16 weights; runs inside the vLLM image.

Usage: convert_gguf.py FILE.gguf OUTPUT
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

source, output = Path(sys.argv[1]), Path(sys.argv[2])
model = AutoModelForCausalLM.from_pretrained(
    source.parent,
    gguf_file=source.name,
    quantization_config=GgufConfig(dequantize=True),  # without it, saving fails
    dtype=torch.bfloat16,
)
model.hf_quantizer = None
vars(model.config).pop("quantization_config", None)
model.save_pretrained(output)
AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(output)
