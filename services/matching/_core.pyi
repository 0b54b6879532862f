"""What cffi compiles from native/core_api.h: its functions, and the means to hand them memory."""

from typing import Any

from cffi import FFI

ffi: FFI
lib: Any
