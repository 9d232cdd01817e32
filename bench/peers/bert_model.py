"""Loads a model that `make finetune` saved into HuggingFace's BertModel, under the file's own names, and computes the
probability that a text is spam. Reads lines of the command classify, and fails if a probability differs by more than its
rounding:

    java -jar bench/finetune/target/spd4j-finetune.jar classify RUN.safetensors "You have won" "See you at 3" |
        python bench/peers/bert_model.py RUN.safetensors tokenizer.json

The command export writes tokenizer.json. Needs torch and transformers.
"""

import argparse
import sys

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

parser = argparse.ArgumentParser()
parser.add_argument("weights")
parser.add_argument("tokenizer")
options = parser.parse_args()

with safe_open(options.weights, "pt") as file:
    state = {name: file.get_tensor(name) for name in file.keys()}
head = {name: state.pop("head." + name) for name in ("weight", "bias")}
for down in [name for name in state if name.endswith(".lora_A.weight")]:  # PEFT's names; merged as PEFT does
    layer = down.removesuffix(".lora_A.weight")
    state[layer + ".weight"] += state.pop(layer + ".lora_B.weight") @ state.pop(down)

config = BertConfig(
    vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
)
model = BertModel(config, add_pooling_layer=False).eval()
model.load_state_dict(state, strict=True)

tokenizer = Tokenizer.from_file(options.tokenizer)  # cuts texts where training did
largest, count = 0.0, 0
for line in sys.stdin:
    expected, text = line.rstrip("\n").split("  ", 1)
    ids = torch.tensor([tokenizer.encode(text).ids])
    with torch.inference_mode():
        mean = model(input_ids=ids).last_hidden_state.mean(1)
        spam = torch.nn.functional.linear(mean, **head).softmax(1)[0, 1].item()
    print(f"{spam:.4f}  {text}")
    largest, count = max(largest, abs(spam - float(expected))), count + 1
print(f"{len(state)} tensors loaded; {count} texts, the largest difference is {largest:.1e}")
sys.exit(0 if count > 0 and largest <= 6e-5 else 1)
