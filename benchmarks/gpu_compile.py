"""Do the GPU kernels pass NVIDIA's compilers? No GPU needed, only their libraries.

    pip install nvidia-nvvm nvidia-cuda-nvrtc nvidia-cuda-nvcc
    CUDA_HOME=<site-packages>/nvidia/cu13 python benchmarks/gpu_compile.py [--ptxas PATH]

Every kernel goes through numba-cuda and libNVVM to PTX and through ptxas to machine code for the
H100 (compute capability 9.0). Printed: registers per thread, bytes of stack and of spilled
registers, shared memory per block, the reads and writes of thread-private memory in the PTX, and
whether a product is added anywhere other than in a fused multiply-add (then rounding could depend
on the number of lanes; products with powers of two, which are exact, are all that is left).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

CAPABILITY = (9, 0)

SHAPES: list[dict[str, Any]] = [
    {"kind": "counts", "n": 2, "d": 1},
    {"kind": "counts", "n": 5, "d": 2},
    {"kind": "counts", "n": 6, "d": 3},
    {"kind": "counts", "n": 5, "d": 2, "lanes": 2, "models": 64},
    {"kind": "counts", "n": 5, "d": 2, "lanes": 8, "models": 16},
    {"kind": "counts", "n": 5, "d": 2, "double": True},
    {"kind": "counts", "n": 5, "d": 2, "fed": True},
    {"kind": "rows", "n": 5, "d": 2},
    {"kind": "rows", "n": 5, "d": 2, "lanes": 8, "models": 16},
    {"kind": "rows", "n": 5, "d": 2, "fed": True},
    {"kind": "rows", "n": 24, "d": 4, "lanes": 32, "models": 4},
    {"kind": "rows", "n": 32, "d": 8, "lanes": 16, "models": 5},
    {"kind": "rows", "n": 64, "d": 16, "lanes": 32, "models": 1},
    {"kind": "rows", "n": 24, "d": 4, "lanes": 32, "models": 4, "double": True, "bias": False},
]


def ptx_of(shape: Any) -> str:
    """The kernel of a shape as PTX, with the types it is launched with."""
    import numba.cuda.dispatcher
    from numba import cuda, types

    from validate.training.cuda_kernels import kernel

    real = types.float64 if shape.double else types.float32

    def array(kind: Any) -> Any:
        return types.Array(kind, 1, "C")

    ints, words, reals = array(types.int32), array(types.uint32), array(real)
    given = ints if shape.kind == "counts" else types.Tuple((ints, ints, reals))
    signature = types.void(
        types.int64,
        types.UniTuple(types.int64, 4),
        types.UniTuple(reals, 4),
        words,
        ints,
        types.UniTuple(ints, 3),
        types.Tuple((words, words, ints)),
        given,
        reals,
        reals,
    )
    pretended = SimpleNamespace(compute_capability=CAPABILITY)
    with mock.patch.object(numba.cuda.dispatcher, "get_current_device", lambda: pretended):
        text, _ = cuda.compile_ptx(kernel(shape).py_func, signature, cc=CAPABILITY)
    return str(text).replace(".common .global", ".global")


def added_products(ptx: str) -> int:
    """Additions one of whose terms is a product."""
    pattern = r"^\s*(mul|add|sub)(?:\.\w+)*\.f(?:32|64)\s+(%\w+), (%?\w+), (%?\w+);"
    found = re.findall(pattern, ptx, re.M)
    products = {target for kind, target, _, _ in found if kind == "mul"}
    return sum(kind != "mul" and (a in products or b in products) for kind, _, a, b in found)


def assembled(ptx: str, ptxas: str) -> list[str]:
    """Registers, stack, spills and shared memory, as ptxas counts them."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        command = [ptxas, "-arch=sm_90", "-v", "-o", str(source.with_suffix(".cubin")), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = done.stderr + done.stdout
    wanted = (r"Used (\d+) registers", r"(\d+) bytes stack", r"(\d+) bytes spill stores")
    shared = re.search(r"(\d+) bytes smem", said)
    return [*(re.search(w, said)[1] for w in wanted), shared[1] if shared else "0"]  # type: ignore[index]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ptxas", default=shutil.which("ptxas") or "")
    options = parser.parse_args()
    from validate.training.cuda_kernels import Shape

    print("| kernel | lanes | registers | stack | spilled | shared | private | added products |")
    print("|---|---|---|---|---|---|---|---|")
    base = {"lanes": 1, "models": 128, "double": False, "relu": True, "bias": True, "fed": False}
    for case in SHAPES:
        shape = Shape(**{**base, **case, "place": "gpu"})
        try:
            ptx = ptx_of(shape)
        except Exception as error:  # whatever the libraries raise, it is the answer
            print(f"{shape}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
            return 1
        registers, stack, spilled, shared = (
            assembled(ptx, options.ptxas) if options.ptxas else ["?"] * 4
        )
        private = len(re.findall(r"(?:ld|st)\.local", ptx))
        flags = "".join(f", {name}" for name in ("double", "fed") if getattr(shape, name))
        print(
            f"| {shape.kind} ({shape.n}, {shape.d}){flags} | {shape.lanes} | {registers} | {stack} "
            f"| {spilled} | {shared} | {private} | {added_products(ptx)} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
