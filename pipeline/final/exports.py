"""The files of a network to deploy that train_final.py writes: ONNX, and LiteRT if asked for."""

from pipeline.final.onnx_export import check_onnxruntime, export_onnx
from pipeline.final.tflite_export import check_litert, export_tflite


def exporters(export):
    """Return {suffix of the file: the function that writes and checks it}; export: of EXPORTS."""
    if export == "tflite":
        return {".onnx": export_onnx, ".tflite": export_tflite}
    return {".onnx": export_onnx}


def check_runtimes(export):
    """Raise UserError if a runtime that the exporters need for their checks is not installed."""
    check_onnxruntime()
    if export == "tflite":
        check_litert()
