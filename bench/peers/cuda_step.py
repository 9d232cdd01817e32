"""Times steps of spd4j and PyTorch on one GPU in turn: AdamW and Selective Projection Decay (SPD) over the same shapes.
Prints a table for each shape and which of the aims are reached; --json FILE saves all numbers.

Needs torch with CUDA, and spd4j-bench built (`make jar`): python bench/peers/cuda_step.py

Times are device times, measured with events around steps enqueued without a pause: the median of each round's median.
GB/s count the bytes that a step has to move: 28 per parameter for AdamW, 32 with an anchor, 12 more (8 without an
anchor) where SPD projects. They are compared with a copy on the device, by the same process, of the same amount of
memory. "fused" and "foreach" are torch.optim.AdamW's; "eager" is the paper's SPD in plain PyTorch operations, one tensor
after the other, as in its authors' code; "compiled" (--compile) is the eager SPD without its branch, under
torch.compile; "graph" is spd4j's step captured in a CUDA graph.
"""

import argparse
import gc
import itertools
import json
import math
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

try:
    import torch
except ImportError:
    sys.exit("cuda_step.py needs PyTorch with CUDA, which this Python lacks: pip install torch")

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = f"{shlex.quote(os.environ.get('JAVA', 'java'))} -jar bench/compare/target/spd4j-bench.jar"

parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
parser.add_argument("--shapes", default="vit-b16,lora,one:1G,many:10000x64", help="default: %(default)s")
parser.add_argument("--steps", type=int, default=30, help="timed steps per round; default: %(default)s")
parser.add_argument("--seconds", type=float, default=5, help="a round ends early after this time; default: %(default)s")
parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
parser.add_argument("--bench", default=BENCH, metavar="COMMAND", help="runs spd4j-bench; default: $JAVA -jar ...")
parser.add_argument("--compile", action="store_true", help="also time the compiled SPD")
parser.add_argument("--device", default="cuda", help="cpu tries this script without a GPU")
parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
options = parser.parse_args()
DEVICE = torch.device(options.device)
if DEVICE.type == "cuda" and not torch.cuda.is_available():
    sys.exit(f"cuda_step.py needs a GPU, and PyTorch {torch.__version__} finds none (--device cpu tries the script)")

# The settings of spd4j-bench, with which SPD selects the same tensors in every step.
LR, BETA1, BETA2, EPS, STEPS_TAKEN = 1e-6, 0.999999, 0.999, 1e-8, 100_000_000


def linear(inputs, outputs):
    return [inputs * outputs, outputs]


def number(text):
    return int(text[:-1]) * 1000 ** (" KMG".index(text[-1])) if text[-1] in "KMG" else int(text)


def shape_of(name):
    """Returns each tensor's number of elements, and whether tensors have anchors."""
    width = 768
    if name == "vit-b16":
        block = [width] * 2 + linear(width, 3 * width) + linear(width, width)
        block += [width] * 2 + linear(width, 4 * width) + linear(4 * width, width)
        return [width, 197 * width] + linear(width, width) + 12 * block + [width] * 2 + linear(width, 1000), True
    if name == "lora":
        return 96 * [8 * width] + linear(width, 1000), False
    kind, _, size = name.partition(":")
    if kind == "one":
        return [number(size)], True
    if kind == "many":
        count, _, numel = size.partition("x")
        return int(count) * [number(numel)], True
    sys.exit(f"cuda_step.py knows no shape {name!r}: vit-b16, lora, one:N or many:COUNTxN")


def random_tensors(sizes, anchored, select):
    """Returns p, g, m, v and the anchor (0: the origin) of each tensor. With select "all", gradients have the signs of the
    deviations and first moments the opposite signs; with "none", gradients have the opposite signs, too."""

    def signed(n, scale):
        x = torch.empty(n, device=DEVICE).uniform_(scale, 2 * scale)
        return x.mul_(torch.empty(n, device=DEVICE).random_(2).mul_(2).sub_(1))

    tensors = []
    for n in sizes:
        deviation = signed(n, 1e-2)
        anchor = signed(n, 3e-2) if anchored else 0.0
        g = torch.empty(n, device=DEVICE).uniform_(1e-3, 2e-3).copysign_(deviation)
        m = torch.empty(n, device=DEVICE).uniform_(1e-2, 2e-2).copysign_(deviation).neg_()
        if select == "none":
            g.neg_()
        v = g * g
        tensors.append((deviation.add_(anchor), g, m, v, anchor))
    return tensors


def adam_update(g, m, v, t, lr, beta1, beta2, eps):
    m.mul_(beta1).add_(g, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    return lr / (1 - beta1**t) * m / (v.sqrt() / math.sqrt(1 - beta2**t)).add_(eps)


def projection(new, p, anchor, weight_decay):
    after, before = torch.norm(new - anchor), torch.norm(p - anchor)
    ratio = torch.clamp((after - before) / after, 0, 1)
    return weight_decay * ratio * (new - anchor)


def eager_spd(p, g, m, v, anchor, t, lr, beta1, beta2, eps, weight_decay):
    """Takes a step of one tensor; returns c."""
    new = p - adam_update(g, m, v, t, lr, beta1, beta2, eps)
    condition = -torch.sum(g * (p - anchor))
    if condition < 0:  # the host waits for the device
        new = new - projection(new, p, anchor, weight_decay)
    p.copy_(new)
    return condition


def branchless_spd(p, g, m, v, anchor, t, lr, beta1, beta2, eps, weight_decay):
    new = p - adam_update(g, m, v, t, lr, beta1, beta2, eps)
    condition = -torch.sum(g * (p - anchor))
    p.copy_(torch.where(condition < 0, new - projection(new, p, anchor, weight_decay), new))


def check_eager_spd():
    """Checks that the eager SPD reproduces the authors' recorded steps in float64; says whether it could."""
    try:
        from safetensors import safe_open
    except ImportError:
        return "not checked against the recorded steps: this Python has no safetensors"
    with safe_open(ROOT / "src/test/resources/reference/spd.safetensors", "pt", device=str(DEVICE)) as trace:
        metadata = trace.metadata()
        lr, beta1, beta2, eps, decay = (float(metadata[k]) for k in ("lr", "beta1", "beta2", "eps", "weight_decay"))
        for i in range(int(metadata["tensors"])):
            anchor = trace.get_tensor(f"p{i}.anchor").double()
            p = trace.get_tensor(f"p{i}.init").double()
            m, v = torch.zeros_like(p), torch.zeros_like(p)
            for k in range(1, int(metadata["steps"]) + 1):
                g = trace.get_tensor(f"p{i}.grad.{k}").double()
                found = {"condition": eager_spd(p, g, m, v, anchor, k, lr, beta1, beta2, eps, decay)}
                found |= {"param": p, "exp_avg": m, "exp_avg_sq": v}
                for name, value in found.items():
                    recorded = trace.get_tensor(f"p{i}.{name}.{k}").double().reshape(value.shape)
                    if not torch.allclose(value, recorded, rtol=2**-23, atol=1e-12):
                        sys.exit(f"cuda_step.py: the eager SPD differs from the recorded one: p{i}.{name}.{k} differs")
    return "reproduces the recorded steps of the authors' code"


def median_ms(step):
    """Returns the median time of steps without a pause between them."""
    for _ in range(3):
        step()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    marks = []
    start = time.monotonic()
    while len(marks) <= options.steps and (len(marks) < 3 or time.monotonic() - start < options.seconds):
        if marks:
            step()
        if DEVICE.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            marks.append(event)
        else:
            marks.append(time.perf_counter())
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        return statistics.median(a.elapsed_time(b) for a, b in itertools.pairwise(marks))
    return statistics.median((b - a) * 1e3 for a, b in itertools.pairwise(marks))


def torch_copy(sizes, anchored):
    """Returns GB/s, read and written, of a copy within as much memory as AdamW's step uses."""
    half = sum(sizes) * 2
    source = torch.ones(half, device=DEVICE)
    target = torch.empty_like(source)
    return 2 * 4 * half / median_ms(lambda: target.copy_(source)) / 1e6


def torch_adamw(sizes, anchored, **how):
    parameters = [torch.nn.Parameter(t[0]) for t in random_tensors(sizes, False, "none")]
    for p in parameters:
        p.grad = torch.full_like(p, 1e-3)
    return median_ms(torch.optim.AdamW(parameters, lr=LR, weight_decay=0.01, **how).step)


def torch_spd(sizes, anchored, select, function):
    tensors = random_tensors(sizes, anchored, select)
    steps = itertools.count(STEPS_TAKEN)

    def step():
        t = next(steps)
        for tensor in tensors:
            function(*tensor, t, LR, BETA1, BETA2, EPS, 1.0)

    ms = median_ms(step)
    selected = sum(bool((g * (p - anchor)).sum() > 0) for p, g, _, _, anchor in tensors)
    assert selected == (len(sizes) if select == "all" else 0), f"{selected} tensors are selected, not {select}"
    return ms


def spd4j(shape, rule, select):
    """Returns the numbers that spd4j-bench prints, or its error message."""
    command = shlex.split(options.bench) + ["step", "--backend", "cuda", "--graph", "--shape", shape, "--rule", rule]
    command += ["--select", select, "--repeat", str(options.steps)]
    try:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except OSError as e:
        return str(e)
    return json.loads(run.stdout) if run.returncode == 0 else (run.stderr.strip().splitlines() or ["no message"])[-1]


compiled_spd = torch.compile(branchless_spd, dynamic=True)
TORCH = {
    "AdamW, torch fused": lambda *s: torch_adamw(*s, fused=True),
    "AdamW, torch foreach": lambda *s: torch_adamw(*s, foreach=True),
    "SPD none, torch eager": lambda *s: torch_spd(*s, "none", eager_spd),
    "SPD all, torch eager": lambda *s: torch_spd(*s, "all", eager_spd),
}
if options.compile:
    TORCH |= {
        "SPD none, torch compiled": lambda *s: torch_spd(*s, "none", compiled_spd),
        "SPD all, torch compiled": lambda *s: torch_spd(*s, "all", compiled_spd),
    }
SPD4J = {"AdamW": ("adamw", "none"), "SPD none": ("spd", "none"), "SPD all": ("spd", "all")}


def measure(name, torch_rows):
    """Returns the medians over the rounds: each row's ms, and the copy's GB/s in each of the two processes."""
    sizes, anchored = shape_of(name)
    times, copies, host_us = {}, {}, {}

    def on_torch(what, work):
        """Runs a round; returns None if the GPU's memory is too small."""
        try:
            return work(sizes, anchored)
        except torch.OutOfMemoryError:
            print(f"{name}: {what}: out of memory", file=sys.stderr)
            return None
        finally:
            gc.collect()
            if DEVICE.type == "cuda":
                torch.cuda.empty_cache()

    for _ in range(options.rounds):
        copies.setdefault("torch", []).append(on_torch("copy", torch_copy))
        for what, work in torch_rows.items():
            times.setdefault(what, []).append(on_torch(what, work))
        for what, (rule, select) in SPD4J.items():
            line = spd4j(name, rule, select)
            if isinstance(line, str):
                print(f"{name}: spd4j is left out: {line}", file=sys.stderr)
                break
            assert (line["numel"], line["tensors"]) == (sum(sizes), len(sizes)), line
            times.setdefault(f"{what}, spd4j", []).append(line["median_ms"])
            times.setdefault(f"{what}, spd4j graph", []).append(line["graph_median_ms"])
            copies.setdefault("spd4j", []).append(line["copy_gb_per_s"])
            host_us.setdefault(what, []).append(line["host_us"])

    def medians(rounds):
        return {k: statistics.median(v) for k, v in rounds.items() if None not in v}

    return {
        "tensors": len(sizes),
        "numel": sum(sizes),
        "anchored": anchored,
        "ms": medians(times),
        "copy_gb_per_s": medians(copies),
        "host_us": medians(host_us),
        "rounds_ms": times,
        "rounds_copy_gb_per_s": copies,
    }


def percent_of_copy(result, row):
    """Returns a row's bandwidth in GB/s, and in percent of the copy's in the same process."""
    per_parameter = 28
    if row.startswith("SPD"):
        per_parameter += 4 * result["anchored"]
    if row.startswith("SPD all"):
        per_parameter += 8 + 4 * result["anchored"]
    bandwidth = per_parameter * result["numel"] / result["ms"][row] / 1e6
    copy = result["copy_gb_per_s"].get("torch" if "torch" in row else "spd4j")
    return bandwidth, 100 * bandwidth / copy if copy else math.nan


def print_table(name, result):
    print(f"\n{name}: {result['tensors']} tensors, {result['numel']} parameters")
    for process, bandwidth in result["copy_gb_per_s"].items():
        print(f"  copy on the device, by {process}: {bandwidth:.1f} GB/s")
    if result["host_us"]:
        print("  to enqueue a step, spd4j: " + ", ".join(f"{k} {v:.1f} us" for k, v in result["host_us"].items()))
    print(f"  {'step':26}{'ms':>10}{'GB/s':>10}{'% of copy':>11}{'/ spd4j':>10}")
    for row, ms in sorted(result["ms"].items()):
        bandwidth, percent = percent_of_copy(result, row)
        ratio = ms / result["ms"].get(row.split(",")[0] + ", spd4j", math.nan)
        print(f"  {row:26}{ms:10.4f}{bandwidth:10.1f}{percent:11.1f}{ratio:10.2f}")


def aims(results):
    """Yields (what, found, wanted, reached) for each aim whose shapes and rows were measured."""
    for name, result in results.items():
        ms = result["ms"]

        def ratio(a, b):
            return ms[a] / ms[b] if a in ms and b in ms else None

        if name in ("vit-b16", "one:1G"):
            for row in ("AdamW, spd4j", "SPD none, spd4j"):
                if row in ms:
                    percent = percent_of_copy(result, row)[1]
                    yield f"{name}: {row}: % of the copy's bandwidth", percent, ">= 90", percent >= 90
        found = ratio("SPD all, spd4j", "SPD none, spd4j")
        if name == "vit-b16" and found:
            yield f"{name}: SPD all over none", found, "<= 1.25", found <= 1.25
        floor = results["one:64"]["ms"] if "one:64" in results else {}
        for what in SPD4J if name == "lora" else ():
            row = f"{what}, spd4j graph"
            if row in ms and row in floor:
                found = ms[row] / floor[row]
                yield f"{name}: {row}: time over one:64's, which is that of its launches", found, "<= 2", found <= 2
        found = ratio("AdamW, torch fused", "AdamW, spd4j")
        if found:
            yield f"{name}: torch's fused AdamW over spd4j's", found, "> 1", found > 1
        for what in ("SPD none", "SPD all"):
            found = ratio(f"{what}, torch eager", f"{what}, spd4j")
            if found:
                yield f"{name}: {what}: torch's eager over spd4j's", found, ">= 10", found >= 10


device = torch.cuda.get_device_name(DEVICE) if DEVICE.type == "cuda" else "CPU"
print(f"{device}, PyTorch {torch.__version__}; the eager SPD {check_eager_spd()}")
rows = {name: TORCH for name in options.shapes.split(",")}
if "lora" in rows:
    rows.setdefault("one:64", {})  # for comparison: only the cost of launches
results = {}
with torch.no_grad():
    for name, torch_rows in rows.items():
        results[name] = measure(name, torch_rows)
        print_table(name, results[name])
reached = [dict(zip(("aim", "found", "wanted", "reached"), aim)) for aim in aims(results)]
print("\naims (for an H100):" if reached else "\nno aim can be judged without spd4j's times")
for aim in reached:
    print(f"  {'reached' if aim['reached'] else 'MISSED ':8}{aim['aim']}: {aim['found']:.2f} ({aim['wanted']})")
if options.json:
    options.json.write_text(
        json.dumps({"device": device, "torch": torch.__version__, "shapes": results, "aims": reached}, indent=1) + "\n"
    )
if not reached and DEVICE.type == "cuda":
    sys.exit(1)
