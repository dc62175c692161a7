"""Every part of numba and llvmlite that is not public and that compiled layers lean on, by name: an upgrade fails here first."""

from __future__ import annotations

import importlib

import pytest
from numba.core.registry import cpu_target

from dataflows.runtime.compile import kernel

NAMES = (
    "llvmlite.binding.add_symbol",
    "llvmlite.ir.ArrayType",
    "llvmlite.ir.GlobalVariable",
    "llvmlite.ir.IntType",
    "numba.core.base.BaseContext.get_abi_sizeof",
    "numba.core.base.BaseContext.get_arg_packer",
    "numba.core.caching.CompileResultCacheImpl.locator",
    "numba.core.caching.FunctionCache.load_overload",
    "numba.core.caching.FunctionCache.save_overload",
    "numba.core.caching._CacheLocator.from_function",
    "numba.core.compiler.Compiler.define_pipelines",
    "numba.core.compiler_machinery.PassManager",
    "numba.core.compiler_machinery.register_pass",
    "numba.core.cgutils.alloca_once",
    "numba.core.cgutils.alloca_once_value",
    "numba.core.callconv.excinfo_ptr_t",
    "numba.core.cgutils.for_range",
    "numba.core.cgutils.gep_inbounds",
    "numba.core.cgutils.get_or_insert_function",
    "numba.core.cgutils.global_constant",
    "numba.core.cgutils.if_unlikely",
    "numba.core.cgutils.intp_t",
    "numba.core.cgutils.is_not_null",
    "numba.core.cgutils.raw_memcpy",
    "numba.core.cgutils.unpack_tuple",
    "numba.core.cgutils.true_bit",
    "numba.core.cgutils.voidptr_t",
    "numba.core.datamodel.models.PrimitiveModel",
    "numba.core.dispatcher.Dispatcher.disable_compile",
    "numba.core.errors.NumbaError",
    "numba.core.cgutils.is_null",
    "numba.core.callconv.RETCODE_OK",
    "numba.core.lowering.Lower.extract_function_arguments",
    "numba.core.lowering.Lower.loadvar",
    "numba.core.lowering.Lower.lower_inst",
    "numba.core.lowering.Lower.typeof",
    "numba.core.options.DefaultOptions.forceinline",
    "numba.core.typed_passes.NativeLowering.lowering_class",
    "numba.core.imputils.impl_ret_borrowed",
    "numba.core.imputils.impl_ret_new_ref",
    "numba.core.imputils.lower_cast",
    "numba.core.imputils.lower_getattr_generic",
    "numba.core.types.BaseNamedTuple",
    "numba.core.types.NamedUniTuple",
    "numba.core.typing.templates.infer_getattr",
    "numba.extending.intrinsic",
    "numba.extending.lower_builtin",
    "numba.extending.register_model",
    "numba.extending.type_callable",
    "numba.np.arrayobj.populate_array",
)


@pytest.mark.parametrize("name", NAMES)
def test_the_private_name_is_there(name: str) -> None:
    parts = name.split(".")
    for i in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:i]))
        except ImportError:
            continue
        for part in parts[i:]:
            assert hasattr(found, part), f"{name} is gone; see drivers/engine/loop/README.md"
            found = getattr(found, part)
        return
    pytest.fail(f"{name}: no part of it can be imported")


@pytest.mark.parametrize(
    "name",
    [
        "get_function_type",
        "_get_return_status",
        "_return_errcode_raw",
        "call_function",
        "return_status_propagate",
        "return_user_exc",
        "return_value",
    ],
)
def test_the_calling_convention_has_the_method(name: str) -> None:
    assert hasattr(cpu_target.target_context.call_conv, name)


def test_a_compiled_function_tells_where_its_machine_code_lies() -> None:
    @kernel
    def doubled(x: float) -> float:
        return 2.0 * x

    assert doubled(2.0) == 4.0
    (result,) = doubled.overloads.values()  # type: ignore[attr-defined]
    assert result.library.get_pointer_to_function(result.fndesc.llvm_func_name) > 0
