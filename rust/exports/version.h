/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The version of a symbol is a checksum of its debugging information.  Modules that were built
 * against the C core require the versions of the C core.  Two properties of a source file change
 * the checksum:
 *
 *  - The debugging information of a function that is only declared has no parameter names.  C only
 *    has declarations of the Rust functions.
 *  - A type counts with its members if its definition is visible in the file that exports the
 *    symbol, and without its members otherwise.
 *
 * Therefore the C files in this directory define the functions again.  Each file includes the headers
 * that the file of the same name in the in-tree core includes.  The files are compiled only for
 * their debugging information, and are not part of the module.
 */
#include <linux/export.h>

/* The body is not empty, because functions with the same address would be treated as one. */
#define FUNCTION(export, type, name, ...) \
	type name(__VA_ARGS__) { __builtin_trap(); } export(name)
