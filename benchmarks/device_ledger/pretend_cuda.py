"""A pretend GPU for machines without one: CPU tensors in a wrapper that says `cuda:0`.

What CUDA refuses is refused (`DeviceMixError`): an operation over tensors of both kinds, `.numpy()`, values of a CPU
tensor written by index. What a GPU would pay for is counted (`ledger.Ledger`). The numbers are the CPU's own.

Two layers. `_Names` (a TorchFunctionMode) takes the device's name out of each call: a CPU build would refuse it, so
that inside torch these tensors are on `meta`, a device without memory that every build knows. `_Operations` (a
TorchDispatchMode) sees each operation that is left over, takes the CPU tensors out of their wrappers, runs it, wraps
what comes out and counts.

What it cannot see: kernels that CUDA has not, atomics and their order, memory, time, TF32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from benchmarks.device_ledger.ledger import Ledger

CUDA = torch.device("cuda", 0)
_META, _CPU = torch.device("meta"), torch.device("cpu")
_VIEWS = frozenset(
    (
        "view", "select", "slice", "unsqueeze", "squeeze", "expand", "permute", "transpose", "t", "as_strided",
        "unbind", "split", "split_with_sizes", "detach", "alias", "view_as_real", "view_as_complex", "_conj",
        "_neg_view", "unfold", "diagonal", "lift_fresh", "_reshape_alias", "_unsafe_view",
    )
)  # fmt: skip
"""Only another description of the same memory."""
_WAITS = frozenset(
    ("nonzero", "bincount", "masked_select", "equal", "unique_dim", "_unique2", "unique_consecutive", "histc")
)
"""The size of the result depends on values, so that the host must know them (`bincount` looks for the largest)."""
_COPIES = frozenset(("copy_", "_to_copy"))
_READ_BY_INDEX = frozenset(("index", "_unsafe_index"))
_WRITTEN_BY_INDEX = frozenset(("index_put_", "index_put", "_index_put_impl_"))


class DeviceMixError(RuntimeError):
    """Tensors on the host and on the device in one operation, as CUDA says it."""


class PretendTensor(Tensor):
    """`inside` is the CPU tensor that holds the numbers."""

    inside: Tensor

    @staticmethod
    def __new__(cls, inside: Tensor) -> PretendTensor:
        made = Tensor._make_wrapper_subclass(
            cls, inside.size(), strides=inside.stride(), storage_offset=inside.storage_offset(),
            dtype=inside.dtype, device=_META,
        )  # fmt: skip
        made.inside = inside
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it first.")

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self.clone()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"PretendTensor({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise RuntimeError(f"{func}: a tensor of the pretend device outlived it")


def _is_cuda(value: Any) -> bool:
    if isinstance(value, str):
        return value.startswith("cuda")
    return isinstance(value, torch.device) and value.type == "cuda"


class _Names(TorchFunctionMode):
    """`cuda:0` becomes `meta` on the way into torch."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "__get__" or func is torch.device:
            return func(*args, **kwargs)
        if kwargs.get("generator") is not None and _is_cuda(kwargs.get("device")):
            raise DeviceMixError("Expected a 'cuda' device type for generator but found 'cpu'")
        if name in ("tensor", "as_tensor") and _is_cuda(kwargs.get("device")):
            # Made of Python's or NumPy's numbers: on the host first, whatever device is named.
            del kwargs["device"]
            return func(*args, **kwargs).to(_META)
        if name in ("__getitem__", "__setitem__") and isinstance(args[0], PretendTensor):
            args = (args[0], _as_tensors(args[1]), *args[2:])
        if name == "pin_memory":
            return args[0]
        if name == "cuda":
            return args[0].to(_META)
        args = tuple(_META if _is_cuda(one) else one for one in args)
        kwargs = {key: _META if _is_cuda(one) else one for key, one in kwargs.items()}
        return func(*args, **kwargs)


def _as_tensors(at: Any) -> Any:
    """Indices that torch would make tensors of below where anybody sees it."""
    if isinstance(at, tuple):
        return tuple(_as_tensors(one) for one in at)
    if isinstance(at, list) or (isinstance(at, np.ndarray) and at.ndim):
        return torch.as_tensor(at)
    return at


class _Operations(TorchDispatchMode):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        here = [one for one in tensors if isinstance(one, PretendTensor)]
        target = kwargs.get("device")
        to_device = target is not None and torch.device(target).type == "meta"
        if not here and not to_device:
            return func(*args, **kwargs)
        name = func._schema.name.split("::")[1]
        there = [one for one in tensors if not isinstance(one, PretendTensor)]
        if here and there and name not in _COPIES:
            self._refuse_mix(name, args, there)
        if target is not None:
            kwargs["device"] = _CPU
        to_host = target is not None and not to_device
        out = self._run(func, name, *tree_map(_opened, (args, kwargs)), copied=to_host or (to_device and bool(there)))
        self._count(name, args, there, out, to_host=to_host, to_device=to_device)
        if to_host or (name == "copy_" and not isinstance(args[0], PretendTensor)):
            return out
        if func._schema.is_mutable and isinstance(out, Tensor) and args and out is _opened(args[0]):
            return _changed_in_place(func, args, kwargs)
        return tree_map(lambda one: PretendTensor(one) if _plain(one) else one, out)

    @staticmethod
    def _run(func: Any, name: str, args: Any, kwargs: Any, *, copied: bool) -> Any:
        # Conjugates and signs that torch only notes on a tensor are noted above the wrapper: here they are made.
        if name == "_conj":
            return torch.conj_physical(args[0])
        if name == "_neg_view":
            return torch.neg(args[0])
        out = func(*args, **kwargs)
        return (
            tree_map(lambda one: one.resolve_conj().resolve_neg() if isinstance(one, Tensor) else one, out)
            if (copied)
            else out
        )

    def _count(self, name: str, args: Any, there: list[Tensor], out: Any, *, to_host: bool, to_device: bool) -> None:
        ledger = self._ledger
        if to_host:
            ledger.download(_size(out))
        elif name == "_to_copy" and there and to_device:
            ledger.upload(_size(out), floating=out.is_floating_point() or out.is_complex())
        elif name == "copy_" and _plain(args[0]):
            ledger.download(_size(args[0]))
        elif name == "copy_" and _plain(args[1]):
            ledger.upload(_size(args[1]), floating=args[1].is_floating_point() or args[1].is_complex())
        elif name == "_local_scalar_dense":
            ledger.download(args[0].element_size())
        elif name not in _VIEWS:
            ledger.launch()
            if name in _WAITS or (name in _READ_BY_INDEX | _WRITTEN_BY_INDEX and _has_mask(args[1])):
                ledger.wait()

    def _refuse_mix(self, name: str, args: Any, there: list[Tensor]) -> None:
        wide = [one for one in there if one.ndim > 0]
        of_device = bool(args) and isinstance(args[0], PretendTensor)
        if name in _READ_BY_INDEX | _WRITTEN_BY_INDEX and of_device:
            if name in _WRITTEN_BY_INDEX and _plain(args[2]) and args[2].ndim > 0:
                raise DeviceMixError("Expected all tensors to be on the same device, but got values is on cpu")
            for one in wide:  # CUDA takes indices from the host: each is an upload
                self._ledger.upload(_size(one), floating=False)
            return
        if wide or name in _READ_BY_INDEX:
            shapes = [tuple(one.shape) for one in there]
            raise DeviceMixError(f"{name}: Expected all tensors to be on the same device: cuda:0 and cpu {shapes}")


def _changed_in_place(func: Any, args: Any, kwargs: Any) -> Any:
    if torch.Tag.inplace_view in func.tags:
        from torch.utils._mode_utils import no_dispatch

        with no_dispatch():
            func(*args, **kwargs)
    return args[0]


def _opened(one: Any) -> Any:
    return one.inside if isinstance(one, PretendTensor) else one


def _plain(one: Any) -> bool:
    return isinstance(one, Tensor) and not isinstance(one, PretendTensor)


def _size(one: Tensor) -> int:
    return one.numel() * one.element_size()


def _has_mask(at: Any) -> bool:
    return any(isinstance(one, Tensor) and one.dtype in (torch.bool, torch.uint8) for one in at)


@contextmanager
def pretend_cuda() -> Iterator[Ledger]:
    """Inside, `torch.device("cuda", 0)` is there; the ledger counts what is asked of it."""
    ledger = Ledger()
    inference_mode = torch.inference_mode
    # Its tensors have no version, which a wrapper must have.
    torch.inference_mode = torch.no_grad  # type: ignore[misc,assignment]
    try:
        with _Operations(ledger), _Names():
            yield ledger
    finally:
        torch.inference_mode = inference_mode  # type: ignore[misc]
