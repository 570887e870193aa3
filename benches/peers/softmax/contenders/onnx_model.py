"""ONNX Runtime: a model of one node, bound to numpy's own memory, so that nothing is copied."""

from functools import partial

from peers.softmax.contenders.base import Calls, Task

NODES = {"softmax": "Softmax", "log_softmax": "LogSoftmax", "logsumexp": "ReduceLogSumExp"}
OPSET, IR_VERSION = 18, 9
"""Where axes became an input of reductions; and a format that every runtime of that time reads."""


def onnxruntime(task: Task) -> Calls:
    import onnxruntime

    x, y = task.contiguous(), task.output()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model(task, y.shape), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_ortvalue_output("y", onnxruntime.OrtValue.ortvalue_from_numpy(y))
    # A reduction writes into a given place too, but the others return something new, and the
    # result is too small to matter.
    form = "fresh" if task.function == "logsumexp" else "out"
    return Calls({form: partial(session.run_with_iobinding, binding)}, lambda _: y)


def model(task: Task, shape: tuple[int, ...]) -> bytes:
    from onnx import TensorProto, helper

    number = helper.np_dtype_to_tensor_dtype(task.x.dtype)
    inputs, constants, attributes = ["x"], [], {"axis": task.axis}
    if task.function == "logsumexp":
        inputs.append("axes")
        constants.append(helper.make_tensor("axes", TensorProto.INT64, [1], [task.axis]))
        attributes = {"keepdims": 0}
    graph = helper.make_graph(
        [helper.make_node(NODES[task.function], inputs, ["y"], **attributes)],
        task.function,
        [helper.make_tensor_value_info("x", number, task.x.shape)],
        [helper.make_tensor_value_info("y", number, shape)],
        constants,
    )
    opset = helper.make_opsetid("", OPSET)
    built = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    return built.SerializeToString()
