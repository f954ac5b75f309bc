"""The runtimes that networks are timed on: one file and one small class per runtime.

Each class has the same three verbs:
    prepare(network) -> handle   take a network as the runtime needs it
    run(handle) -> seconds       run one batch and time it
    release(handle)              free what prepare took
A network, such as models.network.Network, comes in three forms: module() is PyTorch's,
folded_weights(rng) NumPy's, onnx(batch_size, rng) a file's bytes. A class also tells the
metadata of a samples file what it is, `describe()`, and what may change its speed at the moment,
`state()`; both return dictionaries. To add a runtime, add one file, and its class to `open_device`.
"""

from utils.errors import UserError

DEVICES = ("cpu", "gpu", "onnxruntime", "openvino", "trt")


def open_device(name, workload):
    """Return the device of a name, ready to prepare networks.

    Raises UserError that names the package or the device that is missing, or the reason why the
    runtime cannot run this workload.
    """
    try:
        match name:
            case "cpu":
                from utils.devices.torch_cpu import TorchCpu as Device
            case "gpu":
                from utils.devices.torch_gpu import TorchGpu as Device
            case "onnxruntime":
                from utils.devices.onnxruntime_cpu import OnnxRuntimeCpu as Device
            case "openvino":
                from utils.devices.openvino_cpu import OpenVinoCpu as Device
            case "trt":
                from utils.devices.tensorrt_gpu import TensorRtGpu as Device
            case _:
                raise UserError(f"unknown device {name!r}: choose from {', '.join(DEVICES)}")
        return Device(workload)
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        raise UserError(f"device {name} needs the Python package {package!r}") from None
