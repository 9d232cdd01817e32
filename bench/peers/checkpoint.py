"""Takes checkpoints from PyTorch's AdamW to spd4j and back, and compares the results with a training that stayed in
PyTorch. Exits with 1 if one differs.

Needs torch and safetensors, and spd4j-bench built (`make jar`): python bench/peers/checkpoint.py

`to_tensors` and `from_tensors` show what a script of your own needs: a checkpoint has PyTorch's names for the state of
AdamW, one dimension instead of the parameter's shape, and the groups' settings as JSON in its metadata.
"""

import argparse
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
JAVA = os.environ.get("JAVA", "java")
SHAPES = {"a.weight": (10, 7), "a.bias": (10,), "b.weight": (3, 5, 300)}
STATE = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
STEPS = 20  # before the change, and after it


def adamw(parameters, settings, fused):
    return torch.optim.AdamW(parameters.values(), fused=fused, **settings)


def to_tensors(parameters, optimizer):
    """Returns a checkpoint's tensors for the state of a torch optimizer."""
    tensors = {}
    for name, parameter in parameters.items():
        tensors[name] = parameter.detach()
        for key, value in optimizer.state[parameter].items():
            tensors[f"{name}.{key}"] = value
    return {name: tensor.clone() for name, tensor in tensors.items()}


def from_tensors(path, fused):
    """Returns parameters and a torch optimizer that continue from a checkpoint of spd4j."""
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        group = json.loads(file.metadata()["spd4j.checkpoint"])["groups"][0]
    settings = {
        "lr": group["lr"],
        "betas": (group["beta1"], group["beta2"]),
        "eps": group["eps"],
        "weight_decay": group["lambda"],
        "amsgrad": group["amsgrad"],
        "maximize": group["maximize"],
    }
    parameters = {p["name"]: tensors[p["name"]].view(SHAPES[p["name"]]) for p in group["parameters"]}
    optimizer = adamw(parameters, settings, fused)
    state = {}
    for i, (name, parameter) in enumerate(parameters.items()):
        keys = [key for key in STATE if f"{name}.{key}" in tensors]
        state[i] = {key: tensors[f"{name}.{key}"].view_as(parameter) for key in keys}
        state[i]["step"] = tensors[f"{name}.step"]
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return parameters, optimizer


def train(parameters, optimizer, gradients):
    for gradient in gradients:
        for name, parameter in parameters.items():
            parameter.grad = gradient[name].clone()
        optimizer.step()


def resume(options, folder, start, inits, gradients, settings):
    """Trains with spd4j, from a checkpoint if start is not None; returns the path of the checkpoint that it writes."""
    inputs = {f"{name}.init": init.detach().clone() for name, init in inits.items()}
    for step, gradient in enumerate(gradients):
        inputs.update({f"{name}.grad.{step}": value for name, value in gradient.items()})
    metadata = {key: str(value) for key, value in settings.items()} | {"steps": str(len(gradients))}
    save_file(inputs, folder / "inputs", metadata)
    command = [*shlex.split(options.java), "--enable-native-access=ALL-UNNAMED", "-cp", options.classpath]
    command.append(ROOT / "bench/peers/Resume.java")
    subprocess.run([*command, start or folder / "none", folder / "inputs", folder / "result"], check=True)
    return folder / "result"


def worst(tensors, expected):
    """Returns the largest difference relative to the largest value of a tensor; the keys must be the same."""
    assert tensors.keys() == expected.keys(), tensors.keys() ^ expected.keys()
    differences = [
        (tensors[name].double().flatten() - expected[name].double().flatten()).abs().max()
        / expected[name].double().abs().max()
        for name in expected
    ]
    return max(differences).item()


def check(what, difference, most):
    print(f"  {what}: {difference:.1e} (at most {most:.0e})")
    return difference <= most


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--java", default=JAVA, metavar="COMMAND", help="Java 22 or later; default: $JAVA or java")
    parser.add_argument("--classpath", default=str(ROOT / "bench/compare/target/spd4j-bench.jar"), metavar="PATH")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(1)

    def randoms():
        return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}

    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for amsgrad in (False, True):
            for fused in (False, True):
                print(f"AdamW, amsgrad={amsgrad}, fused={fused}: largest relative difference")
                settings = {"lr": 1e-2, "weight_decay": 0.1, "amsgrad": amsgrad}
                inits = randoms()
                first, second = ([randoms() for _ in range(STEPS)] for _ in range(2))

                parameters = {name: init.clone() for name, init in inits.items()}
                optimizer = adamw(parameters, settings, fused)
                train(parameters, optimizer, first)
                half = to_tensors(parameters, optimizer)
                save_file(half, folder / "torch")
                train(parameters, optimizer, second)
                whole = to_tensors(parameters, optimizer)

                kept = load_file(resume(options, folder, folder / "torch", inits, [], settings))
                good &= check("torch to spd4j and back without a step", worst(kept, half), 0)
                ours = load_file(resume(options, folder, folder / "torch", inits, second, settings))
                good &= check("begun in torch, continued in spd4j", worst(ours, whole), 3e-6)
                path = resume(options, folder, None, inits, first, settings)
                parameters, optimizer = from_tensors(path, fused)
                train(parameters, optimizer, second)
                theirs = to_tensors(parameters, optimizer)
                good &= check("begun in spd4j, continued in torch", worst(theirs, whole), 3e-6)
                fresh = adamw(parameters := {name: half[name].clone() for name in SHAPES}, settings, fused)
                train(parameters, fresh, second)
                lost = worst(to_tensors(parameters, fresh), whole)
                print(f"  for comparison, continued without the state: {lost:.1e}")
                good &= lost > 1e-3
    sys.exit(0 if good else 1)


main()
