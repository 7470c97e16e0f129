"""MiniLM's weights made into an ONNX graph of this project's own, and that graph into 8 bits: no torch anywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.float32]]

LAYERS = 6
HEADS = 12
WIDTH = 384
NORM_EPSILON = 1e-12
MASKED = -1e4
"""What an attention score of padding gets: far enough from any real one, and finite in every precision."""
OPSET = 17


def read_weights(data: bytes) -> Weights:
    """The tensors of a ``.safetensors`` file in float32."""
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:start])
    weights = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            flat = np.frombuffer(data[start + begin : start + end], "<f4")
            weights[name] = flat.reshape(entry["shape"])
    return weights


class _Graph:
    """Nodes and constants as they come, each under a name of its own."""

    def __init__(self, weights: Weights) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._numpy = helper, numpy_helper
        self._weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, kind: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(self._numpy.from_array(np.ascontiguousarray(value, kind), name))
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(kind, inputs, [output], **attributes))
        return output

    def linear(self, x: str, name: str) -> str:
        product = self.node("MatMul", x, self.constant(self._weights[f"{name}.weight"].T))
        return self.node("Add", product, self.constant(self._weights[f"{name}.bias"]))

    def norm(self, x: str, name: str) -> str:
        scale, shift = (self.constant(self._weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=NORM_EPSILON)

    def heads(self, x: str, *, swapped: bool = False) -> str:
        split = self.node("Reshape", x, self.constant([0, 0, HEADS, WIDTH // HEADS], np.int64))
        return self.node("Transpose", split, perm=[0, 2, 3, 1] if swapped else [0, 2, 1, 3])

    def gelu(self, x: str) -> str:
        inner = self.node("Erf", self.node("Mul", x, self.constant(0.5**0.5)))
        half = self.node("Mul", x, self.constant(0.5))
        return self.node("Mul", half, self.node("Add", inner, self.constant(1.0)))


def export(weights: Weights, path: Path) -> None:
    """Write the encoder as ONNX in float32.

    Inputs ``input_ids`` and ``attention_mask``, int64 (texts, tokens); output ``embedding``, float32 (texts, 384), of
    length one: the mean over the tokens, as the model's authors pool it.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(weights)
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    hidden = _embed(graph, weights)
    wide = graph.node("Unsqueeze", mask, graph.constant([1, 2], np.int64))
    away = graph.node("Mul", graph.node("Sub", graph.constant(1.0), wide), graph.constant(MASKED))
    for layer in range(LAYERS):
        hidden = _layer(graph, f"encoder.layer.{layer}", hidden, away)
    column = graph.node("Unsqueeze", mask, graph.constant([2], np.int64))
    axis = graph.constant([1], np.int64)
    total = graph.node("ReduceSum", graph.node("Mul", hidden, column), axis, keepdims=0)
    mean = graph.node("Div", total, graph.node("ReduceSum", column, axis, keepdims=0))
    graph.node("LpNormalization", mean, output="embedding", axis=-1, p=2)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", WIDTH])
    made = helper.make_graph(graph.nodes, "minilm", inputs, [output], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _embed(graph: _Graph, weights: Weights) -> str:
    """Word, place and (always the first) segment of each token."""
    words = graph.constant(weights["embeddings.word_embeddings.weight"])
    segment = weights["embeddings.token_type_embeddings.weight"][0]
    places = graph.constant(weights["embeddings.position_embeddings.weight"] + segment)
    length = graph.node(
        "Slice", graph.node("Shape", "input_ids"), *(graph.constant([n], np.int64) for n in (1, 2))
    )
    here = graph.node("Slice", places, graph.constant([0], np.int64), length, graph.constant([0], np.int64))
    return graph.norm(
        graph.node("Add", graph.node("Gather", words, "input_ids"), here), "embeddings.LayerNorm"
    )


def _layer(graph: _Graph, name: str, hidden: str, away: str) -> str:
    attention = f"{name}.attention"
    query, key, value = (
        graph.heads(graph.linear(hidden, f"{attention}.self.{part}"), swapped=part == "key")
        for part in ("query", "key", "value")
    )
    scale = graph.constant((WIDTH // HEADS) ** -0.5)
    scores = graph.node("Add", graph.node("Mul", graph.node("MatMul", query, key), scale), away)
    mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
    rows = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
    joined = graph.node("Reshape", rows, graph.constant([0, 0, WIDTH], np.int64))
    out = graph.node("Add", graph.linear(joined, f"{attention}.output.dense"), hidden)
    hidden = graph.norm(out, f"{attention}.output.LayerNorm")
    inner = graph.gelu(graph.linear(hidden, f"{name}.intermediate.dense"))
    return graph.norm(
        graph.node("Add", graph.linear(inner, f"{name}.output.dense"), hidden), f"{name}.output.LayerNorm"
    )


def quantise(source: Path, target: Path) -> None:
    """The same graph with weights of 8 bits, one scale a channel: a quarter of the size, twice as fast."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)
