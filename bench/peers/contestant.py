"""PyTorch's optimizer steps on the CPU as contestants of `make bench`. Answers each line of JSON on standard input with
one line, as io.spd4j.bench.contest.Server does.

Needs torch and numpy; --variant compiled also needs a C++ compiler: python bench/peers/contestant.py --variant eager
The variants with temporary tensors are two to three times faster if glibc keeps freed memory. So `make bench` starts
them with MALLOC_ARENA_MAX=1, MALLOC_MMAP_MAX_=0 and a MALLOC_TRIM_THRESHOLD_ that is never reached.
"""

import argparse
import ctypes
import gc
import json
import math
import os
import pathlib
import sys
import time
import traceback

LIBC = ctypes.CDLL(None)
MISSING = None
try:
    import numpy as np

    TARGET = pathlib.Path(__file__).resolve().parent.parent / "target" / "peers"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(TARGET / "inductor"))
    import torch
except ImportError as e:
    MISSING = f"{sys.executable} has no {e.name}"

RULES = {
    "fused": ["adamw"],
    "bf16": ["adamw"],
    "foreach": ["adamw", "l2sp", "spd"],
    "eager": ["l2sp", "spd"],
    "compiled": ["adamw", "l2sp", "spd"],
}


class Skip(Exception):
    """A request that cannot be met here, with the reason in one sentence."""


# The values that every contestant starts from; see io.spd4j.bench.contest.Values.

PIECE = 1 << 16  # elements generated at a time; they stay in the cache
DATA, GRADIENT, ANCHOR, EXP_AVG = range(4)
SCALES = (1e-2, 1e-3, 3e-2, 1e-2)


def random(seed, kind, tensor, begin, end):
    """Returns elements [begin, end) of an array of random numbers."""
    start = seed * 0x9E3779B1 + kind * 0x85EBCA77 + tensor * 0xC2B2AE3D
    h = np.arange(begin, end, dtype=np.uint32)
    h *= np.uint32(0x27D4EB2F)
    h += np.uint32(start & 0xFFFFFFFF)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x2C1B3C6D)
    h ^= h >> np.uint32(12)
    h *= np.uint32(0x297A2D39)
    h ^= h >> np.uint32(15)
    magnitude = np.float32(SCALES[kind]) * (np.float32(1) + (h >> np.uint32(8)).astype(np.float32) * np.float32(2**-24))
    return np.where(h & np.uint32(1), -magnitude, magnitude)


class Arrays:
    """The arrays of all tensors. Anchors are None if the rule needs none or the anchor is the origin."""

    def __init__(self, setup, dtype):
        sizes = setup["tensors"]
        anchored = setup["anchored"] and setup["rule"] != "adamw"
        self.data, self.gradients, self.exp_avgs, self.exp_avg_sqs = (
            [torch.empty(numel, dtype=dtype) for numel in sizes] for _ in range(4)
        )
        self.anchors = [torch.empty(numel, dtype=dtype) if anchored else None for numel in sizes]
        for i, numel in enumerate(sizes):
            for begin in range(0, numel, PIECE):
                self.fill(setup, i, begin, min(begin + PIECE, numel))

    def fill(self, setup, i, begin, end):
        deviation, gradient, anchor, exp_avg = (random(setup["seed"], kind, i, begin, end) for kind in range(4))
        if setup["rule"] == "spd" and setup["select"] != "natural":
            gradient = np.copysign(gradient, deviation if setup["select"] == "all" else -deviation)
            exp_avg = np.copysign(exp_avg, -deviation)
        self.data[i][begin:end] = torch.from_numpy(anchor + deviation if setup["anchored"] else deviation)
        self.gradients[i][begin:end] = torch.from_numpy(gradient)
        self.exp_avgs[i][begin:end] = torch.from_numpy(exp_avg)
        self.exp_avg_sqs[i][begin:end] = torch.from_numpy(gradient * gradient)
        if self.anchors[i] is not None:
            self.anchors[i][begin:end] = torch.from_numpy(anchor)

    def tensors(self):
        """Returns each tensor's data, gradient, anchor, exp_avg and exp_avg_sq."""
        return list(zip(self.data, self.gradients, self.anchors, self.exp_avgs, self.exp_avg_sqs))


# The steps. Each function takes the arrays and the set-up, and returns a function that takes one step.


def optimizer(arrays, setup, **implementation):
    """torch.optim's AdamW."""
    parameters = [torch.nn.Parameter(data) for data in arrays.data]
    adamw = torch.optim.AdamW(
        parameters,
        lr=setup["lr"],
        betas=(setup["beta1"], setup["beta2"]),
        eps=setup["eps"],
        weight_decay=setup["lambda"],
        **implementation,
    )
    for i, parameter in enumerate(parameters):
        parameter.grad = arrays.gradients[i]
        adamw.state[parameter] = {
            "step": torch.tensor(float(setup["step"])),
            "exp_avg": arrays.exp_avgs[i],
            "exp_avg_sq": arrays.exp_avg_sqs[i],
        }
    return adamw.step


def bias_corrections(setup):
    """Yields for each step the step size and the divisor of the second moments' root."""
    step = setup["step"]
    while True:
        step += 1
        yield setup["lr"] / (1 - setup["beta1"] ** step), math.sqrt(1 - setup["beta2"] ** step)


def deviation(value, anchor):
    return value if anchor is None else value - anchor


def eager(arrays, setup):
    """The papers' equations, tensor by tensor; SPD as in its authors' code."""
    beta1, beta2, eps, decay = setup["beta1"], setup["beta2"], setup["eps"], setup["lambda"]
    corrections = bias_corrections(setup)
    tensors = arrays.tensors()

    def step():
        step_size, root = next(corrections)
        for data, gradient, anchor, exp_avg, exp_avg_sq in tensors:
            exp_avg.mul_(beta1).add_(gradient, alpha=1 - beta1)
            exp_avg_sq.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            denominator = (exp_avg_sq.sqrt() / root).add_(eps)
            update = step_size * exp_avg / denominator
            if setup["rule"] == "l2sp":
                data.sub_(setup["lr"] * decay * deviation(data, anchor)).sub_(update)
                continue
            new = data - update
            condition = -torch.sum(torch.mul(gradient, deviation(data, anchor)))
            if condition < 0.0:
                norm, previous_norm = torch.norm(deviation(new, anchor)), torch.norm(deviation(data, anchor))
                ratio = torch.nn.functional.hardtanh((norm - previous_norm) / norm, 0, 1)
                new = new - decay * ratio * deviation(new, anchor)
            data.copy_(new)

    return step


def foreach(arrays, setup):
    """The papers' equations over lists of tensors, with as few passes as plain PyTorch allows."""
    if setup["rule"] == "adamw":
        return optimizer(arrays, setup, foreach=True)
    beta1, beta2, eps, decay = setup["beta1"], setup["beta2"], setup["eps"], setup["lambda"]
    corrections = bias_corrections(setup)
    anchored = arrays.anchors[0] is not None

    def deviations(indices):
        data = [arrays.data[i] for i in indices]
        return torch._foreach_sub(data, [arrays.anchors[i] for i in indices]) if anchored else data

    def update():
        step_size, root = next(corrections)
        torch._foreach_lerp_(arrays.exp_avgs, arrays.gradients, 1 - beta1)
        torch._foreach_mul_(arrays.exp_avg_sqs, beta2)
        torch._foreach_addcmul_(arrays.exp_avg_sqs, arrays.gradients, arrays.gradients, 1 - beta2)
        denominators = torch._foreach_sqrt(arrays.exp_avg_sqs)
        torch._foreach_div_(denominators, root)
        torch._foreach_add_(denominators, eps)
        torch._foreach_addcdiv_(arrays.data, arrays.exp_avgs, denominators, -step_size)

    every = range(len(arrays.data))

    def l2sp():
        torch._foreach_sub_(arrays.data, deviations(every), alpha=setup["lr"] * decay)
        update()

    def spd():
        before = deviations(every)
        conditions = torch.stack([-torch.dot(g, d) for g, d in zip(arrays.gradients, before)])
        previous_norms = torch.stack(torch._foreach_norm(before))
        del before
        update()
        selected = [i for i, condition in enumerate(conditions.tolist()) if condition < 0]
        if not selected:
            return
        after = deviations(selected)
        norms = torch.stack(torch._foreach_norm(after))
        ratios = ((norms - previous_norms[selected]) / norms).clamp(0, 1)
        products = torch._foreach_mul(after, (-decay * ratios).tolist())
        torch._foreach_add_([arrays.data[i] for i in selected], products)

    return l2sp if setup["rule"] == "l2sp" else spd


def chunks(arrays):
    """Groups tensors into calls. A call costs as much as a step of 10,000 elements, so small tensors share one."""
    result, numel = [], math.inf
    for tensor in sorted(arrays.tensors(), key=lambda tensor: tensor[0].numel()):
        numel += tensor[0].numel()
        if numel > 65536 or len(result[-1]) == 8:
            result.append([])
            numel = tensor[0].numel()
        result[-1].append(tensor)
    return result


def compiled(arrays, setup):
    """
    The papers' equations through torch.compile, with one graph for each combination of sizes in a call, because static
    sizes gave the fastest code. A graph for the whole step would take minutes to compile and was not faster.
    """
    rule, beta1, beta2, eps, decay = (setup[name] for name in ("rule", "beta1", "beta2", "eps", "lambda"))
    corrections = bias_corrections(setup)

    def update(tensors, step_size, root, rate):
        for data, gradient, anchor, exp_avg, exp_avg_sq in tensors:
            exp_avg.mul_(beta1).add_(gradient, alpha=1 - beta1)
            exp_avg_sq.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            quotient = step_size * exp_avg / (exp_avg_sq.sqrt() / root + eps)
            if rule == "adamw":
                data.copy_(data * (1 - rate * decay) - quotient)
            elif rule == "l2sp":
                data.copy_(data - rate * decay * deviation(data, anchor) - quotient)
            else:
                before, after = deviation(data, anchor), deviation(data - quotient, anchor)
                condition = -torch.sum(gradient * before)
                norm = torch.linalg.vector_norm(after)
                ratio = ((norm - torch.linalg.vector_norm(before)) / norm).clamp(0, 1)
                data.copy_(data - quotient - torch.where(condition < 0, decay * ratio, 0) * after)

    calls = chunks(arrays)
    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit = len(calls)
    function = torch.compile(update, fullgraph=True, dynamic=False)

    def numbers(step_size, root):
        """Returns the numbers as tensors, so that a schedule may change them without recompiling."""
        return torch.tensor(step_size), torch.tensor(root), torch.tensor(setup["lr"])

    for sizes in {tuple(tensor[0].numel() for tensor in call) for call in calls}:
        example = [tuple(None if array is None else torch.ones(numel) for array in calls[0][0]) for numel in sizes]
        function(example, *numbers(1.0, 1.0))

    def step():
        scalars = numbers(*next(corrections))
        for call in calls:
            function(call, *scalars)

    return step


def fused(arrays, setup):
    return optimizer(arrays, setup, fused=True)


STEPS = {
    "fused": fused,
    "bf16": fused,
    "foreach": foreach,
    "eager": eager,
    "compiled": compiled,
}


class Contestant:
    """One variant and its set-up."""

    def __init__(self, variant):
        self.variant = variant
        self.arrays = None
        self.make_step = None

    def hello(self, request):
        return {
            "name": "pytorch-" + self.variant,
            "version": "torch " + torch.__version__,
            "rules": RULES[self.variant],
            "only": {},
        }

    def setup(self, request):
        self.close(request)
        if request["rule"] not in RULES[self.variant]:
            raise Skip(f"pytorch-{self.variant} does not know the rule {request['rule']}")
        torch.set_num_threads(request["threads"])
        try:
            self.arrays = Arrays(request, torch.bfloat16 if self.variant == "bf16" else torch.float32)
            self.make_step = STEPS[self.variant](self.arrays, request)
        except Exception as e:  # torch's classes for "no memory", "no compiler" and the like change
            traceback.print_exc()
            self.close(request)
            raise Skip(str(e).strip().partition("\n")[0] or type(e).__name__) from e
        return {"ok": True}

    def step(self, request):
        nanos = []
        for _ in range(request["count"]):
            begin = time.perf_counter_ns()
            self.make_step()
            nanos.append(time.perf_counter_ns() - begin)
        return {"nanos": nanos}

    def values(self, request):
        tensor, begin = request["tensor"], request["from"]
        end = begin + request["count"]
        return {
            "data": self.arrays.data[tensor][begin:end].tolist(),
            "exp_avg": self.arrays.exp_avgs[tensor][begin:end].tolist(),
            "exp_avg_sq": self.arrays.exp_avg_sqs[tensor][begin:end].tolist(),
        }

    def close(self, request):
        self.arrays = self.make_step = None
        gc.collect()
        if hasattr(LIBC, "malloc_trim"):
            LIBC.malloc_trim(ctypes.c_size_t(0))
        return {"ok": True}


def answer(contestant, request):
    if MISSING:
        return {"skip": MISSING}
    try:
        with torch.no_grad():
            return getattr(contestant, request["cmd"])(request)
    except Skip as e:
        return {"skip": str(e)}
    except Exception as e:
        traceback.print_exc()
        return {"error": f"{type(e).__name__}: {e}"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", required=True, choices=sorted(RULES))
    contestant = Contestant(parser.parse_args().variant)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps what libraries print out of the answers
    for line in sys.stdin:
        request = json.loads(line)
        if request["cmd"] == "exit":
            return
        print(json.dumps(answer(contestant, request)), file=answers, flush=True)


if __name__ == "__main__":
    main()
