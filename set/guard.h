/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before every C file that is built with the module set.  The set's struct vfio_device is
 * another than that of the distribution's modules, and without CONFIG_MODVERSIONS the kernel would
 * not see it.  So neither is loaded upon the other:
 *
 * - What modules of the set export is in a symbol namespace of their own, which a driver of the
 *   distribution does not import.
 * - A driver of the set wants a symbol that only a core of the set exports.
 */
#ifdef MODULE
#define DEFAULT_SYMBOL_NAMESPACE "RUST_VFIO_SET"

/* As MODULE_IMPORT_NS() does, whose header must not come before a file's own definitions. */
asm(".pushsection .modinfo,\"a\"\n"
    ".asciz \"import_ns=RUST_VFIO_SET\"\n"
    ".popsection");

#ifdef RUST_VFIO_SET_DRIVER
extern const char rust_vfio_set[];
static const char *const rust_vfio_set_wanted __attribute__((used)) = rust_vfio_set;
#endif
#endif
