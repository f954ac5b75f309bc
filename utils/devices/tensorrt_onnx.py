"""Building TensorRT engines from ONNX graphs; TensorRT's module is an argument (`trt`)."""

from utils.devices.tensorrt_builder import Builder
from utils.user_error import UserError


class OnnxEngineBuilder(Builder):
    """Builds engines for one workload; each build reuses the kernels that earlier ones timed.

    Half precision is in the graph itself; versions before 10, which lack strong typing, get the
    flag that allows it.
    """

    def __init__(self, trt, workload):
        super().__init__(trt, workload)
        self._config.set_timing_cache(self._config.create_timing_cache(b""), False)
        flags = trt.NetworkDefinitionCreationFlag
        is_typed = hasattr(flags, "STRONGLY_TYPED")
        self._flags = 1 << int(flags.STRONGLY_TYPED if is_typed else flags.EXPLICIT_BATCH)
        if workload.dtype == "fp16" and not is_typed:
            self._config.set_flag(trt.BuilderFlag.FP16)

    def network(self, model):
        """Return (the definition of a serialized ONNX model, its parser), to be kept together."""
        network = self._builder.create_network(self._flags)
        parser = self.trt.OnnxParser(network, self.logger)
        if not parser.parse(model):
            raise UserError(f"TensorRT cannot read the graph: {parser.get_error(0).desc()}")
        return network, parser

    def build(self, model):
        """Return the serialized engine of a serialized ONNX model; UserError if it fails."""
        network, parser = self.network(model)
        engine = self._serialized(network)
        del parser  # the builder has read its weights
        return engine
