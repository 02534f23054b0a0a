"""A kernel and all kernels that it calls, compiled as one program.

Numba compiles a function and its callees one by one: it optimizes each, makes machine code of it, puts it into its
callers and does both again there. Of a kernel only the entry is ever called from outside. So a target of our own takes
Numba's code of every kernel as it is, puts all of it into one module, and lets LLVM optimize that once: with the
callees private to the module. That takes less than half of the time, and what prints text runs twice as fast.

The target is made through Numba's extension API (``numba.core.target_extension``); nothing of Numba's is patched.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

TARGET = "tcpflow-view kernel"

SPEED_LEVEL = 2
"""As in ``clang -O2``. 3, and vector code, take longer to make and are no faster: kernels work packet by packet."""


@cache
def whole_program_target() -> str:
    """The name by which ``numba.njit(_target=…)`` knows the target."""
    import numba
    from llvmlite import binding as llvm
    from numba.core import codegen, cpu, dispatcher, registry, target_extension, typing

    numba_library: Any = codegen.JITCodeLibrary
    numba_codegen: Any = codegen.JITCPUCodegen
    numba_context: Any = cpu.CPUContext
    numba_dispatcher: Any = dispatcher.Dispatcher
    numba_descriptor: Any = registry.CPUTarget
    new_typing_context: Any = typing.context.Context
    numba_target: Any = target_extension.CPU

    class Target(numba_target):  # type: ignore[misc]
        """A CPU to Numba: whatever it implements for CPUs is there."""

    names: Any = target_extension.target_registry
    names[TARGET] = Target

    class Library(numba_library):  # type: ignore[misc]
        """The code of one function, with the libraries that it calls; it stays as Numba wrote it."""

        def finalize(self) -> None:
            self._finalized = True

        def _optimize_functions(self, module: Any) -> None:
            module.data_layout = self._codegen._data_layout

        def object_code(self, entry: str) -> bytes:
            """The function of that name and all that it calls."""
            module = self._final_module.clone()
            libraries = [self]
            for library in libraries:
                libraries += [callee for callee in dict.fromkeys(library._linking_libraries) if callee not in libraries]
            for library in libraries[1:]:
                module.link_in(library._final_module, preserve=True)
            for function in module.functions:
                if not function.is_declaration and function.name != entry:
                    function.linkage = "internal"
            module.verify()
            machine = self._codegen._tm
            options = llvm.create_pipeline_tuning_options(speed_level=SPEED_LEVEL)
            options.loop_vectorization = options.slp_vectorization = False
            builder = llvm.create_pass_builder(machine, options)
            builder.getModulePassManager().run(module, builder)
            octets: bytes = machine.emit_object(module)
            return octets

    class Codegen(numba_codegen):  # type: ignore[misc]
        _library_class = Library

    class Context(numba_context):  # type: ignore[misc]
        def init(self) -> None:
            super().init()
            self._internal_codegen = Codegen("kernels")

        def get_executable(self, library: Any, about: Any, environment: Any) -> Any:
            """What stands for the function among Numba's tables: any object that no other function has."""
            return about

        def post_lowering(self, module: Any, library: Any) -> None:
            """Numba's runtime, which it would add here, is not needed."""

    class Descriptor(numba_descriptor):  # type: ignore[misc]
        typing_context = new_typing_context()
        target_context = Context(typing_context, TARGET)

    class KernelDispatcher(numba_dispatcher):  # type: ignore[misc]
        targetdescr = Descriptor(TARGET)

        def add_overload(self, made: Any) -> None:
            """Keep what was compiled; there is nothing that Python could call."""
            self.overloads[tuple(made.signature.args)] = made

    dispatchers: Any = target_extension.dispatcher_registry
    decorators: Any = target_extension.jit_registry
    dispatchers[Target] = KernelDispatcher
    decorators[Target] = partial(numba.jit, _target=TARGET)
    return TARGET
