"""The runtimes that networks are timed on: one file and one small class per runtime.

Each class has the same three verbs:
    prepare(network) -> handle   load a network into the runtime
    run(handle) -> seconds       run one batch and time it
    release(handle)              free what prepare took
Where a single run would cost more than it measures, a class has besides, or instead of `run`,
    visit(handle, repeats, untimed, seconds) -> [seconds, ...]   run untimed, then `repeats` batches
    visits(handles, repeats, untimed)   yield what `visit` returns, for the networks of a round
A network, such as models.network.Network, comes in four forms: module() for PyTorch,
folded_weights(rng) in NumPy, onnx(batch_size, rng) and tflite(batch_size, rng) as the bytes of a
file. For the metadata of a samples file, `describe()` says what the device is and `state()` what
currently affects its speed; both return dictionaries. To add a runtime, add one file, and its class
to `open_device`.
"""

from utils.errors import UserError

REQUIREMENTS = {"litert": "requirements-litert.txt"}  # of runtimes that are optional
DEVICES = ("cpu", "gpu", "litert", "onnxruntime", "openvino", "trt", "command")


def open_device(name, workload, host=None):
    """Return the device with this name, ready to prepare networks.

    host: the utils.devices.remote_pipe.Host that it is on; None: this machine
    Raises UserError that names the missing package or device, or the reason why the runtime cannot
    run this workload.
    """
    if host:
        from utils.devices.remote import RemoteDevice

        return RemoteDevice(name, workload, host)
    try:
        match name:
            case "cpu":
                from utils.devices.torch_cpu import TorchCpu as Device
            case "gpu":
                from utils.devices.torch_gpu import TorchGpu as Device
            case "litert":
                from utils.devices.litert_cpu import LiteRtCpu as Device
            case "onnxruntime":
                from utils.devices.onnxruntime_cpu import OnnxRuntimeCpu as Device
            case "openvino":
                from utils.devices.openvino_cpu import OpenVinoCpu as Device
            case "trt":
                from utils.devices.tensorrt_gpu import TensorRtGpu as Device
            case "command":
                from utils.devices.command import CommandDevice as Device
            case _:
                raise UserError(f"unknown device {name!r}: choose from {', '.join(DEVICES)}")
        return Device(workload)
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        how = f": pip install -r {REQUIREMENTS[name]}" if name in REQUIREMENTS else ""
        raise UserError(f"device {name} needs the Python package {package!r}{how}") from None
