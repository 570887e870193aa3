"""LiteRT, formerly TensorFlow Lite: a flat buffer of one operator, with the XNNPACK delegate.

Its tensors are its own, so the data are copied in beforehand, and the result out afterwards,
neither of which is timed. XNNPACK takes softmax; log-softmax runs in LiteRT's own kernel.
"""

import numpy as np

from peers.softmax.contenders.base import Calls, Task, UnsupportedError

OPERATORS = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


def litert(task: Task) -> Calls:
    if task.function not in OPERATORS:
        raise UnsupportedError(f"no operator for {task.function}")
    if task.x.dtype != np.float32:
        raise UnsupportedError("float32 only")
    if task.axis != task.x.ndim - 1:
        raise UnsupportedError("the last axis only")
    x = task.contiguous()
    from ai_edge_litert.interpreter import Interpreter

    content = model(OPERATORS[task.function], x.shape)
    # The delegate is part of the default resolver.
    interpreter = Interpreter(model_content=content, num_threads=task.threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    place = interpreter.get_output_details()[0]["index"]
    return Calls({"out": interpreter.invoke}, lambda _: interpreter.get_tensor(place))


def model(operator: str, shape: tuple[int, ...]) -> bytes:
    """Return the flat buffer: a graph of the operator from tensor 0 to tensor 1."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    upper = {"Softmax": "SOFTMAX", "LogSoftmax": "LOG_SOFTMAX"}[operator]
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, upper)
    code.version = 1

    step = schema.OperatorT()
    step.inputs, step.outputs = [0], [1]
    step.builtinOptionsType = getattr(schema.BuiltinOptions, f"{operator}Options")
    step.builtinOptions = getattr(schema, f"{operator}OptionsT")()
    if operator == "Softmax":
        step.builtinOptions.beta = 1.0

    graph = schema.SubGraphT()
    graph.tensors = [tensor(schema, name, shape) for name in ("x", "y")]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [step]

    whole = schema.ModelT()
    whole.version = 3
    whole.operatorCodes, whole.subgraphs = [code], [graph]
    whole.buffers = [schema.BufferT()]  # the empty one, of tensors that are no constants
    builder = flatbuffers.Builder(1024)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor(schema, name: str, shape: tuple[int, ...]):
    made = schema.TensorT()
    made.name, made.shape, made.buffer = name, list(shape), 0
    made.type = schema.TensorType.FLOAT32
    return made
