"""What all builders of TensorRT engines share; TensorRT's module is an argument (`trt`)."""

from utils.user_error import UserError


class Builder:
    """TensorRT's builder and its settings for one workload; an agent uses this file, too."""

    def __init__(self, trt, workload):
        self.trt, self.workload = trt, workload
        self.logger = trt.Logger(trt.Logger.ERROR)
        self._builder = trt.Builder(self.logger)
        self._config = self._builder.create_builder_config()
        if not workload.tf32:
            self._config.clear_flag(trt.BuilderFlag.TF32)

    def _serialized(self, network):
        """Return the serialized engine of a definition; UserError if it cannot be built."""
        engine = self._builder.build_serialized_network(network, self._config)
        if engine is None:
            raise UserError("TensorRT could not build the network; its own message stands above")
        return bytes(engine)
