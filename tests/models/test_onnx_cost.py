"""Costs and precision of ONNX graphs, against numbers worked by hand."""

import pytest
from onnx import TensorProto

from models.onnx_file import OnnxFile
from tests.helpers.onnx_graphs import (
    MACS,
    PARAMETERS,
    classifier,
    integer_products,
    quantised,
    saved,
)


def loaded(model, tmp_path):
    return OnnxFile.load(saved(model, tmp_path / "n.onnx"))


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        (classifier(), "fp32"),
        (classifier(TensorProto.FLOAT16), "fp16"),
        (classifier(TensorProto.UINT8), "fp32"),  # the images are bytes, the products are not
        (classifier(constant_nodes=True), "fp32"),
        (classifier(shape=(4, 3, 32, 32)), "fp32"),
        (quantised(), "int8"),
        (integer_products(), "int8"),
    ],
    ids=["float", "half", "bytes", "constant nodes", "batch of 4", "QDQ", "integers"],
)
def test_products_are_counted_wherever_the_weights_stand(tmp_path, model, precision):
    file = loaded(model, tmp_path)
    assert file.macs == MACS
    assert file.precision == precision


def test_weights_in_constant_nodes_are_parameters_and_shapes_are_none(tmp_path):
    assert loaded(classifier(constant_nodes=True), tmp_path).parameters == PARAMETERS
    assert loaded(classifier(reshape=(-1, 8)), tmp_path).parameters == PARAMETERS


def test_half_quantised_networks_name_both_precisions(tmp_path):
    """Oracle: the convolution of the quantised network, with the float one's matrix product."""
    model, floats = quantised(), classifier()
    product = model.graph.node[-1]
    product.input[:] = ["features", "matrix"]
    model.graph.initializer.append(floats.graph.initializer[1])
    assert loaded(model, tmp_path).precision == "fp32 + int8"


def test_what_an_unknown_operator_multiplies_is_not_known(tmp_path):
    file = loaded(classifier(domain="my.ops"), tmp_path)
    assert file.macs is None
    assert file.precision == "fp32"
