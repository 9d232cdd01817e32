"""Records traces of SPD with strong projections for `replay`, with PyTorch: λ is so large that 1 - λr gets close to 0 and
falls below it. Seeded: the same PyTorch on the same kind of machine gives the same values.

Needs torch and safetensors: python bench/peers/record_traces.py src/test/resources/reference

For tensor i and step k, a trace holds the inputs of a replay (p{i}.init, p{i}.anchor unless it is the origin,
p{i}.grad.{k}) and the results of the authors' equations in the precision given here (p{i}.param.{k}, p{i}.exp_avg.{k},
p{i}.exp_avg_sq.{k}, rounded once to float32 if necessary, and p{i}.condition.{k} in float64).
"""

import argparse
import pathlib

import torch
from contestant import deviation, eager
from safetensors.torch import save_file

STEPS = 8
SETTINGS = {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
SMALL = [1, 2, 63, 64, 65, 129]
TRACES = {
    "spd_strong": (torch.float64, {"lr": 2e-3, "lambda": 20.0}, SMALL),
    "spd_strong_float32": (torch.float32, {"lr": 2e-3, "lambda": 20.0}, SMALL),
    "spd_strong_float32_blocks": (torch.float32, {"lr": 1e-3, "lambda": 100.0}, [3, 4097]),
}
# The kinds of a tensor's gradients from the third step on; each tensor starts at a different one.
GRADIENTS = ["weak", "out", "weak", "weak", "out", "strong", "out", "weak", "out"]


class Arrays:
    """A trace's tensors in the form that contestant.py's steps take; every third has no anchor."""

    def __init__(self, dtype, sizes, generator):
        self.inits = [0.02 * torch.randn(n, generator=generator) for n in sizes]
        self.float32_anchors = [
            init + 0.01 * torch.randn(len(init), generator=generator) if i % 3 else None
            for i, init in enumerate(self.inits)
        ]
        self.data = [init.to(dtype, copy=True) for init in self.inits]
        self.anchors = [None if anchor is None else anchor.to(dtype) for anchor in self.float32_anchors]
        self.gradients, self.exp_avgs, self.exp_avg_sqs = (
            [torch.zeros_like(data) for data in self.data] for _ in range(3)
        )

    def tensors(self):
        return list(zip(self.data, self.gradients, self.anchors, self.exp_avgs, self.exp_avg_sqs))


def gradient(deviations, kind, generator):
    """
    Returns a gradient that points outwards, which does not select and sets the momentum's direction; weakly inwards, which
    selects while the momentum still leads out (r > 0); or strongly inwards, which turns the momentum (r = 0).
    """
    along, scale = {"out": (-1.0, 1.0), "weak": (0.5, 0.05), "strong": (1.0, 5.0)}[kind]
    noise = torch.randn(len(deviations), generator=generator)
    size = deviations.pow(2).mean().sqrt()
    return (scale * (noise + along * deviations / size)).float()


def record(name, dtype, setup, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    arrays = Arrays(dtype, sizes, generator)
    step = eager(arrays, setup)
    trace = {}
    for i, init in enumerate(arrays.inits):
        trace[f"p{i}.init"] = init
        if arrays.float32_anchors[i] is not None:
            trace[f"p{i}.anchor"] = arrays.float32_anchors[i]
    for k in range(1, STEPS + 1):
        for i, (data, grad, anchor, _, _) in enumerate(arrays.tensors()):
            kind = "out" if k < 3 else GRADIENTS[(k + i) % len(GRADIENTS)]
            deviations = deviation(data, anchor)
            trace[f"p{i}.grad.{k}"] = gradient(deviations, kind, generator)
            grad.copy_(trace[f"p{i}.grad.{k}"])
            condition = -torch.sum(torch.mul(grad, deviations))
            cosine = (condition / grad.norm() / deviations.norm()).item()
            assert abs(cosine) > 2e-3, f"{name}: the decision on p{i} in step {k} is close"
            trace[f"p{i}.condition.{k}"] = condition.double().reshape(1)
        step()
        for i, (data, _, _, exp_avg, exp_avg_sq) in enumerate(arrays.tensors()):
            for array, values in (("param", data), ("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)):
                trace[f"p{i}.{array}.{k}"] = values.float().clone()
    metadata = {key: repr(value) for key, value in setup.items() if key not in ("rule", "lambda", "step")}
    metadata |= {"rule": "spd", "weight_decay": repr(setup["lambda"]), "amsgrad": "false", "maximize": "false"}
    return trace, metadata | {"steps": str(STEPS), "tensors": str(len(sizes))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    for seed, (name, (dtype, own, sizes)) in enumerate(TRACES.items(), 1):
        setup = SETTINGS | own | {"rule": "spd", "step": 0}
        trace, metadata = record(name, dtype, setup, sizes, seed)
        save_file(trace, folder / f"{name}.safetensors", metadata)


main()
