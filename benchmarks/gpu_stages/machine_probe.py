"""What is on this machine, as JSON lines: the GPU, or why there is none; packages that load.

python -m benchmarks.gpu_stages.machine_probe
"""

import importlib
import importlib.metadata
import json
import os
import platform

from utils.devices.nvidia import driver_version, gpu_state

NEEDED = ("torch", "numpy", "scipy", "numba", "cvxpy", "msgspec", "onnxruntime", "matplotlib")
OPTIONAL = ("triton", "tensorrt", "tensorrt_rtx", "mxnet", "openvino")


def version(name):
    """Return the version of a package that loads, else why it does not."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        return None if error.name == name else f"does not load: {error}"
    except Exception as error:  # of any kind, from a package's own code
        return f"does not load: {error}".partition("\n")[0]
    return str(getattr(module, "__version__", "unknown"))


def gpu(torch):
    """Return what PyTorch reports about its first GPU, or why it has none."""
    if not torch.version.cuda:
        return {"why": f"PyTorch {torch.__version__} was built without CUDA"}
    try:
        torch.cuda.init()
        free, total = torch.cuda.mem_get_info()
        ones = torch.ones(64, 64, device="cuda")
        if not (ones @ ones == 64).all():
            return {"why": f"{torch.cuda.get_device_name()} multiplies wrongly"}
    except (RuntimeError, AssertionError) as error:
        return {"why": str(error).partition("\n")[0]}
    major, minor = torch.cuda.get_device_capability()
    return {
        "name": torch.cuda.get_device_name(),
        "capability": f"{major}.{minor}",
        "memory_gib": total / 2**30,
        "free_gib": free / 2**30,
        "gpus": torch.cuda.device_count(),
    }


def pytorch():
    """Return what PyTorch is, and its GPU, or why there is none."""
    found = version("torch")
    if not found or "load" in found:
        return {"gpu": {"why": f"PyTorch {found or 'is not installed'}"}}
    import torch

    cuda, cudnn = torch.version.cuda, torch.backends.cudnn.version()
    return {"cuda": cuda, "cudnn": cudnn, "gpu": gpu(torch)}


def main():
    machine = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "driver": driver_version(),
        "state": gpu_state(),
    }
    print(json.dumps(machine), flush=True)
    print(json.dumps(pytorch()), flush=True)
    packages = {name: version(name) for name in (*NEEDED, *OPTIONAL)}
    print(json.dumps({"packages": packages}), flush=True)


if __name__ == "__main__":
    main()
