/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The version of a symbol is a checksum of what debugging information says of it, and modules that
 * were built with the C core ask for the C core's.  For a function that is only declared, as ours
 * are to C, nobody says how its parameters are called; and a type counts with its members where
 * the file that exports the symbol has it whole, and without where it has not.
 *
 * So the files in this folder define the functions again, each with the headers that the file of
 * its name has in the in-tree core.  They are compiled for their debugging information alone and
 * are no part of the module.
 */
#include <linux/export.h>

/* Not empty: functions of one address would be taken for one. */
#define FUNCTION(export, type, name, ...) \
	type name(__VA_ARGS__) { __builtin_trap(); } export(name)
