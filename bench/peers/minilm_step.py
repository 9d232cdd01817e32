"""Times the fine-tuning step of `make finetune` in eager PyTorch: forward, backward, clipping and AdamW of HuggingFace's
BertModel with MiniLM's sizes and a two-class head on the mean of the hidden states; with --autocast in PyTorch's mixed
precision, bfloat16 with float32 weights. Prints one line of JSON.

Needs torch and transformers: python bench/peers/minilm_step.py --batch 16 --length 64 --threads 2
"""

import argparse
import json
import statistics
import time

import torch
from transformers import BertConfig, BertModel

parser = argparse.ArgumentParser()
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--length", type=int, default=64)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--steps", type=int, default=15)
parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
parser.add_argument("--autocast", action="store_true")
options = parser.parse_args()

torch.set_num_threads(options.threads)
torch.manual_seed(1)
config = BertConfig(
    vocab_size=30522,
    hidden_size=384,
    num_hidden_layers=6,
    num_attention_heads=12,
    intermediate_size=1536,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    attn_implementation=options.attention,
)
model = BertModel(config, add_pooling_layer=False).train()
head = torch.nn.Linear(384, 2)
parameters = [*model.parameters(), *head.parameters()]
optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=True)
ids = torch.randint(1000, 30000, (options.batch, options.length))
mask = torch.ones_like(ids)
labels = torch.randint(0, 2, (options.batch,))

steps, optimizers, processor = [], [], []
for _ in range(options.steps + 3):
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=options.autocast):
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).float()
        pooled = (hidden * weight).sum(1) / weight.sum(1)
        loss = torch.nn.functional.cross_entropy(head(pooled), labels)
    optimizer.zero_grad()
    loss.backward()
    backward = time.perf_counter()
    thread = time.thread_time()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    end = time.perf_counter()
    processor.append((time.thread_time() - thread) * 1e3)
    steps.append((end - start) * 1e3)
    optimizers.append((end - backward) * 1e3)

a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
products = []
for _ in range(10):
    start = time.perf_counter()
    a @ b
    products.append(time.perf_counter() - start)

print(
    json.dumps(
        {
            "torch": torch.__version__,
            "attention": options.attention,
            "autocast": options.autocast,
            "threads": options.threads,
            "step_ms": round(statistics.median(steps[3:]), 1),
            "optimizer_ms": round(statistics.median(optimizers[3:]), 1),
            # the calling thread's time on a processor, which is the whole with --threads 1
            "optimizer_cpu_ms": round(statistics.median(processor[3:]), 1),
            "sgemm_gflops": round(2 * 2048**3 / statistics.median(products) / 1e9, 1),
        }
    )
)
