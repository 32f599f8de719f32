//! Functions of the process that no header of ours declares.

use std::ffi::{CStr, c_void};
use std::mem;

/// A function by its name, as the linker knows it.
///
/// # Safety
/// `F` is the type of a pointer to a function, and to what the name stands for.
pub unsafe fn find<F: Copy>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: looks a name up among what the process has loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: it is a function, and of that type, the caller says.
    (!found.is_null()).then(|| unsafe { mem::transmute_copy(&found) })
}
