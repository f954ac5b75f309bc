"""What runs on any machine's processor: clocks, the machine, and runtimes that load graphs.

An agent on another machine (utils/devices/remote_agent.py) gets the source of this file. So it
works on Python 3.8 and later with the standard library, NumPy and one of the runtimes, which is
imported when it is used. To add a runtime, add a class like OnnxRuntime to RUNTIMES.
"""

import importlib.metadata
import os
import platform
import resource
import sys
import time

# Of a container: the files of its limit and its use, the latter with caches of files.
# Versions 2 and 1 of Linux's control groups.
CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def cpu_name():
    """Return the model name of this machine's processor, or of a board that does not state it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
        with open("/proc/device-tree/model", encoding="utf-8") as file:  # Raspberry Pi, Jetson
            return file.read().strip("\0\n ")
    except OSError:
        return platform.processor() or platform.machine()


def cpu_state():
    """Return what currently affects the speed of this machine's processor."""
    return {"load_average": os.getloadavg()[0]}


def free_memory_bytes():
    """Return how many bytes this process can allocate: what machine, container and ulimit leave."""
    free = [_available_bytes()]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        pages = _number_in("/proc/self/statm")
        free.append(soft - os.sysconf("SC_PAGE_SIZE") * pages if pages else soft // 4)
    for limit, used in CGROUPS:
        most, now = _number_in(limit), _number_in(used)
        if most is not None and now is not None:
            cached = _number_in(os.path.dirname(limit) + "/memory.stat", "inactive_file") or 0
            free.append(most - now + cached)
    return max(0, min(free))


def _available_bytes():
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def _number_in(path, name=None):
    """Return the first whole number in a file, or that after a name; None without: "max"."""
    try:
        with open(path, encoding="utf-8") as file:
            words = file.read().split()
        return int(words[words.index(name) + 1 if name else 0])
    except (OSError, ValueError, IndexError):
        return None


def version(package):
    """Return the installed version of a package, as its installer or the package itself states."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # under another name, such as onnxruntime-gpu
        return getattr(sys.modules.get(package), "__version__", "unknown")


class Images:
    """Random images of one shape, in whatever type a network reads."""

    def __init__(self, shape):
        import numpy as np  # here: it comes with the runtime

        self._rng = np.random.default_rng(0)
        self._images = self._rng.standard_normal(shape, dtype=np.float32)

    def of(self, dtype):
        """Return images of a NumPy type; integers have the range of bytes."""
        if dtype.kind == "f":
            return self._images.astype(dtype, copy=False)
        low, high = (-128, 127) if dtype == "int8" else (0, 255)
        shape = self._images.shape
        return self._rng.integers(low, high, shape, endpoint=True, dtype="int16").astype(dtype)


class OnnxRuntime:
    """ONNX Runtime on the CPU; input and output are bound to memory once."""

    package = "onnxruntime"
    description = "ONNX Runtime, CPU provider, BatchNorm folded"
    why_fp32_only = "its CPU provider has no kernels for half precision convolutions"

    def __init__(self, threads):
        import onnxruntime

        self._ort = onnxruntime
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        self._options.log_severity_level = 4  # the exceptions say what is wrong

    def load(self, model, images):
        """Return the handle of a serialized ONNX model that reads these images."""
        session = self._ort.InferenceSession(
            model, self._options, providers=["CPUExecutionProvider"]
        )
        binding = session.io_binding()
        binding.bind_cpu_input(session.get_inputs()[0].name, images)
        binding.bind_output(session.get_outputs()[0].name, "cpu")
        return session, binding

    def launch(self, handle):
        """Run one batch."""
        session, binding = handle
        session.run_with_iobinding(binding)


class OpenVino:
    """OpenVINO on the CPU: compiled models, one stream, for latency."""

    package = "openvino"
    description = "OpenVINO, CPU plugin, BatchNorm folded"
    why_fp32_only = "on most processors it would convert half precision to single without a word"

    def __init__(self, threads):
        import openvino

        self._tensor = openvino.Tensor
        self._core = openvino.Core()
        self._options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }

    def load(self, model, images):
        """Return the handle of a serialized ONNX model that reads these images."""
        compiled = self._core.compile_model(self._core.read_model(model), "CPU", self._options)
        request = compiled.create_infer_request()
        request.set_input_tensor(self._tensor(images, shared_memory=True))
        return request

    def launch(self, request):
        """Run one batch."""
        request.infer()


class LiteRt:
    """LiteRT on the CPU: .tflite graphs, by XNNPACK's kernels; the input is set once, as NHWC."""

    package = "ai-edge-litert"
    description = "LiteRT, XNNPACK, NHWC, BatchNorm folded"
    why_fp32_only = "its graphs are written in float32"

    def __init__(self, threads):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter, self._threads = Interpreter, threads

    def load(self, model, images):
        """Return the interpreter of a serialized .tflite model that reads these images, NCHW."""
        interpreter = self._interpreter(model_content=model, num_threads=self._threads)
        interpreter.allocate_tensors()
        number = interpreter.get_input_details()[0]["index"]
        interpreter.set_tensor(number, images.transpose(0, 2, 3, 1).copy())
        return interpreter

    def launch(self, interpreter):
        """Run one batch."""
        interpreter.invoke()


RUNTIMES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "litert": LiteRt}


class CpuDevice:
    """A runtime on this machine's processor, with the verbs of utils.devices but for `prepare`.

    runtime: one of RUNTIMES; workload: the fields of utils.devices.workload.Workload
    """

    def __init__(self, runtime, workload):
        self._runtime = runtime(workload.threads)
        self._images = Images(workload.images_shape)
        self._clock = CLOCKS[workload.clock]

    def describe(self):
        """Return the processor, the runtime and its version."""
        package = self._runtime.package
        return {
            "device_name": cpu_name(),
            "runtime": self._runtime.description,
            "versions": {package: version(package)},
        }

    def state(self):
        """Return the load of the machine."""
        return cpu_state()

    def free_memory_bytes(self):
        """Return how many bytes of memory networks can take."""
        return free_memory_bytes()

    def load(self, model, dtype="float32"):
        """Return the handle of a serialized model that reads images of a NumPy type."""
        import numpy as np

        return self._runtime.load(model, self._images.of(np.dtype(dtype)))

    def run(self, handle):
        """Return the seconds of one batch."""
        start = self._clock()
        self._runtime.launch(handle)
        return self._clock() - start


def open_device(name, workload):
    """Return the CpuDevice of a name in RUNTIMES: what an agent asks for."""
    return CpuDevice(RUNTIMES[name], workload)
