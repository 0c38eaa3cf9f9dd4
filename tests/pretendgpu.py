"""A GPU that is not there: tensors that say they are on ``cuda:0`` while this machine's CPU holds and computes them.

    with PretendGpu() as gpu:
        net.to("cuda")(images.to("cuda")).sum().item()
    gpu.waits  # [Wait("reading a number", "test_devices.py:12 in test_x")]

The numbers are real, so that whole trainings run, through the ways that the code takes on a GPU (``is_cuda``). What a
GPU would refuse is refused: an operation on tensors of two devices, NumPy's view of a device's memory. What would make
the host wait for the device is noted, with the line that did it: numbers read, copies that block, sizes that depend on
data. The rules are those of ``torch.cuda.set_sync_debug_mode`` and of CUDA's "API synchronization behavior".

It cannot show what a CUDA kernel computes, whether there is one for a type, nor what streams overtake each other.

Where a tensor stands is written on its storage, which views share. torch's two modes do the rest: one sees what Python
calls, devices by name and ``tensor.device``, the other every operation, also those of the backward pass.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from toys import REPOSITORY

HOST, GPU = torch.device("cpu"), torch.device("cuda", 0)
STAGED = 1 << 16
"""Bytes that a copy from ordinary memory lays aside for the device at once; with more the host waits."""

_INDEXING = ("aten.index.", "aten.index_put", "aten._unsafe_index", "aten._index_put")
"""Operations that take indices from the host, after a copy that blocks; and masks, whose voxels are counted first."""
_DATA = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
_MOVED = (Tensor.to, Tensor.cpu, Tensor.cuda)
_BACKWARD = (Tensor.backward, torch.autograd.grad)
_OF_DATA = (torch.tensor, torch.as_tensor, torch.asarray)
_PROPERTIES: dict[Any, Callable[[torch.device], Any]] = {
    Tensor.device.__get__: lambda place: place,  # type: ignore[attr-defined]
    Tensor.is_cuda.__get__: lambda place: place == GPU,  # type: ignore[attr-defined]
    Tensor.is_cpu.__get__: lambda place: place == HOST,  # type: ignore[attr-defined]
}


class Wait(NamedTuple):
    """The host stood still until the device had done all it had been asked for."""

    why: str
    where: str


def place_of(tensor: Tensor) -> torch.device:
    return getattr(tensor.untyped_storage(), "place", HOST)


class PretendGpu:
    """A GPU for as long as the context lasts, in this thread and in those of ``boundary_loss.data.prefetch``."""

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        self.operations: set[str] = set()
        """What ran on the device, as ``aten.add.Tensor``."""
        self.in_backward = False
        """Whether a backward pass is running."""
        self._stack = ExitStack()

    def __enter__(self) -> "PretendGpu":
        for patch in _patches(self):
            self._stack.enter_context(patch)
        self._stack.enter_context(self.here())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextmanager
    def here(self) -> Iterator[None]:
        """In the thread that asks."""
        calls = _Calls(self)
        with _Operations(self, calls), calls:
            yield

    def wait(self, why: str) -> None:
        self.waits.append(Wait(why, _line()))


class _Calls(TorchFunctionMode):
    """What Python asks of torch."""

    def __init__(self, gpu: PretendGpu, *, in_backward: bool = False) -> None:
        super().__init__()
        self.gpu, self.in_backward = gpu, in_backward
        self.of_device = False
        """Whether the call at hand is about tensors of the device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _PROPERTIES:
            return _PROPERTIES[func](place_of(args[0]))
        if func in _MOVED:
            return self._moved(func, *args, **kwargs)
        if func in _BACKWARD and not self.in_backward:
            return self._backward(func, args, kwargs)
        if func in (Tensor.numpy, Tensor.__array__) and place_of(args[0]) == GPU:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        if func is Tensor.tolist and place_of(args[0]) == GPU:
            self.gpu.wait("reading numbers")
        if func is Tensor.pin_memory:
            return _put(args[0].clone(), HOST, pinned=True)
        return self._made(func, args, kwargs)

    def _backward(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """A backward pass: torch leaves this mode out of its own calls, those of a loss's ``backward`` too."""
        self.gpu.in_backward = True
        try:
            with _Calls(self.gpu, in_backward=True):
                return func(*args, **kwargs)
        finally:
            self.gpu.in_backward = False

    def _made(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Anything else; perhaps it makes a tensor of nothing."""
        asked, pinned = kwargs.pop("device", None), kwargs.pop("pin_memory", False)
        if asked is None and not pinned:
            places = {place_of(tensor) for tensor in _tensors((args, kwargs))}
            before, self.of_device = self.of_device, GPU in places
            try:
                made = func(*args, **kwargs)
            finally:
                self.of_device = before
            if not places:  # made of nothing, by Python
                for tensor in _tensors(made):
                    _put(tensor, HOST)
            return made
        place = _device(asked)
        if func in _OF_DATA:
            return self._moved(Tensor.to, func(*args, **kwargs), place)
        made = func(*args, **kwargs)
        return _put(made, place, pinned=pinned) if isinstance(made, Tensor) else made

    def _moved(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """``to``, ``cpu`` and ``cuda``: a copy, if it stands elsewhere."""
        source, target = place_of(tensor), place_of(tensor)
        if func is not Tensor.to:
            target, args = (HOST if func is Tensor.cpu else GPU), ()
        blocking = not kwargs.pop("non_blocking", False)
        kwargs.pop("pin_memory", None)
        places = [word for word in (*args, kwargs.pop("device", None)) if isinstance(word, str | int | torch.device)]
        places = [word for word in places if not isinstance(word, bool)]
        others = [word for word in (*args, kwargs.pop("other", None)) if isinstance(word, Tensor)]
        dtypes = [word for word in args if isinstance(word, torch.dtype)] + [other.dtype for other in others]
        if places or others:
            target = _device(places[0]) if places else place_of(others[0])
        if dtypes:
            kwargs["dtype"] = dtypes[0]
        if source == target:
            return Tensor.to(tensor, **kwargs) if kwargs else tensor
        self._note_copy(tensor, source, blocking=blocking, pinned=_is_pinned(tensor))
        kwargs.pop("copy", None)
        copied = tensor.clone()
        return _put(Tensor.to(copied, **kwargs) if kwargs else copied, target)

    def _note_copy(self, tensor: Tensor, source: torch.device, *, blocking: bool, pinned: bool) -> None:
        direction = "from the device" if source == GPU else "to the device"
        if blocking:
            self.gpu.wait(f"a copy {direction} that blocks")
        elif source == GPU:
            self.gpu.wait("a copy from the device into memory that is not pinned")
        elif not pinned and tensor.nbytes > STAGED:
            self.gpu.wait(f"a copy to the device of {tensor.nbytes} bytes that are not pinned")


class _Operations(TorchDispatchMode):
    """Every operation that is computed."""

    def __init__(self, gpu: PretendGpu, calls: _Calls) -> None:
        super().__init__()
        self.gpu, self.calls, self.last_on_device = gpu, calls, False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = list(_tensors((args, kwargs)))
        on_device = [tensor for tensor in tensors if place_of(tensor) == GPU]
        if func is torch.ops.aten.copy_.default and len({place_of(tensor) for tensor in tensors}) == 2:
            self._note_copy(
                *tensors[:2], blocking=not (args[2] if len(args) > 2 else kwargs.get("non_blocking", False))
            )
            return func(*args, **kwargs)
        if on_device:
            self.gpu.operations.add(str(func))
            _refuse_mixture(func, tensors, on_device)
            self._note_data(func, args, kwargs)
        result = func(*args, **kwargs)
        if tensors:
            self.last_on_device = bool(on_device)
        # what C++ makes of nothing is for the tensors of the call, or in a backward pass for those at hand
        if on_device or (not tensors and (self.last_on_device if self.gpu.in_backward else self.calls.of_device)):
            for made in _tensors(result):
                _put(made, GPU)
        return result

    def _note_copy(self, target: Tensor, source: Tensor, *, blocking: bool) -> None:
        if blocking:
            self.gpu.wait("a copy that blocks")
        elif place_of(target) == HOST and not _is_pinned(target):
            self.gpu.wait("a copy from the device into memory that is not pinned")

    def _note_data(self, func: Any, args: Any, kwargs: Any) -> None:
        if str(func).startswith(_INDEXING):
            indices = list(_tensors(args[1]))
            if any(place_of(index) == HOST for index in indices):
                self.gpu.wait("indices that come from the host")
            if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
                self.gpu.wait("a mask as an index")
        elif any(tag in func.tags for tag in _DATA):
            self.gpu.wait("reading a number" if func is torch.ops.aten._local_scalar_dense.default else str(func))


def _refuse_mixture(func: Any, tensors: list[Tensor], on_device: list[Tensor]) -> None:
    """As torch does; a number from the host may stand beside voxels of the device, and indices may."""
    if len(on_device) == len(tensors):
        return
    changed = args_changed(func)
    for i, tensor in enumerate(tensors):
        if place_of(tensor) == GPU:
            continue
        is_number = tensor.ndim == 0 and (torch.Tag.pointwise in func.tags or "masked_fill" in str(func))
        is_index = str(func).startswith(_INDEXING) and i > 0
        if not (is_number or is_index) or (i == 0 and changed):
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {func} found cuda:0 and cpu, at {_line()}"
            )


def args_changed(func: Any) -> bool:
    """Whether the operation writes into its first argument."""
    first = func._schema.arguments[0].alias_info
    return first is not None and first.is_write


def _tensors(found: Any) -> Iterator[Tensor]:
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, dict):
        for value in found.values():
            yield from _tensors(value)
    elif isinstance(found, list | tuple):
        for value in found:
            yield from _tensors(value)


def _put(tensor: Tensor, place: torch.device, *, pinned: bool = False) -> Tensor:
    storage: Any = tensor.untyped_storage()
    storage.place, storage.pinned = place, pinned
    return tensor


def _is_pinned(tensor: Tensor) -> bool:
    return getattr(tensor.untyped_storage(), "pinned", False)


def _device(name: Any) -> torch.device:
    found = HOST if name is None else torch.device("cuda", name) if isinstance(name, int) else torch.device(name)
    return GPU if found.type == "cuda" else found


def _line() -> str:
    """The nearest line of the package, else of a test, that led here."""
    frame, tests = sys._getframe(1), ""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(str(REPOSITORY / "src")):
            return f"{path.removeprefix(str(REPOSITORY / 'src'))[1:]}:{frame.f_lineno} in {frame.f_code.co_name}"
        if path.startswith(str(REPOSITORY)) and path != __file__ and not tests:
            tests = f"{path.removeprefix(str(REPOSITORY))[1:]}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return tests


class _Event:
    def record(self, stream: object = None) -> None: ...

    def synchronize(self) -> None: ...


class _Stream:
    def __init__(self, device: object = None) -> None: ...

    def record_event(self) -> _Event:
        return _Event()

    def wait_event(self, event: _Event) -> None: ...


def _patches(gpu: PretendGpu) -> Iterator[Any]:
    """What of ``torch.cuda`` and its like is asked for by name."""
    autocast, group = torch.autocast, torch.optim.Optimizer._group_tensors_by_device_and_dtype
    generator = torch.Generator

    class Generator:
        def __new__(cls, device: Any = "cpu") -> Any:
            return generator()

    def grouped(lists: Any, *args: Any, **kwargs: Any) -> Any:
        return {(place_of(next(_tensors(v))), key[1]): v for key, v in group(lists, *args, **kwargs).items()}

    class Threads(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            def run() -> Any:
                with gpu.here():
                    return fn(*args, **kwargs)

            return super().submit(run)

    of_cuda = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: "a pretended GPU",
        "mem_get_info": lambda device=None: (1 << 34, 1 << 34),
        "get_rng_state": lambda device=None: torch.get_rng_state(),
        "set_rng_state": lambda state, device=None: None,
        "is_bf16_supported": lambda *_: True,
        "is_current_stream_capturing": lambda: False,
        "current_stream": lambda device=None: _Stream(),
        "stream": lambda stream: nullcontext(),
        "synchronize": lambda device=None: gpu.wait("torch.cuda.synchronize"),
        "Stream": _Stream,
        "Event": _Event,
    }
    yield mock.patch.multiple(torch.cuda, **of_cuda)
    yield mock.patch.object(Tensor, "record_stream", lambda tensor, stream: None)
    yield mock.patch.object(torch, "autocast", lambda kind, *a, **k: autocast("cpu", *a, **k))
    yield mock.patch.object(torch, "Generator", Generator)
    # The one private name of torch: an optimiser asks C++ for the devices, which no mode sees
    yield mock.patch.object(torch.optim.Optimizer, "_group_tensors_by_device_and_dtype", staticmethod(grouped))
    yield mock.patch("boundary_loss.data.prefetch.ThreadPoolExecutor", Threads)
    # Triton would compile for a real one: its kernels have tests of their own, in its interpreter
    yield mock.patch("boundary_loss.distance.engine.has_triton", lambda: False)
    yield mock.patch("boundary_loss.losses.fused_sums.has_triton", lambda: False)
